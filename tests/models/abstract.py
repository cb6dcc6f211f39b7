"""Models as shapes only, each traced once for all tests."""

import functools

import jax
import jax.numpy as jnp
import pytest

from fcnn import models

DTYPES = {"sentence_cnn": jnp.int32}  # of what is no image
# deep networks, whose smaller relatives stand for them by default
DEEP = (
    "resnet44", "resnet56", "resnet110", "resnet101", "resnet152",
    "densenet161", "densenet169", "densenet201",
    "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5",
    "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_m", "efficientnet_v2_l",
    "convnext_base",
)  # fmt: skip


@functools.cache
def initialized(name, shape, **options):
    """The model, such an input, and the parameters and state for it."""
    model = models.build(name, **options)
    x = jax.ShapeDtypeStruct(shape, DTYPES.get(name, jnp.float32))
    return model, x, *jax.eval_shape(model.init, jax.random.key(0), x)


def over(rows):
    """Rows of a table of models; the deep ones are left to the long run."""
    return [pytest.param(*row, marks=pytest.mark.slow if row[0] in DEEP else ()) for row in rows]
