import jax
import numpy as np
import pytest

import fcnn
from fcnn import conv, dense, flatten, serial
from fcnn.core.network import start_network

from .parts import bands, line, noting, small

CLASSES = ("top", "middle", "bottom")


def network(*first, classes=CLASSES):
    layer = serial(*first, small())
    like = jax.ShapeDtypeStruct((8, 8, 1), np.float32)
    return start_network(layer, jax.random.key(1), bands(2).x, classes=classes, input=like)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 30])
def test_figures_are_exact_for_any_number_of_examples(n):
    metrics = pytest.importorskip("sklearn.metrics")
    net, data = network(), bands(n)
    report = fcnn.evaluate(net, data, batch_size=8)
    logits = np.asarray(net(data.x), np.float64)
    said = logits.argmax(-1)
    options = {"average": "macro", "zero_division": 0}
    assert report.accuracy == (said == data.y).mean()
    assert report.precision == pytest.approx(
        metrics.precision_score(data.y, said, **options), abs=1e-12
    )
    assert report.recall == pytest.approx(metrics.recall_score(data.y, said, **options), abs=1e-12)
    assert report.f1 == pytest.approx(metrics.f1_score(data.y, said, **options), abs=1e-12)
    expected = metrics.confusion_matrix(data.y, said, labels=[0, 1, 2])
    np.testing.assert_array_equal(report.confusion, expected)
    shifted = logits - logits.max(-1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(-1)) - shifted[np.arange(n), data.y]
    assert report.loss == pytest.approx(losses.mean(), rel=1e-6)


def test_weights_count():
    net, data = network(), bands(12)
    weight = np.arange(12, dtype=np.float32)
    report = fcnn.evaluate(net, (data.x, data.y, weight))
    right = np.asarray(net(data.x)).argmax(-1) == data.y
    assert report.accuracy == pytest.approx(np.average(right, weights=weight), abs=1e-12)


def test_evaluation_and_prediction_compile_once_for_any_number_of_examples():
    traces = []
    net = network(noting(traces))
    traces.clear()
    fcnn.evaluate(net, bands(5), batch_size=8)
    fcnn.predict(net, bands(5).x, batch_size=8)
    first = len(traces)
    for n in (1, 8, 9, 23):
        fcnn.evaluate(net, bands(n), batch_size=8)
        assert fcnn.predict(net, bands(n).x, batch_size=8).shape == (n, 3)
    assert len(traces) == first


