"""Noise: what it does on average, where it is alike, and that it is off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import serial
from fcnn.layers.regularization import (
    alpha_dropout,
    drop_path,
    dropout,
    gaussian_dropout,
    gaussian_noise,
    spatial_dropout,
)

MAKES = [dropout, spatial_dropout, drop_path, alpha_dropout, gaussian_dropout, gaussian_noise]
KEY = jax.random.key(3)


def train(layer, x, key=KEY):
    return np.asarray(layer.apply({}, {}, x, train=True, key=key)[0])


@pytest.mark.parametrize("make", MAKES)
def test_nothing_happens_in_evaluation_or_without_strength(make):
    x = jnp.ones((2, 3, 4))
    assert make(0.5).apply({}, {}, x)[0] is x
    assert make(0.5).apply({}, {}, x, key=KEY)[0] is x
    assert make(0.0).apply({}, {}, x, train=True)[0] is x


@pytest.mark.parametrize("make", MAKES)
def test_the_key_decides(make):
    x = jnp.ones((8, 3, 16))
    first = train(make(0.5), x)
    np.testing.assert_array_equal(first, train(make(0.5), x))
    assert (first != train(make(0.5), x, jax.random.key(4))).any()


@pytest.mark.parametrize("make", MAKES)
def test_a_missing_key_names_the_layer(make):
    x = jnp.ones((2, 3, 4))
    with pytest.raises(ValueError, match=rf"{make.__name__} needs a key.*train=True, key=key"):
        make(0.5).apply({}, {}, x, train=True)
    with pytest.raises(ValueError, match="head needs a key"):
        serial(head=make(0.5)).apply({}, {}, x, train=True)


@pytest.mark.parametrize("make", MAKES[:-1])
@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, float("nan")])
def test_a_rate_is_a_probability_below_one(make, rate):
    with pytest.raises(ValueError, match=f"{make.__name__} is the probability of dropping"):
        make(rate)


def test_noise_cannot_be_negative():
    with pytest.raises(ValueError, match="stddev"):
        gaussian_noise(-1.0)


@pytest.mark.parametrize("make", MAKES)
def test_integers_are_refused(make):
    with pytest.raises(TypeError, match=f"{make.__name__} computes in floating point"):
        make(0.5).init(KEY, jnp.ones((2, 3), int))


@pytest.mark.parametrize(
    ("make", "axes"), [(dropout, ()), (spatial_dropout, (1, 2)), (drop_path, (1, 2, 3))]
)
def test_what_is_dropped_is_dropped_whole_and_the_rest_grows(make, axes):
    x = np.random.default_rng(0).uniform(1, 2, (64, 2, 3, 50)).astype(np.float32)
    factor = train(make(0.25), x) / x
    np.testing.assert_allclose(np.unique(factor.round(5)), [0, 1.33333], atol=1e-5)
    each = factor.mean(axes)
    np.testing.assert_allclose(np.unique(each.round(5)), [0, 1.33333], atol=1e-5)
    dropped = (each == 0).mean()
    assert abs(dropped - 0.25) < 4 * np.sqrt(0.25 * 0.75 / each.size)


def test_dropout_differs_from_example_to_example():
    masks = train(spatial_dropout(0.5), jnp.ones((32, 4, 16)))[:, 0]
    assert len(np.unique(masks, axis=0)) > 16


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(1000, 100)).astype(np.float32)
    y = train(alpha_dropout(0.3), x)
    assert abs(y.mean()) < 0.02
    assert abs(y.var() - 1) < 0.03
    a = ((1 - 0.3) * (1 + 0.3 * 1.7580993**2)) ** -0.5
    kept = np.isclose(y, a * x + a * 0.3 * 1.7580993, atol=1e-5)
    assert abs(kept.mean() - 0.7) < 0.01
    np.testing.assert_allclose(y[~kept], -a * 1.7580993 * 0.7, atol=1e-5)


def test_gaussian_noises_have_the_promised_mean_and_variance():
    x = np.full((1000, 100), 2.0, np.float32)
    added, multiplied = train(gaussian_noise(0.5), x), train(gaussian_dropout(0.2), x)
    np.testing.assert_allclose([added.mean(), multiplied.mean()], 2.0, atol=0.02)
    np.testing.assert_allclose(added.var(), 0.25, rtol=0.03)
    np.testing.assert_allclose(multiplied.var(), 4 * 0.25, rtol=0.03)


@pytest.mark.parametrize("make", MAKES)
def test_half_precision_stays(make):
    x = jnp.ones((4, 2, 8), jnp.bfloat16)
    with jax.numpy_dtype_promotion("strict"):
        assert train(make(0.5), x).dtype == jnp.bfloat16


def test_the_gradient_flows_where_the_number_was_kept():
    x = jnp.ones((4, 8))
    g = jax.grad(lambda x: dropout(0.5).apply({}, {}, x, train=True, key=KEY)[0].sum())(x)
    np.testing.assert_array_equal(g, train(dropout(0.5), x))
