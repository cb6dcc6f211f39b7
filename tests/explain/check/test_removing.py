import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import serial
from fcnn.core.network import start_network
from fcnn.explain import check, gradients
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten

X = np.asarray(random.uniform(random.key(0), (3, 5, 4, 2)))
MAPS = np.random.default_rng(0).normal(size=(3, 5, 4))


@pytest.fixture(scope="module")
def network():
    return start_network(serial(flatten, dense(6), jnp.tanh, dense(3)), random.key(1), X)


def curve(network, x, order, target, steps, baseline, kind):
    """Probabilities, as positions are exchanged one after another."""
    found = []
    for step in range(steps + 1):
        taken = order[: round(step / steps * len(order))]
        mask = np.isin(np.arange(20), taken).reshape(5, 4, 1)
        picture = np.where(mask == (kind == "deletion"), baseline, x)
        found.append(jax.nn.softmax(network(picture[None]))[0, target])
    return np.array(found)


@pytest.mark.parametrize("kind", ["deletion", "insertion"])
def test_curves_equal_a_loop_over_steps(network, kind):
    target = [2, 0, 1]
    found = getattr(check, kind)(network, X, MAPS, target, steps=6, baseline=0.5)
    truth = [
        curve(network, x, np.argsort(-m.ravel()), t, 6, 0.5, kind)
        for x, m, t in zip(X, MAPS, target, strict=True)
    ]
    np.testing.assert_allclose(found.curves, truth, atol=1e-6)
    np.testing.assert_allclose(found.part, np.round(np.linspace(0, 20, 7)) / 20)
    area = [
        sum((c[i] + c[i + 1]) / 2 * (found.part[i + 1] - found.part[i]) for i in range(6))
        for c in truth
    ]
    np.testing.assert_allclose(found.auc, area, atol=1e-6)


def test_the_random_curve_is_that_of_random_maps(network):
    maps = check.random_maps(network, X, seed=4)
    found = check.deletion(network, X, check.random_maps, 1, steps=5, seed=4)
    np.testing.assert_allclose(
        found.random, check.deletion(network, X, maps, 1, steps=5).curves, atol=1e-6
    )
    assert found.random_auc.shape == (3,)


@pytest.mark.slow
def test_true_maps_of_a_linear_network_beat_random_ones_and_print_so():
    x = random.normal(random.key(0), (8, 8, 8, 1))
    network = start_network(serial(flatten, dense(2)), random.key(1), x)
    low = check.deletion(network, x, gradients.gradient_x_input, 1)
    high = check.insertion(network, x, gradients.gradient_x_input, 1)
    assert low.better.all()
    assert high.better.all()
    assert str(low).startswith(f"deletion: AUC {low.auc.mean():.3f}, random maps ")
    assert str(low).endswith("(low is good); better than random in 8 of 8 examples")
    assert "(high is good)" in repr(high)
    worst = check.deletion(network, x, -gradients.gradient_x_input(network, x, 1), 1)
    assert not worst.better.any()


def test_equal_positions_go_in_a_drawn_order(network):
    flat = check.deletion(network, X, np.ones((3, 5, 4)), 1, steps=10, seed=0).curves
    other = check.deletion(network, X, np.ones((3, 5, 4)), 1, steps=10, seed=1).curves
    assert not np.allclose(flat, other)
    np.testing.assert_allclose(flat[:, [0, -1]], other[:, [0, -1]], atol=1e-6)


def test_the_output_is_what_the_network_predicts(network):
    raw = network.replace(output="identity")
    found = check.deletion(raw, X, MAPS, 1, steps=2).curves[:, 0]
    np.testing.assert_allclose(found, network(X)[:, 1], rtol=1e-5)
    sure = network.replace(output="sigmoid")
    found = check.deletion(sure, X, MAPS, 1, steps=2).curves[:, 0]
    np.testing.assert_allclose(found, jax.nn.sigmoid(network(X)[:, 1]), rtol=1e-5)


@pytest.mark.parametrize(
    ("maps", "options", "text"),
    [
        (MAPS[:, :4], {}, r"maps of inputs \[3, 5, 4, 2\] have the shape \[3, 5, 4\], got"),
        (X, {}, r"have the shape \[3, 5, 4\], got \[3, 5, 4, 2\]"),
        (MAPS * np.nan, {}, "maps hold NaN or infinity"),
        (MAPS, {"steps": 21}, "an input has 20 positions, too few for 21 steps"),
        (MAPS, {"steps": 0}, "steps must be a positive integer"),
        (MAPS, {"target": 3}, "no output 3"),
    ],
)
def test_questions_without_an_answer_are_refused(network, maps, options, text):
    with pytest.raises(ValueError, match=text):
        check.insertion(network, X, maps, **{"steps": 5, **options})


def test_a_check_needs_an_example(network):
    with pytest.raises(ValueError, match="nothing to check: x has no examples"):
        check.deletion(network, X[:0], MAPS[:0])
