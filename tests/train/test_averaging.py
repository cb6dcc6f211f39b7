"""Averages along a run against plain loops, and through fit, checkpoints and failures."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest

import fcnn
from fcnn import batch_norm, dense, dropout, flatten, serial
from fcnn.data import batches
from fcnn.store import CheckpointError, checkpoint_steps
from fcnn.train import average, ema, make_step, recompute_statistics, start, swa

from .parts import assert_equal, bands, line, small
from .test_checkpointing import only
from .test_looping import wrapped

KEY = jax.random.key(0)
SGD = optax.sgd(0.1, momentum=0.9)
MODEL = serial(flatten, dense(8), batch_norm(), dense(3))
SLOW = pytest.mark.slow
NEAR = {"rtol": 1e-5, "atol": 1e-6}


def close(a, b, **near):
    jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, **NEAR | near), a, b)


def values_of(ts):
    return jax.tree.map(np.array, {"params": ts.params, "state": ts.state})


def trained(kept, steps=12, model=MODEL):
    """What each step leaves, and the train state after the last."""
    data = bands(60)
    ts = start(model, SGD, KEY, data.x, average=kept)
    step = make_step(model, optimizer=SGD, average=kept)
    seen = [values_of(ts)]
    for _, batch in zip(range(steps), [*batches(data, 10, seed=0)] * 2, strict=False):
        ts, _ = step(ts, batch)
        seen.append(values_of(ts))
    return seen, ts


@pytest.mark.parametrize("decay", [pytest.param(0.5, marks=SLOW), 0.999])
def test_a_moving_average_follows_its_formula(decay):
    (mean, *seen), ts = trained(ema(decay))
    for t, values in enumerate(seen):
        d = min(decay, (1 + t) / (10 + t))
        mean = jax.tree.map(lambda m, v, d=d: d * m + (1 - d) * v.astype(float), mean, values)
    close({"params": ts.result[0], "state": ts.result[1]}, mean)
    assert int(ts.average["count"]) == 12


@pytest.mark.parametrize(
    ("begin", "every", "numbers"),
    [pytest.param(8, 1, [9, 10, 11, 12], marks=SLOW), (2, 5, [7, 12])],
)
def test_stochastic_weight_averaging_is_the_mean_of_the_last_values(begin, every, numbers):
    seen, ts = trained(swa(begin, every))
    mean = jax.tree.map(lambda *v: np.mean(v, 0, dtype=float), *(seen[n] for n in numbers))
    close({"params": ts.result[0], "state": ts.result[1]}, mean)


def test_before_it_begins_an_average_is_the_values_bit_for_bit():
    seen, ts = trained(swa(100))
    assert_equal({"params": ts.result[0], "state": ts.result[1]}, seen[-1])
    assert int(ts.average["count"]) == 0


def test_what_is_not_finite_reaches_no_average():
    kept, data = ema(0.9), bands(12)
    ts = start(MODEL, SGD, KEY, data.x, average=kept)
    step = make_step(MODEL, optimizer=SGD, average=kept)
    ts, _ = step(ts, {"x": data.x, "y": data.y})
    before = jax.tree.map(np.array, ts.average)
    ts, found = step(ts, {"x": np.where(data.x > 1, np.nan, data.x), "y": data.y})
    assert not found["finite"]
    assert_equal(ts.average, before)


def test_averages_of_small_types_are_kept_in_wide_ones():
    def init(key, x):
        return {"kernel": jnp.ones((3, 1), jnp.bfloat16)}

    def apply(params, x):
        return (x @ params["kernel"].astype(x.dtype))[:, 0]

    model, kept = fcnn.stateless(init, apply), ema(0.999)
    x, y = line(16)
    ts = start(model, optax.sgd(0.05), KEY, x, average=kept)
    step = make_step(model, loss=fcnn.losses.squared_error, optimizer=optax.sgd(0.05), average=kept)
    for _ in range(300):
        ts, _ = step(ts, {"x": x, "y": y})
    mean = ts.average["params"]["kernel"]
    assert mean.dtype == np.float32
    assert ts.result[0]["kernel"].dtype == ml_dtypes.bfloat16
    np.testing.assert_allclose(mean, np.asarray(ts.params["kernel"], np.float32), atol=0.1)
    assert abs(mean - 1).max() > 1


@pytest.mark.parametrize(
    ("kept", "kind"),
    [
        pytest.param("ema", "in memory", marks=SLOW),
        (swa(0.5, 2), "read along the way"),
        pytest.param(swa(7, 1), "in memory", marks=SLOW),
    ],
    ids=str,
)
def test_fit_validates_and_returns_the_average_and_trains_as_without(kept, kind):
    model = serial(flatten, dense(8), batch_norm(), dropout(0.3), dense(3))
    data = bands(37) if kind == "in memory" else wrapped(bands(37))
    held_out = bands(21, seed=1)
    options = {"epochs": 4, "batch_size": 8, "optimizer": SGD, "progress": False, "seed": 3}
    options |= {"validation": held_out}
    network, history = fcnn.fit(model, data, average=kept, **options)
    plain, other = fcnn.fit(model, data, **options)
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=1e-5)
    assert history["validation_loss"] != other["validation_loss"]
    found = fcnn.evaluate(network, held_out)
    np.testing.assert_allclose(found.loss, history["validation_loss"][-1], rtol=1e-5)
    kernels = (n.params["dense1"]["kernel"] for n in (network, plain))
    assert not np.allclose(*kernels, atol=1e-4)


@pytest.mark.slow
def test_the_statistics_of_the_returned_average_are_those_of_the_data():
    options = {"batch_size": 8, "optimizer": optax.sgd(0.5), "progress": False, "epochs": 1}
    network, _ = fcnn.fit(MODEL, bands(37), average=swa(0.4), **options)
    again = recompute_statistics(network, bands(37), batch_size=8)
    close(network.state, again.state)
    averaged, _ = fcnn.fit(MODEL, bands(37), average=swa(0.4, recompute=False), **options)
    assert_equal(network.params, averaged.params)
    assert not np.allclose(
        network.state["batch_norm1"]["mean"], averaged.state["batch_norm1"]["mean"]
    )


@pytest.mark.parametrize("kind", ["in memory", pytest.param("read along the way", marks=SLOW)])
def test_a_run_with_everything_goes_on_bit_for_bit(kind, tmp_path):
    model = serial(flatten, dense(8), batch_norm(), dropout(0.3), dense(3))
    data = bands(37) if kind == "in memory" else wrapped(bands(37))

    def run(folder):
        return fcnn.fit(
            model, data, optimizer=SGD, average=swa(0.5), sharpness=0.05, accumulate=2, epochs=3,
            batch_size=8, seed=3, validation=bands(21, seed=1), progress=False, checkpoint=folder,
            every=1, keep=100,
        )  # fmt: skip

    network, history = run(tmp_path / "whole")
    assert checkpoint_steps(tmp_path / "whole") == list(range(1, 16))
    for step in (8, 13):
        again, other = run(only(step, tmp_path / "whole", tmp_path / str(step)))
        assert_equal((again.params, again.state), (network.params, network.state))
        assert other["validation_loss"] == history["validation_loss"]
        assert_equal(other.best.params, history.best.params)
    loaded = fcnn.load(tmp_path / "whole")
    assert_equal((loaded.params, loaded.state), (network.params, network.state))


@pytest.mark.slow
def test_a_run_with_and_one_without_an_average_are_different_runs(tmp_path):
    options = {"epochs": 2, "batch_size": 8, "progress": False}
    fcnn.fit(MODEL, bands(12), checkpoint=tmp_path / "with", average="ema", **options)
    fcnn.fit(MODEL, bands(12), checkpoint=tmp_path / "without", **options)
    with pytest.raises(CheckpointError, match=r"average/params/dense1/bias is there, not here"):
        fcnn.fit(MODEL, bands(12), checkpoint=tmp_path / "with", **options)
    with pytest.raises(CheckpointError, match=r"average/params/dense1/bias is not there"):
        fcnn.fit(MODEL, bands(12), checkpoint=tmp_path / "without", average="ema", **options)


@pytest.mark.slow
def test_what_is_frozen_has_an_average_that_is_itself():
    network = drawn(MODEL)
    tuned, _ = fcnn.fit(
        network, bands(24), epochs=3, trainable="dense2/.*", average=ema(0.9), progress=False
    )
    assert_equal(tuned.params["dense1"], network.params["dense1"])
    assert_equal(tuned.state, network.state)
    assert not np.allclose(tuned.params["dense2"]["kernel"], network.params["dense2"]["kernel"])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ema(1.0), ValueError, "between 0 and 1, got 1.0"),
        (lambda: swa(-1), ValueError, "start is a part of the run"),
        (lambda: swa(1.5), ValueError, "below 1, or a number of steps, got 1.5"),
        (lambda: swa(0.5, 0), ValueError, "every must be a positive integer, got 0"),
        (lambda: fitted(average="sma"), ValueError, "no average is called 'sma'; there are ema"),
        (lambda: fitted(average=0.999), TypeError, "average must be 'ema', 'swa'"),
        (lambda: fitted(sharpness=0), ValueError, "sharpness is a radius above 0"),
        (lambda: fitted(sharpness="0.05"), ValueError, "sharpness is a radius above 0"),
        (lambda: fitted(accumulate=0), ValueError, "accumulate must be a positive integer"),
        (lambda: fitted(accumulate=3), ValueError, "a batch of 32 has no 3 equal parts"),
        (lambda: fitted(stream(), average="swa"), ValueError, "give start as a number of steps"),
        (
            lambda: fitted(average=swa(1)),
            ValueError,
            "the run has 1 steps, and the first that coun",
        ),
        (lambda: fitted(average=swa(0.5, 2)), ValueError, "would average nothing"),
        (lambda: fitted(once(), average=swa(1)), ValueError, "write recompute=False"),
    ],
)
def test_impossible_averages_and_ways_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def fitted(data=None, **options):
    return fcnn.fit(
        small(), bands(12) if data is None else data, epochs=1, progress=False, **options
    )


def stream():
    return fcnn.data.stream(lambda: ((bands(4).x, bands(4).y) for _ in range(2)))


def once():
    return fcnn.data.stream((bands(4).x, bands(4).y) for _ in range(2))


def drawn(model, seed=0):
    """A network whose values, statistics too, are those of its seed."""
    data, rng = bands(12), np.random.default_rng(seed)
    params, state = model.init(jax.random.key(seed), data.x)
    state = jax.tree.map(lambda leaf: rng.uniform(0.5, 2, leaf.shape).astype(np.float32), state)
    return fcnn.Network(model, params, state, data.classes, input=fcnn.spec(data.x[0]))


def test_the_average_of_networks_is_the_mean_of_their_values(tmp_path):
    networks = [drawn(MODEL, seed) for seed in range(3)]
    values = [(network.params, network.state) for network in networks]
    mean = average(networks)
    close(
        (mean.params, mean.state), jax.tree.map(lambda *v: np.mean(v, 0, dtype=float), *values),
        rtol=1e-6,
    )  # fmt: skip
    assert mean.classes == bands(1).classes
    weighted = average(networks, weights=[1, 0, 3])
    close(
        weighted.params, jax.tree.map(lambda a, _, b: (a + 3.0 * b) / 4, *(v[0] for v in values)),
        rtol=1e-6,
    )  # fmt: skip
    assert_equal(average(networks[:1]).params, networks[0].params)
    fcnn.fit(MODEL, bands(24), checkpoint=tmp_path, keep=9, epochs=3, batch_size=8, progress=False)
    steps = [fcnn.load(tmp_path / f"step_{step:08}") for step in checkpoint_steps(tmp_path)]
    assert len(steps) == 3
    assert_equal(average(tmp_path).params, average(steps).params)


def test_networks_that_have_no_average_are_refused():
    network, other = drawn(serial(flatten, dense(3))), drawn(MODEL)
    words = r"network 0 is serial\(flatten, dense\(3\)\), not serial\(flatten, dense\(8\)"
    with pytest.raises(ValueError, match=words):
        average([network, other])
    with pytest.raises(ValueError, match="nothing to average"):
        average([])
    with pytest.raises(TypeError, match="average takes Networks, got 3"):
        average([network, 3])
    with pytest.raises(ValueError, match="2 networks and 1 weights"):
        average([network, network], weights=[1])
    with pytest.raises(ValueError, match=r"not all of them 0; got \[0.0, 0.0\]"):
        average([network, network], weights=[0, 0])
