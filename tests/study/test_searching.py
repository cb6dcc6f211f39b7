"""Searches on functions whose best is known, and on networks; killed, they go on."""

import functools
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fcnn
from fcnn.study import grid_search, halving, log_uniform, optuna_search, random_search, uniform

from . import parts


def bowl(x, y=0.0):
    return {"height": (x - 0.3) ** 2 + (y + 0.2) ** 2}


adam = functools.cache(fcnn.optimizers.adam)


def network(learning_rate, seed=0):
    options = {"epochs": 2, "progress": False, "validation": parts.HELD, "seed": seed}
    return fcnn.fit(parts.LINEAR, parts.FEW, optimizer=adam(learning_rate), **options)


QUIET = {"progress": False}


def test_a_grid_finds_the_best_of_its_points():
    space = {"x": [0.0, 0.25, 0.5], "y": [-0.2, 0.2]}
    results = grid_search(bowl, space, mode="min", **QUIET)
    assert results.best.options == {"x": 0.25, "y": -0.2}
    assert len(results) == 6
    assert [row["score"] for row in results.rows] == sorted(trial.score for trial in results)


def test_the_best_network_comes_back_with_its_score():
    results = grid_search(network, {"learning_rate": [1e-5, 1e-2]}, **QUIET)
    assert results.best.options == {"learning_rate": 1e-2}
    assert results.best.mode == "min"
    loss = fcnn.evaluate(results.network, parts.HELD).loss
    assert loss == pytest.approx(results.best.score, 1e-5)


@pytest.mark.slow
def test_any_figure_can_decide():
    results = grid_search(
        network, {"learning_rate": [1e-5, 1e-2]}, score="validation_accuracy", **QUIET
    )
    assert results.best.mode == "max"
    assert results.best.score == results.best.figures["validation_accuracy"]


@pytest.mark.slow
def test_a_report_can_be_what_a_trial_returns():
    def run(learning_rate):
        return fcnn.evaluate(network(learning_rate)[0], parts.HELD)

    assert grid_search(run, {"learning_rate": [1e-5, 1e-2]}, **QUIET).best.options == {
        "learning_rate": 1e-2
    }


def test_a_longer_random_search_begins_with_the_shorter_one():
    space = {"x": uniform(0, 1), "y": uniform(-1, 1)}
    short, long = (random_search(bowl, space, n=n, mode="min", seed=5, **QUIET) for n in (5, 40))
    assert [t.options for t in long][:5] == [t.options for t in short]
    assert long.best.score < 0.05


def test_halving_gives_more_epochs_to_the_better_third(tmp_path):
    given = []

    def run(x, epochs):
        given.append((x, epochs))
        return {"height": (x - 0.5) ** 2 + 1 / epochs}

    space = {"x": [k / 8 for k in range(9)]}
    results = halving(run, space, n=9, epochs=(1, 3, 9), mode="min", seed=1, **QUIET)
    counts = [sum(epochs == e for _, epochs in given) for e in (1, 3, 9)]
    assert counts == [9, 3, 1]
    assert results.best.epochs == 9
    nearest = min((abs(x - 0.5), x) for x, epochs in given if epochs == 1)
    assert abs(results.best.options["x"] - 0.5) == nearest[0]


@pytest.mark.slow
def test_halving_goes_on_from_checkpoints_as_if_never_stopped(tmp_path):
    taken = []

    def run(learning_rate, epochs, checkpoint):
        optimizer = fcnn.optimizers.adam(learning_rate)
        made, history = fcnn.fit(
            parts.LINEAR,
            parts.FEW,
            optimizer=optimizer,
            epochs=epochs,
            checkpoint=checkpoint,
            progress=False,
        )
        taken.append(len(history))
        return made, history

    space = {"learning_rate": log_uniform(1e-4, 1e-1)}
    results = halving(run, space, n=2, epochs=(1, 3), folder=tmp_path, **QUIET)
    best = results.best.options["learning_rate"]
    alone = parts.trained(optimizer=fcnn.optimizers.adam(best))
    flat = [fcnn.trees.flat(network.params) for network in (results.network, alone)]
    for path, leaf in flat[0].items():
        assert (np.asarray(leaf) == np.asarray(flat[1][path])).all()


def test_a_sampler_of_optuna_comes_closer_than_chance():
    optuna = pytest.importorskip("optuna")
    space = {"x": uniform(-5, 5), "y": uniform(-5, 5), "k": [1, 2]}

    def run(x, y, k):
        return bowl(x, y)["height"] + k

    found = optuna_search(
        run, space, n=40, mode="min", sampler=optuna.samplers.TPESampler(seed=0), **QUIET
    )
    by_chance = random_search(run, space, n=40, mode="min", **QUIET)
    assert found.best.score <= by_chance.best.score
    assert found.best.options["k"] == 1


def test_a_trial_that_fails_ends_the_search_or_is_noted():
    def run(x):
        if x > 0.4:
            raise RuntimeError(f"too far: {x}")
        return x

    with pytest.raises(RuntimeError, match=r"too far: 0\.5"):
        grid_search(run, {"x": [0.1, 0.5]}, **QUIET)
    results = grid_search(run, {"x": [0.1, 0.5, 0.2]}, on_error="record", **QUIET)
    assert results.best.options == {"x": 0.2}
    assert results[1].error == "RuntimeError: too far: 0.5"
    assert "too far" in str(results)
    failed = grid_search(run, {"x": [0.5]}, on_error="record", **QUIET)
    with pytest.raises(ValueError, match="every trial failed"):
        _ = failed.best


