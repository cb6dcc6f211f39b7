import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import Network, serial
from fcnn.core.network import start_network
from fcnn.explain import completeness_gap, integrated_gradients
from fcnn.layers import avg_pool, conv, dense, flatten, gelu, relu

X = np.asarray(random.uniform(random.key(0), (4, 8, 8, 2)))
SMOOTH = serial(conv(4), gelu, avg_pool(2), flatten, dense(3))


@pytest.fixture(scope="module")
def network():
    return start_network(SMOOTH, random.key(1), X)


def powers():
    """Outputs ``sum(x)``, ``sum(x**2)``, ``sum(x**3)``, whose integrals are known."""

    def sums(x):
        return jnp.stack([(x**k).sum((1, 2, 3)) for k in (1, 2, 3)], -1)

    return start_network(serial(sums), random.key(0), X)


@pytest.mark.parametrize("target", [0, 1, 2])
def test_polynomials_have_their_integrals_with_few_steps(target):
    maps = integrated_gradients(powers(), X, target, baseline=0.5, steps=2, channels=True)
    k = target + 1  # along the line from r to x, the mean of k u**(k-1) is (x**k - r**k) / (x - r)
    np.testing.assert_allclose(maps, X**k - 0.5**k, rtol=1e-5, atol=1e-6)


def test_maps_are_the_sums_over_channels(network):
    whole = integrated_gradients(network, X, 1, channels=True)
    assert whole.shape == X.shape
    np.testing.assert_allclose(integrated_gradients(network, X, 1), whole.sum(-1), atol=1e-6)


def test_maps_add_up_to_the_change_of_the_output(network):
    for target in (0, [2, 1, 0, 1]):
        maps = integrated_gradients(network, X, target)
        there = np.take_along_axis(network(X), np.broadcast_to(target, 4)[:, None], 1)[:, 0]
        nothing = np.asarray(network(0 * X))[range(4), np.broadcast_to(target, 4)]
        np.testing.assert_allclose(maps.sum((1, 2)), there - nothing, rtol=1e-3)
        np.testing.assert_allclose(completeness_gap(network, X, maps, target), 0, atol=1e-5)


@pytest.mark.slow
def test_the_gap_of_a_network_of_relus_falls_with_the_steps():
    """Its gradient jumps: no quadrature does better than one over their number."""
    model = serial(conv(8), relu, conv(8), relu, flatten, dense(3))
    network = start_network(model, random.key(1), X)
    gaps = []
    for steps in (4, 64, 1024):
        maps = integrated_gradients(network, X, 1, baseline=0.5, steps=steps)
        gaps.append(np.abs(completeness_gap(network, X, maps, 1, baseline=0.5)).mean())
    assert gaps[0] > 4 * gaps[1] > 16 * gaps[2]
    assert gaps[2] < 1e-3 * np.abs(maps.sum((1, 2))).mean()


def test_a_tolerance_takes_the_steps_that_each_example_needs():
    network = start_network(serial(conv(8), relu, flatten, dense(3)), random.key(1), X)
    options = {"target": [0, 1, 2, 0], "baseline": 0.5}
    change = completeness_gap(network, X, np.zeros(X.shape), **options)

    def gaps(maps):
        return np.abs(completeness_gap(network, X, maps, **options) / change)

    rough = integrated_gradients(network, X, **options, steps=4)
    assert gaps(rough).max() > 2e-3
    fine = integrated_gradients(network, X, **options, steps=4, tolerance=2e-3)
    assert gaps(fine).max() < 2e-3
    enough = gaps(rough) < 2e-3
    np.testing.assert_array_equal(fine[enough], rough[enough])
    exact = integrated_gradients(network, X, **options, steps=1024)
    np.testing.assert_allclose(fine, exact, atol=0.02 * np.abs(exact).max())


def test_a_tolerance_that_is_not_met_is_said():
    network = start_network(serial(conv(8), relu, flatten, dense(3)), random.key(1), X)
    with pytest.warns(RuntimeWarning, match="128 steps leave a gap of more than 1e-09 .* 4 of 4"):
        integrated_gradients(network, X, 1, steps=1, tolerance=1e-9)
    for tolerance in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="tolerance must be a positive number"):
            integrated_gradients(network, X, 1, tolerance=tolerance)


def test_the_gap_is_what_a_map_misses(network):
    change = np.asarray(network(X))[:, 2] - np.asarray(network(np.ones_like(X)))[:, 2]
    gap = completeness_gap(network, X, np.full((4, 8, 8), 0.5), 2, baseline=1.0)
    np.testing.assert_allclose(gap, 32 - change, rtol=1e-5)
    assert completeness_gap(network, X[:0], np.zeros((0, 8, 8))).shape == (0,)
    with pytest.raises(ValueError, match="got 3 maps for 4 examples"):
        completeness_gap(network, X, np.zeros((3, 8, 8)))


@pytest.mark.slow
def test_the_class_predicted_for_the_input_is_explained_all_the_way(network):
    predicted = np.asarray(network(X).argmax(-1))
    maps = integrated_gradients(network, X, baseline=-2.0)
    truth = integrated_gradients(network, X, predicted, baseline=-2.0)
    np.testing.assert_allclose(maps, truth, atol=1e-6)
    gap = completeness_gap(network, X, maps, baseline=-2.0)
    np.testing.assert_allclose(gap, 0, atol=1e-4)


def test_a_baseline_is_a_number_one_input_or_one_for_each(network):
    number = integrated_gradients(network, X, 0, baseline=0.25, batch_size=3)
    for baseline in (np.full((8, 8, 2), 0.25), np.full(X.shape, 0.25), [0.25, 0.25]):
        np.testing.assert_array_equal(
            integrated_gradients(network, X, 0, baseline=baseline, batch_size=3), number
        )
    each = np.stack([np.full((8, 8, 2), value) for value in (0, 0.25, 0.5, 1)])
    maps = integrated_gradients(network, X, 0, baseline=each, batch_size=3)
    np.testing.assert_allclose(maps[1], number[1], atol=1e-6)
    assert not np.allclose(maps[2], number[2], atol=1e-3)
    with pytest.raises(ValueError, match=r"one input \[8, 8, 2\], .* got shape \[7\]"):
        integrated_gradients(network, X, baseline=np.zeros(7))


def test_any_number_of_examples_compiles_once(network):
    sizes = []

    def counted(x):
        sizes.append(len(x))
        return x

    counting = Network(
        serial(count=counted, net=network.layer), {"net": network.params}, network.state
    )
    whole = integrated_gradients(network, X, 1, steps=4)
    for n in (0, 1, 3, 4):
        maps = integrated_gradients(counting, X[:n], 1, steps=4, batch_size=2)
        np.testing.assert_allclose(maps, whole[:n], atol=1e-6)
    assert sizes.count(2) == 2  # once for the input, once for the steps between


@pytest.mark.parametrize("steps", [0, -1, 2.5])
def test_steps_are_a_positive_number(network, steps):
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        integrated_gradients(network, X, steps=steps)


@pytest.mark.slow
def test_strict_promotion_and_half_precision_pass(network):
    with jax.numpy_dtype_promotion("strict"):
        maps = integrated_gradients(network, X[:2], [0, 1], steps=2)
    half = integrated_gradients(network, jnp.bfloat16(X[:2]), [0, 1], steps=2)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, maps, atol=0.05 * np.abs(maps).max())
