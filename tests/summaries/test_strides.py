"""The stride of a unit: how far the input must be moved for the map to move by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import residual, serial
from fcnn.layers.convolution import conv, conv_transpose
from fcnn.layers.linear import dense
from fcnn.layers.pooling import avg_pool, global_avg_pool, max_pool
from fcnn.layers.reshaping import flatten
from fcnn.models import resnet18
from fcnn.summaries import summary

NETWORKS = {
    "strides": serial(conv(2, 3, 2), jax.nn.relu, conv(3, 3, 2)),
    "pools": serial(conv(2, 3), max_pool(2), conv(2, 3), avg_pool(3, 2)),
    "skips": serial(conv(2, 3, 2), residual(conv(2, 3), conv(2, 1)), max_pool(2)),
    "dilation": serial(conv(2, 3, 2, dilation=1), conv(2, 3, dilation=2)),
    "up and down": serial(conv_transpose(2, 2, 2), conv(2, 3, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_moving_the_input_by_a_stride_moves_the_map_by_one(name):
    layer, x = NETWORKS[name], np.zeros((1, 32, 32, 1), np.float32)
    x[0, 12:18, 13:17] = random.normal(random.key(0), (6, 4, 1))
    params, state = layer.init(random.key(1), x)
    rows, columns = summary(layer, x).rows[-1].stride
    moved = np.roll(np.roll(x, rows, 1), columns, 2)
    one, other = (layer.apply(params, state, jnp.asarray(each))[0] for each in (x, moved))
    inside = (slice(None), slice(2, -2), slice(2, -2))
    expected = np.roll(np.roll(one, 1, 1), 1, 2)
    np.testing.assert_allclose(np.asarray(other)[inside], expected[inside], atol=1e-5)
    nearer = np.roll(x, rows - 1, 1) if rows > 1 else x
    again = np.asarray(layer.apply(params, state, jnp.asarray(nearer))[0])
    assert not np.allclose(again[inside], np.roll(one, 1, 1)[inside], atol=1e-5)


def test_strides_below_one_follow_a_transposed_convolution():
    table = summary(serial(conv_transpose(2, 2, 2)), jax.ShapeDtypeStruct((1, 8, 8, 1), "float32"))
    assert table.rows[0].stride == (0.5, 0.5)
    assert "0.5x0.5" in str(table)


def test_a_unit_that_sees_all_has_no_stride():
    layer = serial(conv(2, 3, 2), global_avg_pool, dense(3))
    strides = [row.stride for row in summary(layer, np.zeros((1, 8, 8, 1), "float32")).rows]
    assert strides == [(2, 2), None, None]


def test_a_resnet_ends_with_the_stride_of_its_paper():
    rows = summary(resnet18(), jax.ShapeDtypeStruct((1, 224, 224, 3), "float32")).rows
    strides = [row.stride for row in rows if row.stride]
    assert strides[0] == (2, 2)
    assert strides[-1] == (32, 32)


def test_memory_is_that_of_the_outputs():
    layer = serial(conv(4, 3), jax.nn.relu, flatten, dense(10))
    table = summary(layer, jax.ShapeDtypeStruct((5, 8, 8, 1), "float32"))
    assert [row.memory for row in table.rows] == [1024, 1024, 1024, 40]
    assert table.memory == 3112
    half = summary(layer, jax.ShapeDtypeStruct((5, 8, 8, 1), "bfloat16"))
    assert half.memory == table.memory // 2
