"""Networks that were spoilt on purpose, and what is found."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.lax import stop_gradient

import fcnn
from fcnn import batch_norm, conv, dense, dropout, flatten, global_avg_pool, relu, serial, stateless
from fcnn.train import diagnose


@pytest.fixture(scope="module")
def data():
    return fcnn.data.digits()[0]


def test_a_healthy_network_has_nothing_unusual(data):
    model = serial(conv(8), batch_norm(), relu, conv(8), batch_norm(), relu, flatten, dense(10))
    found = diagnose(model, data)
    assert found.findings == ()
    assert "nothing unusual" in str(found)
    assert 1 < found.loss < 10


def test_figures_are_those_of_the_step(data):
    model = serial(flatten, dense(10))
    network, _ = fcnn.fit(model, data, epochs=1, progress=False)
    batch = next(fcnn.data.batches(data, 64, seed=3))
    found = diagnose(network, data, batch_size=64, seed=3, optimizer=optax.sgd(0.5))
    kernel = np.asarray(network.params["dense1"]["kernel"], np.float64)
    bias = np.asarray(network.params["dense1"]["bias"], np.float64)
    x = np.asarray(batch["x"], np.float64).reshape(64, -1)
    logits = x @ kernel + bias
    slope = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(10)[batch["y"]]
    gradient = np.concatenate([(x.T @ slope / 64).ravel(), slope.mean(0)])
    params = np.concatenate([kernel.ravel(), bias])
    row = found.rows[1]
    assert row.mean == pytest.approx(logits.mean(), rel=1e-4)
    assert row.std == pytest.approx(logits.std(), rel=1e-4)
    assert row.gradient == pytest.approx(np.sqrt((gradient**2).mean()), rel=1e-4)
    assert row.params == pytest.approx(np.sqrt((params**2).mean()), rel=1e-4)
    assert row.update == pytest.approx(0.5 * row.gradient / row.params, rel=1e-4)
    assert found.rows[0].dead == pytest.approx((np.ptp(x, axis=0) == 0).mean())


def test_dead_units_are_counted_where_they_begin(data):
    shift = jnp.full(8, -1e3).at[:2].set(0.0)
    kill = stateless(lambda key, x: {"shift": shift}, lambda params, x: x + params["shift"])
    model = serial(conv=conv(8), kill=kill, relu=relu, pool=global_avg_pool, head=dense(10))
    found = diagnose(model, data)
    assert {row.path: row.dead for row in found.rows}["relu"] == 0.75
    (finding,) = [text for text in found.findings if "same for every example" in text]
    assert finding.startswith("relu: 75% of its units")


def test_numbers_that_explode_are_found_at_the_first_layer_where_they_do(data):
    model = serial(fcnn.rescale(1e6), conv(8), relu, flatten, dense(10))
    finding = diagnose(model, data).findings[0]
    assert finding.startswith("rescale1: outputs of about")


def test_a_gradient_that_does_not_arrive_is_found(data):
    model = serial(conv(8), relu, stop_gradient, flatten, dense(10))
    assert "conv1: no gradient arrives; it would not learn" in diagnose(model, data).findings


def test_gradients_that_vanish_are_found(data):
    deep = serial(flatten, *[serial(dense(16), fcnn.sigmoid) for _ in range(12)], dense(10))
    findings = diagnose(deep, data).findings
    first = next(text for text in findings if "its gradient is" in text)
    assert first.startswith("serial1/dense1: ")


def test_steps_that_are_too_large_or_too_small_are_found(data):
    model = serial(flatten, dense(10))
    (large,) = diagnose(model, data, optimizer=optax.adam(1.0)).findings
    (small,) = diagnose(model, data, optimizer=optax.adam(1e-9)).findings
    assert "lower the learning rate" in large
    assert "raise the learning rate" in small


def test_what_the_optimizer_leaves_alone_is_no_fault_unless_that_is_all(data):
    model = serial(conv(8), relu, flatten, dense(10))
    frozen = fcnn.optimizers.by_path({"conv1/.*": 0.0, ".*": 1e-3})
    assert diagnose(model, data, optimizer=frozen).findings == ()
    (finding,) = diagnose(model, data, optimizer=optax.adam(0.0)).findings
    assert finding.startswith("the first step moves no layer")


def test_what_is_not_finite_is_named(data):
    model = serial(flatten, dense(10), fcnn.rescale(1e38), fcnn.rescale(1e38))
    assert diagnose(model, data).findings[0].startswith("rescale1 is the first that is not finite")


def test_a_shared_layer_holds_its_parameters_once_and_dropout_runs(data):
    model = fcnn.wire(
        lambda f, x: f.head(f.drop(f.body(f.body(x))).reshape(len(x), -1)),
        body=conv(1),
        drop=dropout(0.5),
        head=dense(10),
    )
    rows = diagnose(model, data).rows
    assert [(row.path, row.params is not None) for row in rows] == [
        ("body", True),
        ("body", False),
        ("drop", False),
        ("head", True),
    ]


def test_a_layer_on_its_own_and_what_a_composite_holds_have_rows(data):
    (row,) = diagnose(dense(3), (data.x.reshape(-1, 64), data.y % 3)).rows
    assert row.path == row.kind == "dense"
    assert row.gradient > 0
    part = serial(dense(4), relu)

    def init(key, x):
        params, state = part.init(key, x)
        return {**params, "scale": jnp.full((), 3.0)}, state

    def apply(params, state, x, *, train=False, key=None):
        y, state = part.apply(params, state, x, train=train, key=key)
        return y * params["scale"], state

    rows = diagnose(serial(flatten, scaled=fcnn.Layer(init, apply), head=dense(10)), data).rows
    assert [row.path for row in rows] == [
        "flatten1",
        "scaled/dense1",
        "scaled/relu1",
        "scaled",
        "head",
    ]
    assert rows[3].params == pytest.approx(3)


def test_one_example_is_too_few_to_compare(data):
    model, one = serial(flatten, dense(10)), fcnn.data.Dataset(data.x[:1], data.y[:1])
    for given, size in ((data, 1), (one, 8)):
        with pytest.raises(ValueError, match="needs at least two, got 1; take a larger batch_size"):
            diagnose(model, given, batch_size=size)


def test_a_last_batch_that_is_filled_up_counts_its_examples_only(data):
    few, model = fcnn.data.Dataset(data.x[:5], data.y[:5]), serial(flatten, dense(10))
    filled, exact = (diagnose(model, few, batch_size=size) for size in (8, 5))
    assert filled.loss == pytest.approx(exact.loss, rel=1e-5)
    for one, other in zip(filled.rows, exact.rows, strict=True):
        assert one[2:5] == pytest.approx(other[2:5], rel=1e-4, abs=1e-6)
