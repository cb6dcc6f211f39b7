import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import batch_norm, dense, dropout, flatten, losses, metrics, optimizers, serial, trees
from fcnn.train import make_step, start

from .parts import assert_equal, bands, noting, small

KEY = jax.random.key(0)
SGD = optax.sgd(0.1)


def batch(n=12, **more):
    d = bands(n)
    return {"x": d.x, "y": d.y, **more}


def test_a_step_is_gradient_descent():
    model = serial(flatten, dense(3))
    ts = start(model, SGD, KEY, batch()["x"])
    params = jax.tree.map(np.array, ts.params)

    def loss(params):
        outputs, _ = model.apply(params, {}, batch()["x"], train=True)
        return losses.cross_entropy(outputs, batch()["y"]).mean()

    value, gradient = jax.value_and_grad(loss)(params)
    ts, found = make_step(model, optimizer=SGD)(ts, batch())
    np.testing.assert_allclose(found["loss"], value, rtol=1e-6)
    jax.tree.map(
        lambda new, old, g: np.testing.assert_allclose(new, old - 0.1 * g, rtol=1e-5, atol=1e-7),
        ts.params, params, gradient,
    )  # fmt: skip
    assert int(ts.step) == 1


def test_the_state_is_donated():
    ts = start(small(), SGD, KEY, batch()["x"])
    make_step(small(), optimizer=SGD)(ts, batch())
    assert ts.params["dense1"]["kernel"].is_deleted()


def test_a_network_keeps_its_values_while_it_is_trained_on():
    network, _ = fcnn.fit(small(), bands(), epochs=1, progress=False)
    before = jax.tree.map(np.array, network.params)
    ts = start(network, SGD, KEY)
    make_step(network, optimizer=SGD)(ts, batch())
    assert_equal(before, network.params)


def test_weights_equal_repeated_examples():
    model = serial(flatten, dense(3))
    x, y = batch(6)["x"], batch(6)["y"]
    times = np.array([1, 0, 2, 1, 3, 0])
    weighted = {"x": x, "y": y, "weight": times.astype(np.float32)}
    repeated = {"x": np.repeat(x, times, 0), "y": np.repeat(y, times)}
    step = make_step(model, optimizer=SGD)
    a, one = step(start(model, SGD, KEY, x), weighted)
    b, two = step(start(model, SGD, KEY, x), repeated)
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-6)
    jax.tree.map(
        lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-5, atol=1e-7), a.params, b.params
    )


def test_a_batch_that_weighs_nothing_changes_nothing():
    model = serial(flatten, dense(3))
    ts = start(model, SGD, KEY, batch()["x"])
    params = jax.tree.map(np.array, ts.params)
    ts, found = make_step(model, optimizer=SGD)(ts, batch(weight=np.zeros(12, np.float32)))
    assert found["loss"] == 0
    assert_equal(ts.params, params)


def test_metrics_are_weighted_means():
    model = small()
    ts = start(model, SGD, KEY, batch()["x"])
    outputs, _ = model.apply(ts.params, ts.state, batch()["x"])
    weight = np.arange(12, dtype=np.float32)
    right = np.asarray(outputs).argmax(-1) == batch()["y"]
    step = make_step(model, optimizer=SGD, metrics={"accuracy": metrics.accuracy})
    _, found = step(ts, batch(weight=weight))
    np.testing.assert_allclose(found["accuracy"], np.average(right, weights=weight), rtol=1e-6)
    assert found["weight"] == weight.sum()


def test_the_penalty_joins_the_gradient_and_is_reported_apart():
    model = serial(flatten, dense(3))
    ts = start(model, SGD, KEY, batch()["x"])
    kernel = np.array(ts.params["dense1"]["kernel"])
    plain, _ = make_step(model, optimizer=SGD)(start(model, SGD, KEY, batch()["x"]), batch())
    step = make_step(model, optimizer=SGD, penalty=optimizers.l2(0.5))
    ts, found = step(ts, batch())
    difference = ts.params["dense1"]["kernel"] - plain.params["dense1"]["kernel"]
    gradient = jax.grad(lambda p: optimizers.l2(0.5)({"dense1": {"kernel": p}}))(kernel)
    np.testing.assert_allclose(difference, -0.1 * gradient, rtol=1e-3, atol=1e-6)
    assert found["penalty"] > 0


