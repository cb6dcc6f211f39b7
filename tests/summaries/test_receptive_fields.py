"""The field of a unit is made of the pixels that move it: with positive weights, all it sees do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, random

from fcnn.core import concat, identity, remat, repeat, residual, serial, wire
from fcnn.layers.convolution import conv, conv_transpose, depthwise_conv
from fcnn.layers.linear import dense
from fcnn.layers.normalization import group_norm, layer_norm
from fcnn.layers.pooling import avg_pool, global_avg_pool, max_pool
from fcnn.layers.reshaping import flatten
from fcnn.summaries import summary

NETWORKS = {
    "one kernel": conv(1, (3, 5)),
    "valid": serial(conv(2, 3, padding="valid"), conv(1, 4, padding="valid")),
    "strides": serial(conv(2, 3, 2), conv(2, 3, (1, 2)), conv(1, 3)),
    "dilation": serial(conv(2, 3, dilation=2), conv(1, 3, dilation=(1, 3))),
    "pools": serial(conv(2, 3), max_pool(2), conv(2, 3), avg_pool(3, 2)),
    "depthwise": serial(depthwise_conv(5), conv(1, 1)),
    "residual": serial(conv(2, 3), residual(serial(conv(2, 3), jax.nn.relu, conv(2, 3)))),
    "projection": residual(serial(conv(2, 3, 2), conv(2, 3)), conv(2, 1, 2)),
    "concat": concat(conv(1, 3), serial(conv(1, 1), conv(1, 5)), max_pool(3, 1, padding="same")),
    "reflect": serial(conv(2, 3, padding_mode="reflect"), conv(1, 3, padding_mode="reflect")),
    "replicate": serial(conv(2, 3, padding_mode="replicate"), conv(1, 3, padding_mode="replicate")),
    "circular": serial(conv(2, 3, padding_mode="circular"), conv(1, 3, padding_mode="circular")),
    "transposed": serial(conv_transpose(2, 2, 2), conv(1, 3)),
    "overlapping transposed": serial(conv(2, 3, 2), conv_transpose(2, 3, 2), conv(1, 3)),
    "repeated": serial(repeat(conv(1, 3), 3), remat(conv(1, 3))),
    "normalised": serial(conv(4, 3), layer_norm(), conv(2, 3)),
}


def support(layer, sides):
    """The largest extent, over units in the middle, of the pixels that move them."""
    x = np.ones((1, *sides, 1), "float32")
    brighter = x + 100 * np.eye(sides[0] * sides[1], dtype="float32").reshape(-1, *sides, 1)
    params, state = layer.init(random.key(0), x)
    params = jax.tree.map(lambda leaf: jnp.abs(leaf) + 0.1, params)
    y = np.asarray(jax.jit(layer.apply)(params, state, np.concatenate([x, brighter]))[0])
    moves = (y[1:] != y[:1]).any(-1).reshape(*sides, *y.shape[1:3])
    height, width = (n // 2 for n in y.shape[1:3])
    units = moves[:, :, height - 2 : height + 2, width - 2 : width + 2]
    return tuple(
        max(np.ptp(np.flatnonzero(seen)) + 1 for seen in units.any(axis).reshape(n, -1).T)
        for n, axis in zip(sides, (1, 0), strict=True)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_the_field_is_the_support_of_the_influence_of_pixels(name):
    layer = serial(body=NETWORKS[name], end=identity)
    assert fields(layer, 26, 24, 1)["end"] == support(layer, (26, 24))


def fields(layer, *shape):
    rows = summary(layer, jax.ShapeDtypeStruct((1, *shape), "float32")).rows
    return {row.path: row.receptive_field for row in rows}


def test_fields_of_a_vgg_like_network_equal_the_published_recursion():
    stage = [conv(4), jax.nn.relu, conv(4), max_pool(2)]
    have = fields(serial(*stage, *stage, flatten, dense(10)), 32, 32, 3)
    assert {
        path: have[path] for path in ("conv1", "conv2", "max_pool1", "conv3", "conv4", "max_pool2")
    } == {
        "conv1": (3, 3),
        "conv2": (5, 5),
        "max_pool1": (6, 6),
        "conv3": (10, 10),
        "conv4": (14, 14),
        "max_pool2": (16, 16),
    }
    assert have["flatten1"] == (16, 16)  # a number of the flat vector still sees one patch
    assert have["dense1"] == "all"


@pytest.mark.parametrize(
    "mixer", [global_avg_pool, group_norm(1), lambda x: jnp.sort(x, 1).mean(2)]
)
def test_what_mixes_all_positions_sees_all(mixer):
    assert list(fields(serial(conv(2), mixer), 8, 8, 1).values()) == [(3, 3), "all"]


def test_what_mixes_one_axis_sees_all_of_that_axis():
    assert fields(serial(conv(2), lambda x: x.mean(2)), 8, 9, 1)["lambda1"] == (3, 9)


def test_a_mean_that_leaves_out_a_column_does_not_see_it():
    strided = serial(conv(1, 2, 2, padding="valid"), global_avg_pool)
    assert fields(strided, 9, 8, 1)["global_avg_pool1"] == (8, 8)


def test_a_pool_written_as_a_reshape_sees_its_window():
    def blocks(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))

    assert list(fields(serial(conv(2), blocks, conv(2)), 8, 8, 1).values()) == [
        (3, 3),
        (4, 4),
        (8, 8),
    ]


def test_a_pool_written_as_shifted_slices_sees_its_window():
    def shifted(x):
        return jnp.maximum(x[:, :-2:2], x[:, 1:-1:2]) + x[:, 2::2]

    assert fields(serial(shifted, conv(1)), 9, 9, 1) == {"shifted1": (3, 1), "conv1": (7, 3)}


def test_tokens_see_their_patch_until_attention_mixes_them():
    def tokens(x):
        return x.reshape(x.shape[0], -1, x.shape[-1])

    def attend(x):
        return jax.nn.softmax(x @ x.mT) @ x

    net = serial(conv(4, 4, 4), tokens, layer_norm(), dense(4), attend)
    assert list(fields(net, 16, 16, 3).values()) == [(4, 4), (4, 4), (4, 4), (4, 4), "all"]


def test_enlarging_by_repetition_halves_the_step():
    def twice(x):
        return x.repeat(2, 1).repeat(2, 2)

    assert list(fields(serial(twice, conv(1), conv(1)), 8, 8, 1).values()) == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]


def test_channels_can_be_split_and_put_together():
    def shuffle(x):
        a, b = jnp.split(x, 2, -1)
        return jnp.concatenate([b, a[:, ::-1, ::-1][:, ::-1, ::-1]], -1)

    assert fields(serial(conv(4), shuffle), 8, 8, 1)["shuffle1"] == (3, 3)


def test_rows_put_together_in_order_see_what_they_saw():
    def halves(x):
        return jnp.concatenate([x[:, :3], x[:, 3:]], 1)

    def turned(x):
        return jnp.roll(x, 3, 1)

    assert fields(serial(conv(1), halves, conv(1)), 8, 8, 1)["conv2"] == (5, 5)
    assert fields(serial(conv(1), turned, conv(1)), 8, 8, 1)["conv2"] == (8, 5)


@pytest.mark.parametrize(
    "unknown",
    [
        lambda x: x[:, jnp.arange(8)[::-1]],
        lambda x: jnp.fft.fft(x, axis=1).real,
        lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2), (0, x))[1],
        lambda x: lax.dynamic_slice_in_dim(x, jnp.argmax(x[0, 0, 0]), 4, 1),
    ],
)
def test_an_operation_without_a_rule_is_never_taken_for_less(unknown):
    assert fields(serial(conv(1), unknown), 8, 8, 1)["lambda1"] in ("all", (8, 3))


def test_a_recurrence_over_rows_sees_them_all():
    def scanned(x):
        return lax.scan(lambda carry, row: (carry + row, carry), x[:, 0], x.swapaxes(0, 1))[0]

    assert fields(serial(conv(1), scanned), 8, 7, 1)["scanned1"] == (8, 3)


def test_children_called_inside_jit_have_fields_too():
    net = wire(lambda f, x: jax.jit(f.second)(f.first(x)), first=conv(1), second=conv(1))
    assert fields(net, 8, 8, 1) == {"first": (3, 3), "second": (5, 5)}


def test_a_value_that_does_not_depend_on_the_input_has_no_field():
    assert fields(serial(conv(1), jnp.zeros_like), 8, 8, 1)["zeros_like1"] is None


def test_signals_and_volumes_have_fields_of_their_rank():
    assert fields(serial(conv(2, 3), max_pool(2)), 16, 1)["max_pool1"] == (4,)
    assert fields(conv(1, (1, 2, 3)), 4, 4, 4, 1) == {"conv": (1, 2, 3)}


def test_vectors_have_no_field():
    assert fields(dense(2), 8) == {"dense": None}
