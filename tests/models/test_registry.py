"""Models by name, and images that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import models

VECTORS, ONE_IMAGE, VIDEO = ((1, 8), (8, 8, 3), (1, 2, 8, 8, 3))
OTHERS = ("mlp", "sentence_cnn", "audio_cnn")
IMAGE_MODELS = [name for name in models.names() if name not in OTHERS]


def text(shape):
    return rf"takes images \[n, h, w, c\], got float32\[{','.join(map(str, shape))}\]"


@pytest.mark.parametrize("shape", [VECTORS, ONE_IMAGE, VIDEO])
@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_an_image_model_names_itself_to_what_is_no_batch_of_images(name, shape):
    model = models.build(name)
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    with pytest.raises(ValueError, match=f"^{name} {text(shape)}"):
        model.init(jax.random.key(0), x)
    with pytest.raises(ValueError, match=f"^{name} {text(shape)}"):
        model.apply({}, {}, x)
    with pytest.raises(ValueError, match=f"^{name} {text((1, *shape[1:]))}"):
        fcnn.summary(model, x)  # of one example


def test_a_trained_network_names_its_model_to_a_single_image():
    x = np.zeros((1, 8, 8, 1), np.float32)
    model = models.small_cnn(width=4)
    network = fcnn.Network(model, *model.init(jax.random.key(0), x))
    assert network(x).shape == (1, 10)
    with pytest.raises(ValueError, match=f"^small_cnn {text((8, 8, 1))}"):
        network(x[0])


def test_the_check_stands_around_a_model_and_not_in_it():
    small = models.small_cnn(width=4)
    assert fcnn.core.kind(small) == "small_cnn"
    assert repr(small) == "models.small_cnn(width=4)"
    params, _ = small.init(jax.random.key(0), np.zeros((1, 8, 8, 1), np.float32))
    assert set(params) == {"conv1", "conv2", "dense1"}
    inside = fcnn.serial(small, fcnn.relu)
    with pytest.raises(ValueError, match="small_cnn takes images") as error:
        inside.init(jax.random.key(0), np.zeros((8, 8, 1), np.float32))
    assert error.value.__notes__[0].startswith("in layer small_cnn1 (small_cnn, input float32[8")


def test_a_multilayer_perceptron_takes_any_shape():
    for shape in (VECTORS, ONE_IMAGE, VIDEO):
        assert fcnn.out_spec(models.mlp(), jax.ShapeDtypeStruct(shape, jnp.float32)).ndim == 2