def test_augmentation_has_a_key_for_each_example():
    seen = {}

    def brighten(key, image):
        return image + jax.random.uniform(key, ())

    def look(x):
        seen["x"] = x
        return x

    model = serial(look, flatten, dense(3))
    x = np.zeros((4, 8, 8, 1), np.float32)
    with jax.disable_jit():
        step = make_step(model, optimizer=SGD, augment=brighten)
        step(
            start(model, SGD, KEY, x),
            {"x": x, "y": np.zeros(4, int), "index": np.array([3, 1, 2, 3])},
        )
    shades = np.asarray(seen["x"])[:, 0, 0, 0]
    assert len(np.unique(shades)) == 3
    assert shades[0] == shades[3]


@pytest.mark.parametrize("where", ["pixel", "rate"])
def test_what_is_not_finite_is_never_learned(where):
    model = serial(flatten, dense(8), batch_norm(), dense(3))
    x = batch()["x"].copy()
    if where == "pixel":
        x[3, 2, 2] = np.nan
    optimizer = optax.adam(jnp.inf if where == "rate" else 1e-3)
    ts = start(model, optimizer, KEY, x)
    before = jax.tree.map(np.array, (ts.params, ts.state, ts.opt_state))
    ts, found = make_step(model, optimizer=optimizer)(ts, {**batch(), "x": x})
    assert not found["finite"]
    assert_equal((ts.params, ts.state, ts.opt_state), before)
    assert int(ts.step) == 1


def test_frozen_paths_keep_every_bit_and_their_statistics():
    model = serial(
        stem=serial(flatten, dense(8), batch_norm()), head=serial(dense(6), batch_norm(), dense(3))
    )
    pattern, optimizer = "head/.*", optax.adamw(0.1, weight_decay=0.5)
    ts = start(model, optimizer, KEY, batch()["x"], trainable=pattern)
    before = jax.tree.map(np.array, (ts.params, ts.state))
    step = make_step(model, optimizer=optimizer, trainable=pattern)
    for _ in range(3):
        ts, _ = step(ts, batch())
    assert_equal((ts.params["stem"], ts.state["stem"]), (before[0]["stem"], before[1]["stem"]))
    assert not np.allclose(
        ts.params["head"]["dense1"]["kernel"], before[0]["head"]["dense1"]["kernel"]
    )
    assert not np.allclose(
        ts.state["head"]["batch_norm1"]["mean"], before[1]["head"]["batch_norm1"]["mean"]
    )
    trained = trees.count(before[0]["head"])
    assert 2 * trained <= trees.count(ts.opt_state) <= 2 * trained + 4  # Adam remembers no others


def test_a_pattern_that_matches_nothing_lists_the_paths():
    with pytest.raises(
        ValueError, match=r"trainable='hed/\.\*' matches no parameter.*conv1/kernel"
    ):
        start(small(), SGD, KEY, batch()["x"], trainable="hed/.*")


def test_a_step_compiles_once(caplog):
    traces = []
    model = serial(noting(traces), small())
    ts = start(model, SGD, KEY, batch()["x"])
    step = make_step(model, optimizer=SGD)
    traces.clear()
    with jax.log_compiles():
        for _ in range(4):
            ts, _ = step(ts, batch())
    assert traces == ["train"]
    assert sum(m.startswith("Compiling jit(step)") for m in caplog.messages) == 1


def test_each_step_draws_its_own_noise_and_the_key_of_the_run_stays():
    model = serial(dropout(0.5))

    def loss(outputs, targets):
        return outputs.sum((1, 2, 3))

    ts = start(model, SGD, KEY, batch()["x"])
    step = make_step(model, optimizer=SGD, loss=loss)
    sums = []
    for _ in range(3):
        ts, found = step(ts, batch())
        sums.append(float(found["loss"]))
    assert len(set(sums)) == 3


def test_a_layer_needs_inputs_to_start():
    with pytest.raises(ValueError, match="a layer needs x"):
        start(small(), SGD, KEY)
