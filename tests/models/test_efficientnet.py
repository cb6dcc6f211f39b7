"""EfficientNets: what their tables mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import identity, models
from fcnn.models import efficientnet, inverted
from fcnn.models.efficientnet import fused_block


def test_it_takes_the_multiply_adds_of_the_paper():
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    table = fcnn.summary(models.efficientnet_b0(), x)
    assert round(table.macs / 1e7) == 39  # "0.39B" in table 2


def test_later_blocks_are_dropped_more_often(monkeypatch):
    rates = []

    def noted(rate):
        rates.append(rate)
        return identity

    for module in (efficientnet, inverted):
        monkeypatch.setattr(module, "drop_path", noted)
    models.efficientnet_b0(drop_path_rate=0.32)
    skips = [2, 4, 6, 7, 9, 10, 12, 13, 14]  # of 16 blocks, those that keep the shape
    np.testing.assert_allclose(rates, [0.02 * i for i in skips])
    rates.clear()
    models.efficientnet_v2_s(drop_path_rate=0.4)
    skips = [i for i in range(40) if i not in (2, 6, 10, 16, 25)]
    np.testing.assert_allclose(rates, [0.01 * i for i in skips if i])
    rates.clear()
    models.efficientnet_b0(drop_path_rate=0.0)
    assert not rates


@pytest.mark.parametrize(("wide", "convolutions"), [(16, {"conv1", "conv2"}), (4, {"conv1"})])
def test_a_fused_block_that_widens_nothing_is_one_convolution(wide, convolutions):
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    block = fused_block(4, wide, 4)
    params, state = block.init(jax.random.key(0), x)
    assert {name for name in params if name.startswith("conv")} == convolutions
    last = "bn2" if wide > 4 else "bn1"
    params[last] = jax.tree.map(jnp.zeros_like, params[last])  # closes the other way
    np.testing.assert_array_equal(block.apply(params, state, x)[0], x)
    assert fcnn.out_spec(fused_block(4, wide, 5, 2), x).shape == (2, 3, 3, 5)
