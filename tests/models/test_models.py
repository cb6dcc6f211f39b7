import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import models, out_spec, trees
from fcnn.models.resnet import padded

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
    ("resnet18", {"classes": 10, "stem": "small"}, SMALL, 11_173_962),
    ("mobilenet_v2", {}, LARGE, 3_504_872),
]


@pytest.mark.parametrize(("name", "options", "shape", "count"), COUNTS)
def test_parameters_are_as_many_as_published(name, options, shape, count):
    model = models.build(name, **options)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    params, _ = jax.eval_shape(model.init, jax.random.key(0), x)
    assert trees.count(params) == count
    assert out_spec(model, x).shape == (1, options.get("classes", 1000 if shape == LARGE else 10))


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


def test_a_network_equal_to_pytorchs_gives_its_logits():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, inside, out, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(out)
            self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(out)
            self.skip = nn.Sequential()
            if stride > 1:
                conv = nn.Conv2d(inside, out, 1, stride, bias=False)
                self.skip = nn.Sequential(conv, nn.BatchNorm2d(out))

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + self.skip(x))

    blocks, inside = [], 64
    for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Block(inside, out, stride), Block(out, out, 1)]
        inside = out
    stem = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    theirs = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 5))
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    theirs.eval()

    def kernel(conv):
        return {"kernel": jnp.asarray(conv.weight.detach().numpy().transpose(2, 3, 1, 0))}

    def norm(bn):
        return {"scale": jnp.asarray(bn.weight.detach()), "bias": jnp.asarray(bn.bias.detach())}

    def statistics(bn):
        return {"mean": jnp.asarray(bn.running_mean), "var": jnp.asarray(bn.running_var)}

    params = {"conv1": kernel(theirs[0]), "bn1": norm(theirs[1])}
    state = {"bn1": statistics(theirs[1])}
    for i, block in enumerate(blocks):
        stage, name = f"stage{i // 2 + 1}", f"block{i % 2 + 1}"
        own = {"conv1": kernel(block.conv1), "bn1": norm(block.bn1)}
        own |= {"conv2": kernel(block.conv2), "bn2": norm(block.bn2)}
        kept = {"bn1": statistics(block.bn1), "bn2": statistics(block.bn2)}
        if len(block.skip):
            own["skip"] = {"conv": kernel(block.skip[0]), "bn": norm(block.skip[1])}
            kept["skip"] = {"bn": statistics(block.skip[1])}
        params.setdefault(stage, {})[name] = own
        state.setdefault(stage, {})[name] = kept
    head = theirs[-1]
    params["head"] = {
        "kernel": jnp.asarray(head.weight.detach().T),
        "bias": jnp.asarray(head.bias.detach()),
    }

    x = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype(np.float32)
    ours, _ = models.resnet18(classes=5).apply(params, state, x)
    expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
