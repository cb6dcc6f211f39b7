import jax
import numpy as np
import optax
import pytest

import fcnn
from fcnn import batch_norm, dense, dropout, flatten, optimizers, relu, serial, trees
from fcnn.train import looping

from .parts import assert_equal, bands

QUIET = {"progress": False, "batch_size": 16}
MODEL = serial(
    low=serial(flatten, dense(6), batch_norm(), relu),
    high=serial(dense(6), batch_norm(), relu, dropout(0.3)),
    head=dense(5),
)


def network(layer=MODEL, seed=1):
    """A network whose statistics are those of nothing that it sees here."""
    x = bands().x[:1]
    params, state = layer.init(jax.random.key(seed), x)
    rng = np.random.default_rng(0)
    state = jax.tree.map(lambda leaf: rng.uniform(0.5, 2, leaf.shape).astype(np.float32), state)
    return fcnn.Network(layer, params, state, input=fcnn.spec(x[0]))


def three():
    return fcnn.models.replace_head(network(), 3, jax.random.key(2))


@pytest.mark.parametrize(
    "together",
    [pytest.param(True, marks=pytest.mark.slow), False],
    ids=["in one program", "step by step"],
)
def test_a_head_alone_learns_what_it_learns_on_the_features(together, monkeypatch):
    """What is frozen runs as in evaluation, so that its outputs are constants."""
    if not together:
        monkeypatch.setattr(looping, "fits", lambda data: False)
        monkeypatch.setattr("fcnn.train.epochs.fits", lambda data: False)
    old, data, options = three(), bands(), {**QUIET, "epochs": 3, "optimizer": optax.adam(0.05)}
    new, history = fcnn.fit(old, data, trainable="head/.*", **options)
    head = fcnn.Network(serial(head=dense(3)), {"head": old.params["head"]}, {})
    probe, expected = fcnn.fit(head, fcnn.features(old, data), **options)
    for name in ("kernel", "bias"):
        np.testing.assert_allclose(
            new.params["head"][name], probe.params["head"][name], rtol=1e-3, atol=1e-5
        )
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
    for name in ("low", "high"):
        assert_equal(new.params[name], old.params[name])
    assert_equal(new.state, old.state)


def test_the_head_comes_first_and_then_the_rest():
    old, data = network(), bands()
    new, history = fcnn.fine_tune(old, data, head_epochs=2, epochs=3, validation=0.2, **QUIET)
    assert history["epoch"] == [1, 2, 3, 4, 5]
    assert new.classes == data.classes
    assert fcnn.predict(new, data).shape == (60, 3)
    for part in trees.flat(
        jax.tree.map(np.array_equal, new.params["low"], old.params["low"])
    ).values():
        assert not part
    assert not np.array_equal(*(each.state["low"]["batch_norm1"]["mean"] for each in (new, old)))
    losses = history["validation_loss"]
    assert history.best_epoch == 1 + int(np.argmin(losses))
    assert history.last is new


@pytest.mark.slow
def test_the_first_phase_is_a_fit_of_a_new_head():
    old, data = network(), bands()
    new, history = fcnn.fine_tune(
        old, data, head_epochs=2, epochs=1, unfreeze="head/bias", optimizer=optax.sgd(0.0), **QUIET
    )
    fresh = fcnn.models.replace_head(old, 3, jax.random.key(0))
    expected, first = fcnn.fit(fresh, data, trainable="head/.*", epochs=2, **QUIET)
    assert_equal(new.params, expected.params)
    assert_equal(new.state, old.state)
    assert history["loss"][:2] == first["loss"]


@pytest.mark.slow
def test_parts_thaw_one_after_the_other():
    old, data, seen = network(), bands(), []

    def look(moment):
        now = moment.copied()
        seen.append(
            [
                not np.array_equal(
                    now.params[part]["dense1"]["kernel"], old.params[part]["dense1"]["kernel"]
                )
                for part in ("low", "high")
            ]
        )

    options = {**QUIET, "callbacks": [look], "optimizer": optimizers.layerwise("sgd", 0.1, old)}
    _, history = fcnn.fine_tune(
        old, data, head_epochs=1, epochs=(1, 2), unfreeze=("high/.*", "low/.*"), **options
    )
    assert seen == [[False, False], [False, True], [True, True], [True, True]]
    assert len(history) == 4


@pytest.mark.slow
def test_with_patience_the_best_of_all_phases_comes_back():
    """The last phase, at a rate that is too high, spoils what the first has learned."""
    options = {"head_epochs": 3, "epochs": 2, "optimizer": optax.sgd(100.0), **QUIET}
    new, history = fcnn.fine_tune(network(), bands(), patience=9, validation=0.2, **options)
    assert history.best_epoch <= 3
    assert new is history.best
    assert history.last is not new


@pytest.mark.slow
def test_without_a_first_phase_all_is_trained_at_once():
    _, history = fcnn.fine_tune(network(), bands(), head_epochs=0, epochs=1, **QUIET)
    assert len(history) == 1


def test_a_run_that_was_interrupted_goes_on_in_its_phase(tmp_path):
    def call(folder, **more):
        options = {"head_epochs": 1, "epochs": 2, "checkpoint": tmp_path / folder, **QUIET, **more}
        return fcnn.fine_tune(network(), bands(), **options)

    class Stop(Exception):
        pass

    def stop(moment):
        counted.append(moment)
        if len(counted) == 2:
            raise Stop

    counted = []
    expected, history = call("whole")
    with pytest.raises(Stop):
        call("parts", callbacks=[stop])
    again, continued = call("parts")
    assert_equal((again.params, again.state), (expected.params, expected.state))
    assert continued["loss"] == history["loss"]
    assert continued["epoch"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"trainable": "head/.*"}, TypeError, "takes unfreeze in place of trainable"),
        (
            {"unfreeze": ("high/.*", "hihg/.*")},
            ValueError,
            "unfreeze='hihg/.*' matches no parameter",
        ),
        ({"epochs": (1, 2)}, ValueError, r"epochs=\(1, 2\) is for 2 patterns, and unfreeze has 1"),
        ({"head_epochs": -1}, ValueError, "head_epochs must be a positive integer"),
        ({"epoch": 3}, TypeError, "epoch"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        fcnn.fine_tune(network(), bands(), **QUIET, **options)


def test_classes_that_cannot_be_counted_have_to_be_said():
    x, y = bands()[:]
    batches = fcnn.data.stream(lambda: iter([(x[:16], y[:16]), (x[16:32], y[16:32])]))
    with pytest.raises(TypeError, match="say how many classes there are"):
        fcnn.fine_tune(network(), batches, progress=False)
    options = {"classes": 3, "head_epochs": 1, "epochs": 1, "progress": False}
    tuned, _ = fcnn.fine_tune(network(), batches, **options)
    assert tuned.params["head"]["kernel"].shape == (6, 3)
