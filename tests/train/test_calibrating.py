"""Calibration by a temperature, on networks that were trained for too long."""

import jax
import numpy as np
import optax
import pytest

import fcnn
from fcnn import dense, flatten, relu, serial
from fcnn.core.network import start_network

from .parts import bands, line, small


def faint_digits(seed=0):
    """The scans of digits under strong noise: training data, and the rest in two halves."""
    rng = np.random.default_rng(seed)
    train, test = fcnn.data.digits()
    x, y = np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y])
    x = (x + rng.normal(0, 0.6, x.shape)).astype(np.float32)
    order = rng.permutation(len(y))
    return [(x[part], y[part]) for part in (order[:500], order[500:1100], order[1100:])]


@pytest.fixture(scope="module")
def overtrained():
    """A network that knows 500 pictures by heart."""
    train, validation, test = faint_digits()
    layer = serial(flatten, dense(128), relu, dense(10))
    network, _ = fcnn.fit(layer, train, optimizer=optax.adam(1e-2), epochs=80, progress=False)
    assert fcnn.evaluate(network, train).accuracy == 1
    return network, validation, test


def test_calibration_halves_the_error_of_an_overtrained_network(overtrained):
    network, validation, test = overtrained
    calibrated = fcnn.calibrate(network, validation)
    before, after = fcnn.evaluate(network, test), fcnn.evaluate(calibrated, test)
    assert before.calibration_error > 0.15
    assert after.calibration_error < before.calibration_error / 2
    assert after.log_loss < before.log_loss
    assert after.accuracy == before.accuracy
    np.testing.assert_array_equal(after.confusion, before.confusion)


def test_no_other_temperature_has_less_loss_on_the_validation_data(overtrained):
    network, validation, _ = overtrained
    raw = fcnn.predict(network, validation[0], raw=True).astype(np.float64)
    calibrated = fcnn.predict(fcnn.calibrate(network, validation), validation[0], raw=True)
    fitted = (raw * calibrated).sum() / (raw * raw).sum()  # 1 / temperature

    def loss(scale):
        return float(fcnn.losses.cross_entropy(scale * raw, validation[1]).mean())

    assert fitted < 0.7
    assert loss(fitted) < min(loss(fitted * 0.97), loss(fitted * 1.03))


def test_a_calibrated_network_is_saved_and_loaded(overtrained, tmp_path):
    network, validation, test = overtrained
    calibrated = fcnn.calibrate(network, validation)
    fcnn.save(tmp_path / "network.fcnn", calibrated)
    loaded = fcnn.load(tmp_path / "network.fcnn")
    x = test[0][:20]
    np.testing.assert_array_equal(fcnn.predict(loaded, x), fcnn.predict(calibrated, x))
    assert (loaded.classes, loaded.output, loaded.input) == (
        network.classes,
        network.output,
        network.input,
    )
    assert "temperature=rescale(" in repr(loaded.layer)


def test_weights_of_the_validation_data_count(overtrained):
    network, (x, y), _ = overtrained
    weight = np.arange(len(x)) % 3
    rows = np.repeat(np.arange(len(x)), weight)
    weighted = fcnn.calibrate(network, (x, y, weight.astype(np.float32)))
    repeated = fcnn.calibrate(network, (x[rows], y[rows]))
    np.testing.assert_allclose(
        fcnn.predict(weighted, x[:9]), fcnn.predict(repeated, x[:9]), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("outputs", [1, 2])
def test_yes_or_no_outputs_are_calibrated_too(outputs):
    rng = np.random.default_rng(0)
    x, y = line(300)
    labels = (y[:, None] > 1 + 2 * rng.normal(size=(300, 2)))[:, :outputs]
    too_sure = np.repeat([[20.0], [-40.0], [60.0]], outputs, 1).astype(np.float32)
    network = start_network(serial(dense(outputs)), jax.random.key(0), x, output="sigmoid")
    network = network.replace(
        params=jax.tree.map(lambda leaf: too_sure if leaf.ndim == 2 else leaf, network.params)
    )
    before = fcnn.evaluate(network, (x, labels))
    after = fcnn.evaluate(fcnn.calibrate(network, (x, labels)), (x, labels))
    assert after.loss < before.loss / 2
    assert after.accuracy == before.accuracy


def test_state_is_carried_along():
    x = bands(60).x
    layer = serial(flatten, dense(3), fcnn.batch_norm())
    network = start_network(layer, jax.random.key(0), x)
    network = network.replace(state=jax.tree.map(lambda leaf: leaf + 0.5, network.state))
    labels = fcnn.predict(network, x).argmax(1)
    labels[:6] = (labels[:6] + 1) % 3
    calibrated = fcnn.calibrate(network, (x, labels))
    ratio = fcnn.predict(network, x, raw=True) / fcnn.predict(calibrated, x, raw=True)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert abs(ratio[0, 0] - 1) > 0.01


def test_what_cannot_be_calibrated_is_refused():
    x, y = line(20)
    numbers = start_network(serial(dense(1)), jax.random.key(0), x, output="identity")
    with pytest.raises(TypeError, match="'identity' outputs are numbers"):
        fcnn.calibrate(numbers, (x, y))
    with pytest.raises(TypeError, match="calibrate takes a Network"):
        fcnn.calibrate(small(), bands())
    network = start_network(small(), jax.random.key(0), bands(2).x)
    with pytest.raises(ValueError, match="validation: label 5 is out of range"):
        fcnn.calibrate(network, (bands(3).x, np.array([0, 1, 5])))
