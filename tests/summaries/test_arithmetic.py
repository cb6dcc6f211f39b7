"""Multiply-adds against counts by hand."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from fcnn.core import remat, repeat, serial
from fcnn.layers.convolution import conv, conv_transpose, depthwise_conv, separable_conv
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten
from fcnn.summaries import summary
from fcnn.summaries.arithmetic import multiply_adds, traced


def macs(layer, *shape):
    return summary(layer, jax.ShapeDtypeStruct((1, *shape), "float32")).macs


def test_products_with_padding_count():
    counted = summary(conv(2, 2, bias=False), jax.ShapeDtypeStruct((1, 4, 4, 1), "float32"))
    assert counted.flops == 256  # the compiler, which leaves padding out, says 196


@pytest.mark.parametrize(
    ("layer", "shape", "count"),
    [
        (conv(6, 3), (8, 8, 4), 8 * 8 * 6 * 3 * 3 * 4),
        (conv(6, 3, 2), (8, 8, 4), 4 * 4 * 6 * 3 * 3 * 4),
        (conv(6, 5, padding="valid"), (8, 8, 4), 4 * 4 * 6 * 5 * 5 * 4),
        (conv(6, 3, dilation=2), (8, 8, 4), 8 * 8 * 6 * 3 * 3 * 4),
        (conv(6, 3, groups=2), (8, 8, 4), 8 * 8 * 6 * 3 * 3 * 2),
        (conv(6, 3), (8, 4), 8 * 6 * 3 * 4),
        (conv(6, 3), (4, 4, 4, 2), 4**3 * 6 * 3**3 * 2),
        (depthwise_conv(3), (8, 8, 4), 8 * 8 * 4 * 3 * 3),
        (separable_conv(6, 3), (8, 8, 4), 8 * 8 * 4 * (3 * 3 + 6)),
        (conv_transpose(6, 2, 2), (4, 4, 3), 4 * 4 * 3 * 2 * 2 * 6),
        (serial(flatten, dense(10)), (4, 4, 3), 48 * 10),
        (repeat(dense(8), 5), (8,), 5 * 64),
        (remat(dense(8)), (8,), 64),
        (serial(jax.nn.gelu, jax.nn.softmax), (8,), 0),
    ],
)
def test_layers_cost_what_a_count_by_hand_says(layer, shape, count):
    assert macs(layer, *shape) == count


def test_matrix_products_count_their_batch():
    a, b = jax.ShapeDtypeStruct((2, 3, 4), "float32"), jax.ShapeDtypeStruct((2, 4, 5), "float32")
    assert multiply_adds(traced(jnp.matmul, a, b)) == 2 * 3 * 4 * 5


def test_loops_and_branches_count_what_they_run():
    x = jax.ShapeDtypeStruct((4, 4), "float32")

    def scan(x):
        return lax.scan(lambda c, _: (c @ c, None), x, length=3)[0]

    def either(x):
        return lax.cond(x[0, 0] > 0, lambda x: x @ x @ x, lambda x: x @ x, x)

    def loop(x):
        return lax.while_loop(lambda x: x[0, 0] > 0, lambda x: x @ x, x)

    assert [multiply_adds(traced(fn, x)) // 64 for fn in (scan, either, loop)] == [3, 2, 1]


def test_programs_inside_jit_and_custom_derivatives_count():
    @jax.custom_vjp
    def square(x):
        return x @ x

    square.defvjp(lambda x: (square(x), x), lambda x, slope: (slope,))
    x = jax.ShapeDtypeStruct((4, 4), "float32")
    assert multiply_adds(traced(lambda x: jax.jit(square)(x) + jax.checkpoint(square)(x), x)) == 128
