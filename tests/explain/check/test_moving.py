import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial
from fcnn.core.network import start_network
from fcnn.explain import check, gradients, saliency
from fcnn.explain.check.moving import moves
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten

X = np.asarray(random.uniform(random.key(0), (3, 5, 4, 2)))
TARGET = np.array([2, 0, 1])
SIZE = (X.max((1, 2, 3)) - X.min((1, 2, 3))).reshape(-1, 1, 1, 1)


@pytest.fixture(scope="module")
def network():
    return start_network(serial(flatten, dense(6), jnp.tanh, dense(3)), random.key(1), X)


def formula(network, maps, draws, scaled):
    """Infidelity, sample by sample, as captum computes it."""
    rows = np.arange(3)
    before = np.asarray(network(X), np.float64)[rows, TARGET]
    dots, falls = [], []
    for draw in draws:
        noise = SIZE * draw
        after = np.asarray(network(np.float32(X - noise)), np.float64)[rows, TARGET]
        falls.append(before - after)
        shaped = maps if maps.ndim == 4 else maps[..., None]
        dots.append((shaped * noise).sum((1, 2, 3)))
    dots, falls = np.array(dots), np.array(falls)
    beta = (dots * falls).mean(0) / (dots**2).mean(0) if scaled else 1
    return ((beta * dots - falls) ** 2).mean(0)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("channels", [True, False])
def test_infidelity_equals_the_formula_on_the_same_draws(network, channels, scaled):
    maps = gradients.gradient_x_input(network, X, TARGET, channels=channels)
    found = check.infidelity(network, X, maps, TARGET, samples=20, scaled=scaled, seed=2)
    shape = (5, 4, 2 if channels else 1)
    draws = moves(np.random.Generator(np.random.Philox(2)).standard_normal, shape, 0.1, 20)
    np.testing.assert_allclose(
        found.values, formula(network, maps, draws, scaled), rtol=1e-4, atol=1e-9
    )
    falls = formula(network, np.zeros_like(maps), draws, False)
    np.testing.assert_allclose(found.nothing, falls, rtol=1e-4)


def test_infidelity_of_the_slope_of_a_linear_network_is_zero():
    x = random.normal(random.key(0), (2, 6, 6, 2))
    network = start_network(serial(flatten, dense(3)), random.key(1), x)
    kernel = np.asarray(network.params["dense1"]["kernel"]).reshape(6, 6, 2, 3)[..., 1]
    slope = np.broadcast_to(kernel, x.shape)
    found = check.infidelity(network, x, slope, 1, scaled=False)
    np.testing.assert_allclose(found.values, 0, atol=1e-9)
    assert (found.random > 0.1 * found.nothing).all()
    assert check.infidelity(network, x, 7 * slope, 1).values.max() < 1e-9
    summed = check.infidelity(network, x, kernel.sum(-1) * np.ones((2, 1, 1)), 1, scaled=False)
    np.testing.assert_allclose(summed.values, 0, atol=1e-9)


def test_infidelity_prints_beside_that_of_random_maps(network):
    found = check.infidelity(network, X, check.random_maps, TARGET)
    assert str(found).startswith(f"infidelity: {found.values.mean():.4g}, random maps ")
    assert str(found).endswith("of 3 examples")
    assert (found.random <= found.nothing).all()  # the best multiple may be none of it


def test_sensitivity_equals_the_formula_on_the_same_draws(network):
    found = check.sensitivity(network, X, saliency, TARGET, radius=0.05, samples=4, seed=3)
    draws = np.random.Generator(np.random.Philox(3)).uniform(-1, 1, (4, *X.shape[1:])) * 0.05
    first = saliency(network, X, TARGET)
    worst = np.zeros(3)
    for draw in draws:
        moved = saliency(network, np.float32(X + SIZE * draw), TARGET)
        ratio = [
            np.linalg.norm(m - f) / np.linalg.norm(f) for m, f in zip(moved, first, strict=True)
        ]
        worst = np.maximum(worst, ratio)
    np.testing.assert_allclose(found.values, worst, rtol=1e-3)
    assert str(found).startswith(f"sensitivity: {worst.mean():.3g}"[:16])


def test_a_map_that_ignores_the_input_does_not_move(network):
    assert check.sensitivity(network, X, check.random_maps).values.max() == 0


def test_the_target_is_that_of_the_input_as_it_is(network):
    seen = []

    def method(network, x, target):
        seen.append(np.asarray(target))
        return saliency(network, x, target)

    check.sensitivity(network, X, method, radius=5.0, samples=3)
    predicted = np.asarray(network(X).argmax(-1))
    assert all((target == predicted).all() for target in seen)


def test_questions_without_an_answer_are_refused(network):
    with pytest.raises(ValueError, match="the size of noise must be positive, got 0"):
        check.infidelity(network, X, saliency, noise=0)
    with pytest.raises(ValueError, match="samples must be a positive integer"):
        check.sensitivity(network, X, saliency, samples=0)
    with pytest.raises(TypeError, match="needs the method itself, not its maps"):
        check.sensitivity(network, X, saliency(network, X))
