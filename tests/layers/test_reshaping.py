import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import build, serial
from fcnn.layers.reshaping import crop, flatten, reshape, zero_pad

KEY = random.key(0)
X = np.arange(2 * 4 * 6 * 3, dtype=np.float32).reshape(2, 4, 6, 3)


def run(layer, x=X):
    layer = build(serial(layer).recipe.to_json())
    params, state = layer.init(KEY, x)
    assert (params, state) == ({}, {})
    return layer.apply(params, state, x)[0]


def test_flatten_keeps_the_examples_and_takes_none_of_them():
    np.testing.assert_array_equal(run(flatten), X.reshape(2, 72))
    assert flatten(jnp.ones((0, 4, 3))).shape == (0, 12)
    assert flatten(jnp.ones(5)).shape == (5, 1)


def test_reshape_is_of_each_example():
    np.testing.assert_array_equal(run(reshape(8, 9)), X.reshape(2, 8, 9))
    np.testing.assert_array_equal(run(reshape(-1, 3)), X.reshape(2, 24, 3))
    assert reshape(-1, 3).apply({}, {}, jnp.ones((0, 4, 3)))[0].shape == (0, 4, 3)


def test_zero_pad_and_crop_undo_each_other():
    for sides, pairs in ((1, ((1, 1), (1, 1))), ((1, 2), ((1, 1), (2, 2)))):
        expected = np.pad(X, ((0, 0), *pairs, (0, 0)))
        np.testing.assert_array_equal(run(zero_pad(sides)), expected)
        np.testing.assert_array_equal(run(crop(sides), expected), X)
    sides = ((0, 2), (1, 0))
    np.testing.assert_array_equal(run(zero_pad(sides)), np.pad(X, ((0, 0), *sides, (0, 0))))
    np.testing.assert_array_equal(run(crop(sides)), X[:, :2, 1:])


def test_shapes_that_do_not_suit_are_refused_by_init():
    for layer, text in (
        (reshape(5, -1), r"it: the 72 numbers of each example in .* the shape \(5, -1\)"),
        (reshape(7), "it: the 72 numbers"),
        (crop(2), r"it: cropping 2 leaves nothing of float32\[2,4,6,3\]"),
        (crop((1, 1, 1)), r"it: cropping \(1, 1, 1\) has 3 entries"),
        (zero_pad((1, 1, 1)), r"it: padding \(1, 1, 1\) has 3 entries"),
    ):
        with pytest.raises(ValueError, match=text):
            serial(it=layer).init(KEY, X)


def test_options_that_suit_no_input_are_refused_when_the_layer_is_made():
    for make, text in (
        (lambda: reshape(-1, -1), "one side may be -1, the rest"),
        (lambda: reshape(0, 3), "side 1 must be a positive integer, got 0"),
        (lambda: reshape(-1, 2.5), "side 2 must be a positive integer, got 2.5"),
        (lambda: zero_pad("same"), "padding must be in numbers, got 'same'"),
        (lambda: crop("same"), "cropping must be in numbers"),
        (lambda: zero_pad(-1), "none negative; got -1"),
    ):
        with pytest.raises(ValueError, match=text):
            make()
