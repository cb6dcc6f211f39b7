"""Members of a population against the same networks trained alone."""

import jax
import numpy as np
import pytest

import fcnn
from fcnn.core import trees
from fcnn.study import population, product

from . import parts

QUIET = {"progress": False, "epochs": 2, "batch_size": 50}


def apart(one, other):
    flat = (trees.flat((network.params, network.state)) for network in (one, other))
    pairs = zip(*(tree.values() for tree in flat), strict=True)
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


@pytest.mark.parametrize("strategy", ["loop", pytest.param("vmap", marks=pytest.mark.slow)])
def test_members_are_what_fit_makes_of_them_alone(strategy):
    hyper = {
        "learning_rate": [1e-3, 1e-2, 3e-3],
        "weight_decay": [0.0, 0.1, 0.01],
        "rate": [0.0, 0.5, 0.2],
        "smoothing": [0.1, 0.0, 0.2],
    }
    found = population(
        parts.small,
        parts.FEW,
        hyper=hyper,
        seeds=[3, 4, 3],
        optimizer=fcnn.optimizers.adamw,
        validation=parts.HELD,
        strategy=strategy,
        **QUIET,
    )
    for k, member in enumerate(found):
        h = {name: values[k] for name, values in hyper.items()}

        def loss(outputs, targets, h=h):
            return fcnn.losses.cross_entropy(outputs, targets, smoothing=h["smoothing"])

        alone, history = fcnn.fit(
            parts.small(h["rate"]),
            parts.FEW,
            loss=loss,
            metrics=["accuracy"],
            optimizer=fcnn.optimizers.adamw(h["learning_rate"], weight_decay=h["weight_decay"]),
            validation=parts.HELD,
            seed=member.seed,
            **QUIET,
        )
        assert apart(member.network, alone) < 1e-5
        for name in ("loss", "accuracy", "validation_loss", "validation_accuracy"):
            assert member.history[name] == pytest.approx(history[name], rel=1e-4)


def test_one_program_serves_all_members():
    traced = []

    def model(rate):
        traced.append(rate)
        return parts.small(rate)

    population(model, parts.FEW, hyper={"rate": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]}, **QUIET)
    inside = sum(isinstance(rate, jax.core.Tracer) for rate in traced)
    assert inside <= 3  # the step, its shapes, and nothing for each member


def test_seeds_make_members_differ():
    found = population(parts.LINEAR, parts.FEW, n=3, strategy="vmap", **QUIET)
    assert [member.seed for member in found] == [0, 1, 2]
    assert apart(found[0].network, found[1].network) > 1e-3
    alone = parts.trained(2, optimizer=fcnn.optimizers.adam(), epochs=2, batch_size=50)
    assert apart(found[2].network, alone) < 1e-5


def test_a_product_has_every_combination():
    hyper = product(learning_rate=[1e-4, 1e-2], weight_decay=[0.0, 0.5, 1.0])
    assert len(hyper["learning_rate"]) == 6
    assert set(zip(*hyper.values(), strict=True)) == {
        (a, b) for a in (1e-4, 1e-2) for b in (0.0, 0.5, 1.0)
    }


@pytest.mark.slow
def test_the_best_is_the_one_of_a_sequential_search():
    hyper = product(learning_rate=[1e-5, 1e-3, 1e-2], weight_decay=[0.0, 0.3])
    found = population(
        parts.LINEAR,
        parts.FEW,
        hyper=hyper,
        optimizer=fcnn.optimizers.adamw,
        validation=parts.HELD,
        **QUIET,
    )

    def run(learning_rate, weight_decay):
        optimizer = fcnn.optimizers.adamw(learning_rate, weight_decay=weight_decay)
        return fcnn.fit(
            parts.LINEAR, parts.FEW, validation=parts.HELD, optimizer=optimizer, **QUIET
        )

    space = {"learning_rate": [1e-5, 1e-3, 1e-2], "weight_decay": [0.0, 0.3]}
    best = fcnn.study.grid_search(run, space, progress=False).best
    assert found.best.hyper == pytest.approx(best.options)
    assert found.best.score == pytest.approx(best.score, rel=1e-4)


def test_half_of_the_members_goes_on_after_a_rung():
    found = population(
        parts.LINEAR,
        parts.FEW,
        hyper={"learning_rate": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]},
        epochs=3,
        halve=(1, 2),
        validation=parts.HELD,
        batch_size=50,
        progress=False,
    )
    assert sorted(len(member.history) for member in found) == [1, 1, 2, 3, 3]
    assert len(found[4].history) == 3
    assert [len(member.history) for member in found.ranked] == [3, 3, 2, 1, 1]
    alone = parts.trained(optimizer=fcnn.optimizers.adam(1e-2), batch_size=50)
    assert apart(found[4].network, alone) < 1e-5


def test_the_worse_take_over_from_the_better_when_they_evolve():
    found = population(
        parts.LINEAR,
        parts.FEW,
        hyper={"learning_rate": [1e-7, 1e-2, 3e-3, 1e-3]},
        epochs=3,
        evolve=1,
        validation=parts.HELD,
        batch_size=50,
        progress=False,
    )
    assert found[0].parent is not None
    assert found[0].hyper["learning_rate"] > 1e-4
    assert found[0].score < 2 * found.best.score
    assert found[1].parent is None


@pytest.mark.slow
def test_a_population_becomes_an_ensemble():
    found = population(lambda: parts.LINEAR, parts.FEW, n=3, validation=parts.HELD, **QUIET)
    whole = found.ensemble()
    assert fcnn.evaluate(whole, parts.HELD).loss <= np.mean([member.score for member in found])
    assert len(found.ensemble(top=2).params) == 2
    assert "validation_loss" in str(found)


@pytest.mark.slow
def test_a_network_can_be_where_all_go_on_from():
    begun = parts.trained()
    found = population(begun, parts.FEW, hyper={"learning_rate": [0.0, 1e-2]}, **QUIET)
    assert apart(found[0].network, begun) == 0
    assert apart(found[1].network, begun) > 1e-3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 2, "optimizer": parts.ADAM}, "a function of hyperparameters"),
        ({}, "need one length, got none"),
        ({"n": 2, "seeds": [1, 2, 3]}, "need one length"),
        ({"hyper": {"learning_rate": [1.0], "rate": [1.0, 2.0]}}, "need one length"),
        ({"hyper": {"depth": [1.0]}}, "no argument of .* is called depth"),
        ({"n": 2, "strategy": "pmap"}, "strategy must be loop or vmap"),
        ({"n": 2, "halve": (1,), "evolve": 1}, "not both"),
        ({"n": 2, "halve": (5,)}, "must lie between"),
        ({"n": 0}, "n must be a positive integer"),
    ],
)
def test_bad_arguments_are_refused(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        population(parts.LINEAR, parts.FEW, **QUIET, **options)