def test_predictions_are_probabilities_and_do_not_depend_on_the_batch():
    net, data = network(), bands(13)
    p = fcnn.predict(net, data.x, batch_size=4)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(p, jax.nn.softmax(net(data.x)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p, fcnn.predict(net, data, batch_size=32), rtol=1e-5, atol=1e-6)
    raw = fcnn.predict(net, data.x, raw=True)
    np.testing.assert_allclose(raw, net(data.x), rtol=1e-5, atol=1e-6)


def test_no_examples_give_no_predictions_and_no_report():
    assert fcnn.predict(network(), bands(3).x[:0]).shape == (0, 3)
    with pytest.raises(ValueError, match="data is empty: at least one example is needed"):
        fcnn.evaluate(network(), (bands(3).x[:0], bands(3).y[:0]))


def test_numbers_get_a_report_on_numbers():
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = line(40)
    net = start_network(serial(flatten, dense(1)), jax.random.key(0), x, output="identity")
    report = fcnn.evaluate(net, (x, y), batch_size=16)
    said = np.asarray(net(x))[:, 0]
    assert report.mse == pytest.approx(metrics.mean_squared_error(y, said), rel=1e-6)
    assert report.mae == pytest.approx(metrics.mean_absolute_error(y, said), rel=1e-6)
    assert report.r2 == pytest.approx(metrics.r2_score(y, said), rel=1e-5)
    np.testing.assert_allclose(fcnn.predict(net, x)[:, 0], said, rtol=1e-6)


def test_the_loss_can_be_chosen():
    net, data = network(), bands(12)
    report = fcnn.evaluate(net, data, loss="focal")
    expected = float(fcnn.losses.focal(net(data.x), data.y).mean())
    assert report.loss == pytest.approx(expected, rel=1e-5)


def test_a_report_keeps_what_was_said_of_every_example():
    net, data = network(), bands(13)
    weight = np.array([1, 0, 2] * 4 + [1], np.float32)
    report = fcnn.evaluate(net, (data.x, data.y, weight), batch_size=4)
    np.testing.assert_array_equal(report.index, np.flatnonzero(weight))
    np.testing.assert_array_equal(report.targets, data.y[report.index])
    np.testing.assert_array_equal(report.weight, weight[report.index])
    p = np.asarray(jax.nn.softmax(net(data.x)))[report.index]
    np.testing.assert_allclose(report.probabilities, p, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(report.predictions, p.argmax(1))
    np.testing.assert_allclose(report.probabilities.sum(1), 1, rtol=1e-15)
    assert report.log_loss == pytest.approx(report.loss, rel=1e-5)


def test_batches_from_elsewhere_are_reported_as_the_same_examples():
    net, data = network(), bands(13)
    parts = [(data.x[i : i + 5], data.y[i : i + 5]) for i in (0, 5, 10)]
    streamed = fcnn.evaluate(net, fcnn.data.stream(lambda: iter(parts)))
    whole = fcnn.evaluate(net, data)
    for name in ("index", "targets", "weight", "confusion"):
        np.testing.assert_array_equal(getattr(streamed, name), getattr(whole, name))
    np.testing.assert_allclose(streamed.probabilities, whole.probabilities, rtol=1e-5, atol=1e-7)
    assert whole.compare(streamed).mcnemar.p_value == 1


def test_yes_or_no_has_two_probabilities():
    data = bands(21)
    net = start_network(small(1), jax.random.key(0), data.x[:1], output="sigmoid")
    report = fcnn.evaluate(net, (data.x, data.y > 0))
    p = fcnn.predict(net, data.x)[:, 0]
    np.testing.assert_allclose(report.probabilities, np.stack([1 - p, p], 1), rtol=1e-5, atol=1e-6)
    assert report.classes == ("0", "1")
    metrics = pytest.importorskip("sklearn.metrics")
    assert report.roc_auc == pytest.approx(metrics.roc_auc_score(data.y > 0, p), abs=1e-6)


def test_labels_of_several_kinds_are_reported_each_by_itself():
    data = bands(21)
    y = np.stack([data.y == 0, data.y > 0, data.y == 2], 1).astype(np.float32)
    weight = np.arange(21, dtype=np.float32) % 3
    net = network(classes=("a", "b", "c")).replace(output="sigmoid")
    report = fcnn.evaluate(net, (data.x, y, weight), batch_size=8)
    p = fcnn.predict(net, data.x)
    right = ((p > 0.5) == (y > 0.5)).mean(1)
    assert report.accuracy == pytest.approx(np.average(right, weights=weight))
    assert report.subset_accuracy == pytest.approx(np.average(right == 1, weights=weight))
    assert [row.name for row in report.per_class] == ["a", "b", "c"]
    np.testing.assert_array_equal(report.index, np.flatnonzero(weight))
    np.testing.assert_allclose(report.probabilities, p[weight > 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["softmax", "sigmoid"])
def test_pixels_are_counted_batch_by_batch(form):
    rng, outputs = np.random.default_rng(0), 3 if form == "softmax" else 1
    x = rng.normal(size=(11, 8, 8, 1)).astype(np.float32)
    y = (x[..., 0] > 0) + (x[..., 0] > 1 if form == "softmax" else 0)
    y = y.astype(np.int32)
    weight = np.arange(11, dtype=np.float32) % 3
    net = start_network(serial(conv(outputs, 3)), jax.random.key(0), x[:1], output=form)
    report = fcnn.evaluate(net, (x, y, weight), batch_size=4)
    raw = np.asarray(net(x))
    said = raw.argmax(-1) if form == "softmax" else (raw[..., 0] > 0).astype(int)
    expected = fcnn.evaluation.segmentation_report(
        y, said, classes=range(max(outputs, 2)), weight=weight
    )
    assert type(report) is type(expected)
    np.testing.assert_array_equal(report.confusion, expected.confusion)
    np.testing.assert_array_equal(report.areas, expected.areas)
    np.testing.assert_array_equal(report.index, expected.index)
    assert report.to_json() == {**expected.to_json(), "loss": report.loss}
    losses = fcnn.losses.cross_entropy if form == "softmax" else fcnn.losses.binary_cross_entropy
    targets = y if form == "softmax" else y[..., None]
    assert report.loss == pytest.approx(np.average(losses(raw, targets), weights=weight), rel=1e-5)
    rows = np.eye(3, dtype=np.float32)[y] if form == "softmax" else y[..., None]
    again = fcnn.evaluate(net, (x, rows, weight), batch_size=4)
    np.testing.assert_array_equal(again.areas, expected.areas)


def test_a_network_that_has_diverged_is_reported_all_the_same():
    net = network()
    net = net.replace(params=jax.tree.map(lambda leaf: leaf * np.nan, net.params))
    report = fcnn.evaluate(net, bands(9))
    assert report.accuracy == 1 / 3  # class 0 of three
    assert report.to_json()["log_loss"] is None
    assert "nan" in str(report)
