import jax
import numpy as np
import pytest

import fcnn
from fcnn import dense, flatten, serial
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
