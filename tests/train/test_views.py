"""Test-time augmentation against a loop over views."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

import fcnn
from fcnn import augment, dense, flatten, serial
from fcnn.core.network import start_network

from .parts import bands, noting


def moved(key, image):
    """A picture some rows further down, which come in again at the top."""
    return jnp.roll(image, random.randint(key, (), 0, 8), 0)


LAYER = serial(flatten, dense(3))


def network(layer=LAYER, output="softmax"):
    return start_network(layer, jax.random.key(1), bands(2).x, output=output)


def by_hand(net, x, seed, views):
    """The raw outputs for the examples as they are and for each of their views."""
    rows = {"x": x, "index": np.arange(len(x))}
    epochs = [np.full(len(x), view) for view in range(1, views + 1)]
    seen = [draw(jax.random.key(seed), {**rows, "epoch": epoch})["x"] for epoch in epochs]
    return [net(pictures) for pictures in (x, *seen)]


draw = jax.jit(functools.partial(augment.on_batch, moved))
ACTIVATIONS = {
    "softmax": jax.nn.softmax,
    "sigmoid": jax.nn.sigmoid,
    "exp": np.exp,
    "identity": np.asarray,
}


@pytest.mark.parametrize("output", ACTIVATIONS)
def test_raw_outputs_stand_for_means_over_the_example_and_its_views(output):
    net, data, activation = network(output=output), bands(11), ACTIVATIONS[output]
    seen = by_hand(net, data.x, 5, 3)
    expected = np.mean([activation(raw) for raw in seen], 0)
    raw = fcnn.predict(net, data.x, augment=moved, views=3, seed=5, raw=True, batch_size=4)
    np.testing.assert_allclose(activation(raw), expected, rtol=1e-5, atol=1e-6)
    assert abs(expected - activation(seen[0])).max() > 1e-3


def test_predictions_and_reports_are_of_these_means():
    net, data = network(), bands(30)
    expected = np.mean(jax.nn.softmax(np.array(by_hand(net, data.x, 3, 4))), 0)
    options = {"augment": moved, "views": 4, "seed": 3}
    p = fcnn.predict(net, data.x, batch_size=8, **options)
    np.testing.assert_allclose(p, expected, rtol=1e-5, atol=1e-6)
    report = fcnn.evaluate(net, data, batch_size=8, **options)
    np.testing.assert_allclose(report.probabilities, p, rtol=1e-4, atol=1e-6)
    assert report.loss == pytest.approx(-np.log(p[np.arange(30), data.y]).mean(), rel=1e-5)
    assert report.accuracy == (p.argmax(1) == data.y).mean()


def test_views_depend_on_the_seed_and_not_on_the_batch():
    """Nor is there a program for each seed, each number of examples, or each view."""
    traces, options = [], {"augment": moved, "views": 6}
    net, x = network(serial(noting(traces), LAYER)), bands(9).x
    traces.clear()
    a, b = (fcnn.predict(net, x, seed=1, batch_size=size, **options) for size in (4, 9))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    of_two_sizes = len(traces)
    assert abs(a - fcnn.predict(net, x, seed=2, batch_size=4, **options)).max() > 1e-4
    fcnn.predict(net, bands(13).x, batch_size=4, **options)
    assert len(traces) == of_two_sizes < 6


def test_views_help_a_network_that_saw_none():
    """Trained on pictures in place and asked about shifted ones, means over shifts know more."""
    rng = np.random.default_rng(0)
    train, test = fcnn.data.digits()
    layer = serial(flatten, dense(10))
    net, _ = fcnn.fit(layer, train, epochs=20, progress=False)
    shifted = np.stack([np.roll(x, rng.integers(-1, 2), axis=1) for x in test.x])
    plain = fcnn.evaluate(net, (shifted, test.y))

    def aside(key, image):
        return jnp.roll(image, random.randint(key, (), -1, 2), 1)

    several = fcnn.evaluate(net, (shifted, test.y), augment=aside, views=16)
    assert several.loss < plain.loss


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"views": 3}, ValueError, "views=3 are drawn by an augmentation: give augment"),
        ({"augment": moved, "views": 0}, ValueError, "views must be at least 1, got 0"),
        ({"augment": moved, "views": 2.5}, TypeError, "views must be an integer, got 2.5"),
        ({"augment": augment.mixup()}, ValueError, "mixes examples"),
        ({"augment": augment.center_crop(4)}, ValueError, r"makes float32\[4, 4, 1\]"),
        ({"augment": 7}, TypeError, "augment must be an augmentation"),
        ({"augment": "nothing"}, KeyError, "nothing"),
    ],
)
def test_views_that_do_not_suit_are_refused(options, error, words):
    for run in (
        lambda: fcnn.predict(network(), bands(3).x, **options),
        lambda: fcnn.evaluate(network(), bands(3), **options),
    ):
        with pytest.raises(error, match=words):
            run()
