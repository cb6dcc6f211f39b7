import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import models, trees
from fcnn.models.resnet import padded

from .abstract import initialized, over

SMALL, LARGE = (1, 32, 32, 3), (1, 224, 224, 3)
# name, options, input, parameters of the reference (torchvision, Keras, the papers)
COUNTS = [
    ("mlp", {"hidden": (32, 64, 128)}, (1, 8, 8, 1), 13_802),
    ("lenet5", {}, (1, 28, 28, 1), 61_706),
    ("mnist_cnn", {}, (1, 28, 28, 1), 93_322),
    ("guide_cnn", {}, (1, 64, 64, 3), 1_626_442),
    ("small_cnn", {}, (1, 8, 8, 1), 21_386),
    ("resnet20", {}, SMALL, 269_722),
    ("resnet32", {}, SMALL, 464_154),
    ("resnet44", {}, SMALL, 658_586),
    ("resnet56", {}, SMALL, 853_018),
    ("resnet110", {}, SMALL, 1_727_962),
    ("resnet18", {}, LARGE, 11_689_512),
    ("resnet34", {}, LARGE, 21_797_672),
    ("resnet50", {}, LARGE, 25_557_032),
    ("resnet101", {}, LARGE, 44_549_160),
    ("resnet152", {}, LARGE, 60_192_808),
    ("resnext50_32x4d", {}, LARGE, 25_028_904),
    ("wide_resnet50_2", {}, LARGE, 68_883_240),
    ("resnet18", {"classes": 10, "stem": "small"}, SMALL, 11_173_962),
    ("mobilenet_v1", {}, LARGE, 4_231_976),  # Keras counts the statistics of norms: 4,253,864
    ("mobilenet_v2", {}, LARGE, 3_504_872),
    ("mobilenet_v3_small", {}, LARGE, 2_542_856),
    ("mobilenet_v3_large", {}, LARGE, 5_483_032),
    ("shufflenet_v2_x0_5", {}, LARGE, 1_366_792),
    ("shufflenet_v2_x1_0", {}, LARGE, 2_278_604),
    ("shufflenet_v2_x1_5", {}, LARGE, 3_503_624),
    ("shufflenet_v2_x2_0", {}, LARGE, 7_393_996),
    ("efficientnet_b0", {}, LARGE, 5_288_548),
    ("efficientnet_b1", {}, LARGE, 7_794_184),
    ("efficientnet_b2", {}, LARGE, 9_109_994),
    ("efficientnet_b3", {}, LARGE, 12_233_232),
    ("efficientnet_b4", {}, LARGE, 19_341_616),
    ("efficientnet_b5", {}, LARGE, 30_389_784),
    ("efficientnet_b6", {}, LARGE, 43_040_704),
    ("efficientnet_b7", {}, LARGE, 66_347_960),
    ("efficientnet_v2_s", {}, LARGE, 21_458_488),
    ("efficientnet_v2_m", {}, LARGE, 54_139_356),
    ("efficientnet_v2_l", {}, LARGE, 118_515_272),
    ("convnext_tiny", {}, LARGE, 28_589_128),
    ("convnext_small", {}, LARGE, 50_223_688),
    ("convnext_base", {}, LARGE, 88_591_464),
    ("convnext_v2_tiny", {}, LARGE, 28_635_496),
    ("regnet_x_400mf", {}, LARGE, 5_495_976),
    ("regnet_y_400mf", {}, LARGE, 4_344_144),
    ("vit_tiny", {}, LARGE, 5_717_416),
    ("vit_small", {}, LARGE, 22_050_664),
    ("mlp_mixer", {}, LARGE, 59_880_472),
    ("sentence_cnn", {"classes": 2, "vocabulary": 1000}, (1, 40), 660_902),
    ("audio_cnn", {}, (1, 16_000), 94_188),
    ("alexnet", {}, LARGE, 61_100_840),
    ("vgg11", {}, LARGE, 132_863_336),
    ("vgg13", {}, LARGE, 133_047_848),
    ("vgg16", {}, LARGE, 138_357_544),
    ("vgg19", {}, LARGE, 143_667_240),
    ("vgg11_bn", {}, LARGE, 132_868_840),
    ("vgg13_bn", {}, LARGE, 133_053_736),
    ("vgg16_bn", {}, LARGE, 138_365_992),
    ("vgg19_bn", {}, LARGE, 143_678_248),
    ("squeezenet1_0", {}, LARGE, 1_248_424),
    ("squeezenet1_1", {}, LARGE, 1_235_496),
    ("densenet121", {}, LARGE, 7_978_856),
    ("densenet161", {}, LARGE, 28_681_000),
    ("densenet169", {}, LARGE, 14_149_480),
    ("densenet201", {}, LARGE, 20_013_928),
    ("googlenet", {}, LARGE, 6_624_904),
    ("inception_v3", {}, LARGE, 23_834_568),
    ("xception", {}, LARGE, 22_855_952),
    ("unet", {"norm": True}, SMALL, 31_037_698),
]


@pytest.mark.parametrize(("name", "options", "shape", "count"), over(COUNTS))
def test_parameters_are_as_many_as_published(name, options, shape, count):
    model, x, params, state = initialized(name, shape, **options)
    assert trees.count(params) == count
    y, _ = jax.eval_shape(model.apply, params, state, x)
    each = shape[:3] if name == "unet" else shape[:1]  # for each pixel, for each image
    classes = {"unet": 2}.get(name, 1000 if shape == LARGE else 10)
    assert y.shape == (*each, options.get("classes", classes))


def test_every_model_is_counted():
    assert {name for name, *_ in COUNTS} == set(models.names())


def test_the_small_resnet18_takes_the_multiply_adds_of_the_tables():
    model = models.resnet18(classes=10, stem="small")
    table = fcnn.summary(model, jax.ShapeDtypeStruct(SMALL, jnp.float32))
    assert table.macs == 555_422_720
    assert table.params == 11_173_962


def test_names_are_found_by_pattern_and_built():
    assert models.names("resnet?4") == ["resnet34", "resnet44"]
    assert models.build("lenet5", classes=3).recipe.to_json() == {
        "call": "lenet5",
        "args": [],
        "options": {"classes": 3},
    }
    assert repr(models.build("lenet5", classes=3)) == "models.lenet5(classes=3)"


def test_an_unknown_model_lists_the_models():
    with pytest.raises(ValueError, match=r"there is no model 'resnet19'; there are .*resnet18"):
        models.build("resnet19")
    with pytest.raises(TypeError, match="klasses"):
        models.build("resnet18", klasses=3)
    with pytest.raises(ValueError, match="stem must be one of standard, small, got 'tiny'"):
        models.resnet18(stem="tiny")


def test_shortcut_a_takes_every_second_pixel_and_pads_channels_on_both_sides():
    x = np.arange(2 * 4 * 4 * 2, dtype=np.float32).reshape(2, 4, 4, 2)
    y = np.asarray(padded(6, 2)(x))
    np.testing.assert_array_equal(y[..., 2:4], x[:, ::2, ::2])
    assert not y[..., :2].any()
    assert not y[..., 4:].any()


def test_a_resnet_trains_and_its_blocks_have_names():
    model = models.resnet20(classes=3)
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype(np.float32)
    network, _ = fcnn.fit(model, (x, [0, 1, 2, 0]), epochs=1, batch_size=4, progress=False)
    paths = trees.flat(network.params)
    assert "stage2/block1/conv1/kernel" in paths
    assert "stage3/block3/bn2/scale" in paths
    assert np.isfinite(network(x)).all()
