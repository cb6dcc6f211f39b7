from itertools import combinations
from math import comb, factorial

import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial
from fcnn.core.network import start_network
from fcnn.explain import kernel_shap
from fcnn.explain.shapley import coalitions
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten

X = np.asarray(random.uniform(random.key(0), (3, 8, 8, 2)))
SEGMENTS = np.stack([np.indices((8, 8)).sum(0) // 2 % k for k in (6, 8, 7)])


@pytest.fixture(scope="module")
def network():
    return start_network(serial(conv(3), jnp.tanh, flatten, dense(3)), random.key(1), X)


def enumerated(network, x, target, segments, baseline):
    """The definition: each player's gain, averaged over all coalitions of the others."""
    k = segments.max() + 1
    sets = [frozenset(s) for size in range(k + 1) for s in combinations(range(k), size)]
    pictures = [np.where(np.isin(segments, list(s))[..., None], x, baseline) for s in sets]
    outputs = np.asarray(network(jnp.asarray(pictures, jnp.float32)), np.float64)[:, target]
    worth = dict(zip(sets, outputs, strict=True))
    phi = np.zeros(k)
    for player in range(k):
        for s in sets:
            if player not in s:
                weight = factorial(len(s)) * factorial(k - len(s) - 1) / factorial(k)
                phi[player] += weight * (worth[s | {player}] - worth[s])
    return phi


def shared(phi, segments):
    return (phi / np.bincount(segments.flat))[segments]


def test_values_equal_those_of_the_definition_where_samples_allow(network):
    maps = kernel_shap(network, X, [0, 2, 1], segments=SEGMENTS, samples=254, baseline=0.25)
    assert maps.dtype == np.float32
    for x, target, parts, found in zip(X, [0, 2, 1], SEGMENTS, maps, strict=True):
        truth = shared(enumerated(network, x, target, parts, 0.25), parts)
        np.testing.assert_allclose(found, truth, atol=1e-6)


def test_estimates_come_near_the_values_and_nearer_with_more_samples(network):
    truth = shared(enumerated(network, X[1], 2, SEGMENTS[1], 0.0), SEGMENTS[1])

    def error(samples):
        maps = [
            kernel_shap(network, X[1:2], 2, segments=SEGMENTS[1], samples=samples, seed=seed)[0]
            for seed in range(12)
        ]
        return np.sqrt(np.mean((np.array(maps) - truth) ** 2)) / np.abs(truth).mean()

    few, many = error(24), error(216)
    assert many < 0.1
    assert many < few / 2  # by 1/sqrt(samples) a third


@pytest.mark.parametrize("samples", [16, 100, 254])
def test_maps_add_up_to_the_output_less_that_of_the_fill(network, samples):
    maps = kernel_shap(network, X, 1, segments=SEGMENTS, samples=samples, baseline=0.25)
    outputs, nothing = (np.asarray(network(x))[:, 1] for x in (X, np.full_like(X, 0.25)))
    np.testing.assert_allclose(maps.sum((1, 2)), outputs - nothing, atol=1e-5)


@pytest.mark.slow
def test_values_of_a_linear_network_are_its_weights_times_the_input():
    x = random.normal(random.key(0), (2, 4, 5, 2))
    network = start_network(serial(flatten, dense(3)), random.key(1), x)
    kernel = np.asarray(network.params["dense1"]["kernel"]).reshape(4, 5, 2, 3)
    maps = kernel_shap(network, x, 1, segments=np.arange(20).reshape(4, 5), samples=200)
    np.testing.assert_allclose(maps, (kernel[..., 1] * x).sum(-1), atol=1e-5)


def test_all_coalitions_have_the_weights_of_the_shapley_kernel():
    z, weight = coalitions(5, 30, 0)
    assert len(np.unique(z, axis=0)) == 30
    for kept, w in zip(z, weight, strict=True):
        s = kept.sum()
        assert w == pytest.approx(4 / (comb(5, s) * s * (5 - s)))


def test_drawn_coalitions_have_the_sizes_of_the_kernel_and_their_complements():
    z, weight = coalitions(12, 4000, 0)
    np.testing.assert_array_equal(z[2000:], ~z[:2000])
    assert (weight == 1).all()
    sizes = np.arange(1, 12)
    chance = 1 / (sizes * (12 - sizes))
    np.testing.assert_allclose(
        np.bincount(z.sum(1), minlength=13)[1:12] / 4000, chance / chance.sum(), atol=0.02
    )
    np.testing.assert_allclose(z.mean(0), 0.5, atol=1e-9)


def test_one_segment_has_the_whole_difference(network):
    maps = kernel_shap(network, X, 1, segments=np.zeros((8, 8), int), samples=2)
    outputs, nothing = (np.asarray(network(x))[:, 1] for x in (X, np.zeros_like(X)))
    expected = np.broadcast_to(((outputs - nothing) / 64)[:, None, None], maps.shape)
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    assert kernel_shap(network, X[:0], 1).shape == (0, 8, 8)


def test_fewer_samples_than_two_for_each_segment_are_refused(network):
    with pytest.raises(ValueError, match="at least two for each of 8 segments, got 15"):
        kernel_shap(network, X, segments=SEGMENTS, samples=15)
