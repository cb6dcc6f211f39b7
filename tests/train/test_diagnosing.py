import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import Layer, batch_norm, conv, dense, flatten, relu, serial
from fcnn.store.checkpoints import newest_checkpoint
from fcnn.train import NonFiniteError, looping
from fcnn.train.interruptions import Asked, Interrupted

from .parts import assert_equal, bands
from .test_looping import wrapped

MODEL = serial(conv(4, 3, bias=False), batch_norm(), relu, flatten, dense(3))
OPTIONS = {"batch_size": 8, "progress": False, "seed": 2, "check": False, "epochs": 3}
KINDS = {"in memory": lambda data: data, "read along the way": wrapped}


def broken(at, n=40):
    """Data with a NaN in the pictures of these examples."""
    data = bands(n)
    x = data.x.copy()
    x[list(at), 3, 3] = np.nan
    return fcnn.data.arrays(x, data.y, classes=data.classes)


def place(example, epoch=0, n=40):
    """The step of an epoch that sees an example, counted from 0."""
    return int(np.flatnonzero(fcnn.data.order(n, seed=2, epoch=epoch) == example)[0]) // 8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("example", [0, 7, 19, 33])
def test_the_error_names_step_and_example_and_keeps_the_network_before(kind, example):
    with pytest.raises(NonFiniteError) as caught:
        fcnn.fit(MODEL, KINDS[kind](broken([example])), **OPTIONS)
    error, step = caught.value, place(example)
    assert (error.epoch, error.step, error.path) == (1, step + 1, "x")
    assert error.index.tolist() == [example]
    assert f"epoch 1, step {step + 1}: x is not finite, for example {example};" in str(error)
    assert error.history.rows == []

    step_of = fcnn.train.make_step(MODEL, optimizer=optax.adam(1e-3))
    data = bands(40)
    ts = fcnn.train.start(MODEL, optax.adam(1e-3), jax.random.key(2), data.x)
    for batch in list(fcnn.data.batches(data, 8, seed=2))[:step]:
        ts, _ = step_of(ts, batch)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        (error.network.params, error.network.state), (ts.params, ts.state),
    )  # fmt: skip


def spoiled(function):
    """A layer that does something to its input."""

    def apply(params, state, x, *, train=False, key=None):
        return function(x), state

    return Layer(lambda key, x: ({}, {}), apply)


def blown_up(x):
    return jnp.where(jnp.arange(len(x)).reshape(-1, 1, 1, 1) == 2, jnp.inf, x)


@jax.custom_jvp
def smooth(x):
    return x


smooth.defjvp(lambda primals, tangents: (primals[0], tangents[0] * jnp.nan))


def bad_loss(outputs, y):
    return jnp.where(y == 1, jnp.nan, fcnn.losses.cross_entropy(outputs, y))


CASES = {
    "an output": ({"model": serial(conv(4, 3), spoiled(blown_up), flatten, dense(3))}, "spoiled1"),
    "a loss": ({"loss": bad_loss, "metrics": []}, "loss"),
    "a gradient": ({"model": serial(conv(4, 3), spoiled(smooth), flatten, dense(3))}, "conv1/"),
    "an update": ({"optimizer": optax.sgd(float("inf"))}, "conv1/kernel"),
    "an augmentation": ({"augment": lambda key, x: x + jnp.inf}, "augment"),
    "a penalty": ({"penalty": lambda params: jnp.log(-jnp.abs(params["dense1"]["bias"] + 1)).sum()},
                  "penalty"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_first_thing_that_is_not_finite_is_named(case):
    options, path = CASES[case]
    options = dict(options)
    with pytest.raises(NonFiniteError) as caught:
        fcnn.fit(options.pop("model", MODEL), bands(40), **OPTIONS | options)
    error = caught.value
    assert error.path.startswith(path), error.path
    assert (error.epoch, error.step) == (1, 1)
    order = fcnn.data.order(40, seed=2, epoch=0)[:8]
    expected = {"an output": order[2:3], "a loss": [i for i in order if i % 3 == 1]}
    assert error.index.tolist() == list(expected.get(case, order))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_bad_batches_are_left_out(policy, kind):
    data = KINDS[kind](broken([4, 30]))
    network, history = fcnn.fit(MODEL, data, non_finite=policy, **OPTIONS)
    bad = [len({place(4, epoch), place(30, epoch)}) for epoch in range(3)]
    assert history["skipped"] == bad
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((network.params, network.state)))


@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_what_is_left_after_bad_batches_does_not_depend_on_where_the_data_is(policy):
    one, past = fcnn.fit(MODEL, broken([4, 30]), non_finite=policy, **OPTIONS)
    two, same = fcnn.fit(MODEL, wrapped(broken([4, 30])), non_finite=policy, **OPTIONS)
    near = {"rtol": 1e-5, "atol": 1e-6}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **near), one.params, two.params)
    np.testing.assert_allclose(past["loss"], same["loss"], rtol=1e-5)


