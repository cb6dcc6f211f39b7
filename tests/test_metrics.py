"""Metrics against scikit-learn, by hand at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fcnn import losses, metrics

RNG = np.random.default_rng(0)


def test_accuracy_and_top_k_equal_scikit_learn():
    scores, labels = RNG.normal(size=(200, 7)), RNG.integers(0, 7, 200)
    value = metrics.accuracy(scores, labels)
    assert (value.shape, value.dtype) == ((200,), jnp.float32)
    assert value.sum() == sklearn.accuracy_score(labels, scores.argmax(1), normalize=False)
    for k in (1, 3, 6):
        expected = sklearn.top_k_accuracy_score(
            labels, scores, k=k, labels=range(7), normalize=False
        )
        assert metrics.top_k(k)(scores, labels).sum() == expected


def test_integers_and_one_hot_rows_are_the_same_targets():
    scores, labels = RNG.normal(size=(20, 4)), RNG.integers(0, 4, 20)
    for metric in (metrics.accuracy, metrics.top_k(2)):
        np.testing.assert_array_equal(metric(scores, labels), metric(scores, np.eye(4)[labels]))


def test_of_equal_outputs_the_first_is_taken():
    assert metrics.accuracy(jnp.zeros((3, 3)), jnp.arange(3)).tolist() == [1, 0, 0]
    assert metrics.top_k(2)(jnp.zeros((3, 3)), jnp.arange(3)).tolist() == [1, 1, 0]


def test_a_label_out_of_range_is_never_right():
    assert metrics.accuracy(jnp.zeros((2, 3)), jnp.array([-1, 3])).tolist() == [0, 0]


def test_pixels_are_averaged_for_each_picture():
    scores, labels = RNG.normal(size=(2, 3, 4, 5)), RNG.integers(0, 5, (2, 3, 4))
    expected = (scores.argmax(-1) == labels).mean((1, 2))
    np.testing.assert_allclose(metrics.accuracy(scores, labels), expected, rtol=1e-6)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_binary_accuracy_asks_whether_the_probability_is_above_the_threshold(threshold):
    logits, truth = RNG.normal(size=(50, 3)), RNG.integers(0, 2, (50, 3))
    expected = ((1 / (1 + np.exp(-logits)) > threshold) == truth).mean(-1)
    found = metrics.binary_accuracy(logits, truth, threshold=threshold)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_binary_accuracy_takes_one_output_with_or_without_its_axis():
    assert metrics.binary_accuracy(jnp.array([[0.1], [-0.1]]), jnp.array([1, 1])).tolist() == [1, 0]


def test_metrics_run_under_jit_in_bfloat16_with_strict_promotion():
    scores, labels = jnp.asarray(RNG.normal(size=(4, 6)), jnp.bfloat16), jnp.arange(4)
    with jax.numpy_dtype_promotion("strict"):
        for metric in (metrics.accuracy, metrics.top_k(5)):
            assert jax.jit(metric)(scores, labels).dtype == jnp.float32
        assert jax.jit(metrics.binary_accuracy)(scores, scores).dtype == jnp.float32


def test_options_that_cannot_be_are_refused():
    for k in (0, -1, 1.5):
        with pytest.raises(ValueError, match="positive integer"):
            metrics.top_k(k)
    with pytest.raises(ValueError, match="5 classes or more"):
        metrics.top_k(5)(jnp.zeros((2, 3)), jnp.zeros(2, int))
    with pytest.raises(ValueError, match="between 0 and 1"):
        metrics.binary_accuracy(jnp.zeros(2), jnp.zeros(2), threshold=1.0)


def test_metrics_and_losses_are_found_by_name():
    assert metrics.named("accuracy") is metrics.accuracy
    assert metrics.named("top_3").__name__ == "top_3"
    assert metrics.named("huber") is losses.huber
    for name in metrics.names():
        assert metrics.named(name).__name__ == name
    with pytest.raises(ValueError, match="accuracy, top_5"):
        metrics.named("acc")