def test_a_folder_keeps_what_is_done(tmp_path):
    calls = []

    def run(x, y):
        calls.append((x, y))
        return parts.begun(y), {"loss": abs(x) + y}

    space = {"x": [-5, -2], "y": [1, 2]}
    first = grid_search(run, space, folder=tmp_path, **QUIET)
    again = grid_search(run, space, folder=tmp_path, **QUIET)
    assert len(calls) == 4
    assert again.to_json() == first.to_json()
    assert str(again) == str(first)
    assert (
        fcnn.evaluate(again.network, parts.HELD).loss
        == fcnn.evaluate(first.network, parts.HELD).loss
    )
    for other, mode in (({"x": [-5], "y": [1]}, None), (space, "max")):
        with pytest.raises(ValueError, match=r"search\.json: is of another search"):
            grid_search(run, other, folder=tmp_path, mode=mode, **QUIET)


def test_a_trial_without_a_finite_epoch_is_noted_and_a_wrong_name_is_not():
    def run(x):
        history = fcnn.train.History(monitor="loss", mode="min", best_epoch=1 if x else None)
        history.rows.append({"epoch": 1, "loss": 0.5 if x else np.nan})
        return fcnn.Network(parts.LINEAR, {}, {}), history

    results = grid_search(run, {"x": [0, 1]}, on_error="record", **QUIET)
    assert "no epoch had a finite loss" in results[0].error
    assert results.best.options == {"x": 1}
    with pytest.raises(TypeError, match="takes x, and not z"):
        grid_search(run, {"z": [0]}, on_error="record", **QUIET)
    found = grid_search(lambda x: {"score": x, "size": np.inf}, {"x": [1]}, score="score", **QUIET)
    assert found.to_json()[0]["figures"] == {"score": 1, "size": None}


def test_halving_leaves_out_what_failed():
    def run(x, epochs):
        if x != 3 or epochs > 3:
            raise RuntimeError("no")
        return x

    options = {"n": 9, "on_error": "record", **QUIET}
    results = halving(run, {"x": [1, 2, 3]}, epochs=(1, 2, 3), seed=2, **options)
    assert {trial.options["x"] for trial in results if trial.epochs > 1} == {3}
    nothing = halving(run, {"x": [1, 2]}, epochs=(1, 2, 3), **options)
    assert {trial.epochs for trial in nothing} == {1}


KILLED = """
import sys, time
import fcnn
from fcnn.study import random_search, uniform

def run(x, seed):
    time.sleep(0.05)
    return {"height": (x - seed) ** 2}

random_search(run, {"x": uniform(0, 1)}, n=20, folder=sys.argv[1], mode="min", progress=False)
"""


@pytest.mark.slow
def test_a_search_that_is_killed_goes_on_to_the_same_table(tmp_path):
    for folder in ("whole", "killed"):
        child = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / folder])
        if folder == "killed":
            while len(list((tmp_path / folder).glob("trial-*/trial.json"))) < 7:
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
            done = len(list((tmp_path / folder).glob("trial-*/trial.json")))
            assert 7 <= done < 20
            subprocess.run([sys.executable, "-c", KILLED, tmp_path / folder], check=True)
        else:
            assert child.wait() == 0
    tables = [
        [
            {key: value for key, value in json.loads(file.read_text()).items() if key != "seconds"}
            for file in sorted((tmp_path / folder).glob("trial-*/trial.json"))
        ]
        for folder in ("whole", "killed")
    ]
    assert len(tables[0]) == 20
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: grid_search(3, {"x": [1]}), TypeError, "run must be a function"),
        (lambda: grid_search(bowl, {"z": [1]}), TypeError, "bowl takes x, y, and not z"),
        (lambda: grid_search(bowl, {"x": [1]}, score="depth"), ValueError, "none of the figures"),
        (lambda: grid_search(bowl, {"x": [1]}, mode="most"), ValueError, "mode must be"),
        (lambda: grid_search(lambda x: "a", {"x": [1]}), TypeError, "a trial returns"),
        (lambda: random_search(bowl, {"x": [1]}, n=0), ValueError, "n must be a whole number"),
        (lambda: halving(bowl, {"x": [1]}, n=3, epochs=(3, 1)), ValueError, "must grow"),
        (lambda: grid_search(bowl, {"x": [1]}, on_error="skip"), ValueError, "'raise' or 'record'"),
    ],
)
def test_bad_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_options_that_cannot_be_written_down_are_refused_with_a_folder(tmp_path):
    with pytest.raises(ValueError, match="needs numbers, strings, None"):
        grid_search(bowl, {"x": [object()]}, folder=tmp_path, **QUIET)
    assert os.listdir(tmp_path) == []


def test_results_are_drawn():
    pytest.importorskip("matplotlib")
    results = grid_search(bowl, {"x": [1e-4, 1e-2, 1.0], "y": [0, 1]}, mode="min", **QUIET)
    (ax,) = results.plot().axes
    assert (ax.get_xlabel(), ax.get_xscale()) == ("x", "log")
    with pytest.raises(ValueError, match="no option is called 'z'; there are x, y"):
        results.plot("z")


def test_progress_names_each_trial(capsys):
    grid_search(bowl, {"x": [0.25]}, mode="min")
    assert capsys.readouterr().err.startswith("trial 1/1: x=0.25: 0.0425 (")