def test_skipping_is_learning_without_those_batches():
    data, bad = bands(40), place(4)
    optimizer = optax.adam(1e-3)
    network, _ = fcnn.fit(MODEL, broken([4]), non_finite="skip", **OPTIONS | {"epochs": 1})
    step = fcnn.train.make_step(MODEL, optimizer=optimizer)
    ts = fcnn.train.start(MODEL, optimizer, jax.random.key(2), data.x)
    for number, batch in enumerate(fcnn.data.batches(data, 8, seed=2)):
        if number != bad:
            ts, _ = step(ts, batch)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        (network.params, network.state), (ts.params, ts.state),
    )  # fmt: skip


def test_rolling_back_forgets_what_came_since_the_last_checkpoint():
    data, bad = bands(40), place(4)
    assert bad >= 1
    options = OPTIONS | {"epochs": 1}
    network, _ = fcnn.fit(MODEL, broken([4]), non_finite="rollback", **options)
    optimizer = optax.adam(1e-3)
    step = fcnn.train.make_step(MODEL, optimizer=optimizer)
    ts = fcnn.train.start(MODEL, optimizer, jax.random.key(2), data.x)
    for number, batch in enumerate(fcnn.data.batches(data, 8, seed=2)):
        if number > bad:
            ts, _ = step(ts, batch)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        (network.params, network.state), (ts.params, ts.state),
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_it_ends_when_nothing_helps(policy, kind):
    with pytest.raises(NonFiniteError, match="epoch 1, step 11: x is not finite"):
        fcnn.fit(MODEL, KINDS[kind](broken(range(160), 160)), non_finite=policy, **OPTIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_no_checkpoint_stands_behind_what_is_not_finite(kind, tmp_path):
    for _ in range(2):  # the same call again ends in the same way
        with pytest.raises(NonFiniteError) as caught:
            fcnn.fit(MODEL, KINDS[kind](broken([4])), checkpoint=tmp_path, every=1, **OPTIONS)
        newest, _ = newest_checkpoint(tmp_path)
        assert newest.step == place(4)
        assert_equal(newest.values["params"], caught.value.network.params)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["skip", "rollback"])
def test_bad_steps_are_left_out_alike_whenever_the_run_is_interrupted(
    policy, kind, tmp_path, monkeypatch
):
    data = KINDS[kind](broken([4, 30]))
    options = {**OPTIONS, "non_finite": policy, "every": 2}
    whole, past = fcnn.fit(MODEL, data, checkpoint=tmp_path / "whole", **options)
    looks, draws, history = 0, np.random.default_rng(1), None

    def check(asked):
        nonlocal looks
        looks -= 1
        if looks == 0:
            raise Interrupted

    monkeypatch.setattr(looping, "SECONDS", 0)
    monkeypatch.setattr(Asked, "check", check)
    while history is None or history.interrupted:
        looks = draws.integers(2, 6)
        network, history = fcnn.fit(MODEL, data, checkpoint=tmp_path / "parts", **options)
    assert_equal((network.params, network.state), (whole.params, whole.state))
    assert history["skipped"] == past["skipped"]
    assert history["loss"] == past["loss"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [None, 5])
def test_a_run_on_nothing_but_bad_examples_ends(every, kind, tmp_path):
    options = OPTIONS | {"epochs": 12, "non_finite": "rollback", "every": every}
    with pytest.raises(NonFiniteError, match="epoch 3, step 1"):
        fcnn.fit(MODEL, KINDS[kind](broken(range(40))), checkpoint=tmp_path, **options)


def test_a_gradient_whose_square_overflows_never_reaches_the_optimizer():
    model = serial(flatten, dense(3))
    with pytest.raises(NonFiniteError, match="the gradient of dense1/"):
        fcnn.fit(model, bands(40), loss=steep, metrics=[], **OPTIONS)


def steep(outputs, y):
    return 1e25 * fcnn.losses.cross_entropy(outputs, y)


def test_going_on_with_a_milder_policy_keeps_the_history_whole(tmp_path):
    data = broken([33])
    with pytest.raises(NonFiniteError):
        fcnn.fit(MODEL, data, checkpoint=tmp_path, every=1, **OPTIONS)
    _, history = fcnn.fit(MODEL, data, checkpoint=tmp_path, non_finite="skip", **OPTIONS)
    assert history["skipped"] == [1, 1, 1]
    history.write_csv(tmp_path / "history.csv")
