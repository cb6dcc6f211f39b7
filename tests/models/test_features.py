"""Networks without classes end in features."""

import jax
import jax.numpy as jnp
import pytest

from fcnn import models, out_spec

FEATURES = {
    "mobilenet_v1": 1024,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 1024,
    "efficientnet_b0": 1280,
    "regnet_y_400mf": 440,
    "convnext_tiny": 768,
    "vit_tiny": 192,
    "mlp_mixer": 768,
}


@pytest.mark.parametrize("name", FEATURES)
def test_without_classes_a_network_lacks_nothing_but_its_head(name):
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    bare, whole = models.build(name, classes=0), models.build(name, classes=7)
    assert out_spec(bare, x).shape == (1, FEATURES[name])
    key = jax.random.key(0)
    params, wholes = (jax.eval_shape(model.init, key, x)[0] for model in (bare, whole))
    assert wholes.pop("head")["kernel"].shape == (FEATURES[name], 7)
    assert params == wholes
