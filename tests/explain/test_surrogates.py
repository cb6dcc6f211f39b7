import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial
from fcnn.core.network import start_network
from fcnn.explain import lime
from fcnn.explain.surrogates import coefficients, drawn
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten

X = np.asarray(random.uniform(random.key(0), (3, 8, 8, 2)))
QUARTERS = np.indices((8, 8)).sum(0) // 2 % 5


@pytest.fixture(scope="module")
def network():
    return start_network(serial(conv(3), jnp.tanh, flatten, dense(3)), random.key(1), X)


def values(network, x, target, kept):
    """The outputs of a picture of which only some segments are kept, by numpy."""
    pictures = [np.where(k[QUARTERS][..., None], x, 0.25) for k in kept]
    return np.asarray(network(jnp.asarray(pictures, jnp.float32)), np.float64)[:, target]


@pytest.mark.slow
def test_coefficients_of_a_linear_network_are_exact():
    x = random.normal(random.key(0), (2, 4, 5, 2))
    network = start_network(serial(flatten, dense(3)), random.key(1), x)
    kernel = np.asarray(network.params["dense1"]["kernel"]).reshape(4, 5, 2, 3)
    truth = (kernel[..., 1] * (x - 0.5)).sum(-1)
    maps = lime(
        network, x, 1, segments=np.arange(20).reshape(4, 5), ridge=0, baseline=0.5, samples=200
    )
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, truth, atol=1e-5)


def test_lime_equals_the_ridge_regression_of_scikit_learn(network):
    linear = pytest.importorskip("sklearn.linear_model")
    options = {"samples": 60, "width": 0.4, "ridge": 0.7, "seed": 3}
    maps = lime(network, X, [0, 2, 1], segments=QUARTERS, baseline=0.25, **options)
    kept = drawn(5, 60, 3)
    ones = np.ones(5)
    cosine = [k @ ones / np.sqrt(k.sum() * 5) if k.any() else 0 for k in kept]
    weight = np.exp(-((1 - np.array(cosine)) ** 2) / (2 * 0.4**2))
    for x, target, found in zip(X, [0, 2, 1], maps, strict=True):
        truth = linear.Ridge(0.7).fit(kept, values(network, x, target, kept), weight).coef_
        np.testing.assert_allclose(found, truth[QUARTERS], atol=1e-5)


def test_draws_keep_all_segments_first_and_then_half_of_them():
    kept = drawn(7, 4000, 0)
    assert kept[0].all()
    np.testing.assert_allclose(kept.mean(0), 0.5, atol=0.03)
    assert len(np.unique(kept, axis=0)) == 2**7


def test_a_map_depends_on_its_example_and_the_seed_alone(network):
    options = {"segments": 6, "samples": 50}
    whole = lime(network, X, 1, **options)
    np.testing.assert_allclose(lime(network, X[1:2], 1, **options), whole[1:2], atol=1e-6)
    assert not np.allclose(lime(network, X, 1, **options, seed=1), whole)
    assert lime(network, X[:0], 1, segments=6).shape == (0, 8, 8)


def test_a_segment_that_is_always_kept_has_no_coefficient():
    kept = np.array([[True, True], [True, False], [True, True]])
    np.testing.assert_allclose(coefficients(kept, np.array([3.0, 1.0, 3.0]), 0.25, 0), [0, 2])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"samples": 0}, "samples must be a positive integer, got 0"),
        ({"width": 0}, "width must be positive and ridge not negative, got 0 and 1.0"),
        ({"ridge": -1}, "got 0.25 and -1"),
    ],
)
def test_options_out_of_range_are_refused(network, options, text):
    with pytest.raises(ValueError, match=text):
        lime(network, X, **options)
