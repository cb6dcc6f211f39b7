"""Ensembles against the arithmetic of their members' probabilities."""

import subprocess
import sys

import jax
import numpy as np
import optax
import pytest

import fcnn
from fcnn.study import (
    Snapshots,
    bagging,
    committee,
    ensemble,
    mixture_weights,
    soup,
    stack,
    uncertainty,
)

from . import parts


@pytest.fixture(scope="module")
def members():
    models = [
        parts.LINEAR,
        parts.small(),
        fcnn.serial(fcnn.flatten, fcnn.dense(16), fcnn.dense(10)),
    ]
    return [parts.trained(seed, model) for seed, model in enumerate(models)]


@pytest.fixture(scope="module")
def said(members):
    return np.stack([fcnn.predict(network, parts.HELD.x) for network in members]).astype(float)


def test_a_mean_is_the_mean_of_probabilities(members, said):
    found = fcnn.predict(ensemble(members), parts.HELD.x)
    np.testing.assert_allclose(found, said.mean(0), atol=1e-6)
    weighted = fcnn.predict(ensemble(members, weights=[1, 2, 5]), parts.HELD.x)
    np.testing.assert_allclose(weighted, np.average(said, 0, [1, 2, 5]), atol=1e-6)


def test_a_majority_is_the_share_of_votes(members, said):
    votes = np.eye(10)[said.argmax(-1)].mean(0)
    found = fcnn.predict(ensemble(members, vote="majority"), parts.HELD.x)
    np.testing.assert_allclose(found, votes, atol=1e-5)


@pytest.mark.slow
def test_the_loss_of_the_mean_is_at_most_the_mean_loss(members):
    losses = [fcnn.evaluate(network, parts.HELD).loss for network in members]
    assert fcnn.evaluate(ensemble(members), parts.HELD).loss <= np.mean(losses)


@pytest.mark.parametrize("output", ["sigmoid", "exp", "identity"])
def test_other_outputs_are_averaged_as_they_are_meant(output):
    model = fcnn.serial(fcnn.flatten, fcnn.dense(1))
    networks = [
        fcnn.Network(model, *model.init(jax.random.key(seed), parts.HELD.x), output=output)
        for seed in range(3)
    ]
    alone = np.stack([fcnn.predict(network, parts.HELD.x) for network in networks])
    found = fcnn.predict(ensemble(networks), parts.HELD.x)
    np.testing.assert_allclose(found, alone.mean(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n", [3, 5, 6, 7])
def test_an_unanimous_vote_is_a_number(n):
    model = fcnn.pure(lambda x: x)
    network = fcnn.Network(model, {}, {}, output="sigmoid")
    found = fcnn.predict(ensemble([network] * n, vote="majority"), np.float32([[-2.0], [3.0]]))
    np.testing.assert_allclose(found, [[0], [1]], atol=1e-6)


@pytest.mark.slow
def test_an_ensemble_saves_loads_evaluates_and_explains(members, tmp_path):
    whole = ensemble(members, weights=[1, 2, 3])
    fcnn.save(tmp_path / "whole.fcnn", whole)
    code = (
        "import sys, fcnn, numpy\n"
        "network = fcnn.load(sys.argv[1])\n"
        "x = fcnn.data.digits()[1].x[:20]\n"
        "numpy.save(sys.argv[2], fcnn.predict(network, x))\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "whole.fcnn", tmp_path / "out.npy"]
    subprocess.run(command, check=True)
    there, here = np.load(tmp_path / "out.npy"), fcnn.predict(whole, parts.TEST.x[:20])
    assert (there == here).all()
    assert fcnn.explain.saliency(whole, parts.TEST.x[:3]).shape == (3, 8, 8)
    assert fcnn.evaluate(whole, parts.HELD).accuracy > 0.8
    assert "member2/conv1" in [row.path for row in fcnn.summary(whole, parts.HELD.x).rows]


@pytest.mark.slow
def test_an_ensemble_can_be_trained_on(members):
    whole, history = fcnn.fit(ensemble(members), parts.FEW, epochs=1, progress=False)
    assert np.isfinite(history["loss"]).all()
    assert whole.params["member1"].keys() == members[0].params.keys()


def test_mixture_weights_maximise_the_likelihood(members, said):
    scipy = pytest.importorskip("scipy.optimize")
    likely = said[:, np.arange(200), parts.HELD.y]

    def loss(free):
        share = np.exp(free - free.max())
        return -np.log(share / share.sum() @ likely).mean()

    weights = mixture_weights(members, parts.HELD)
    assert weights.sum() == pytest.approx(1)
    best = scipy.minimize(loss, np.zeros(3)).fun
    assert -np.log(weights @ likely).mean() == pytest.approx(best, abs=1e-4)


def test_a_stack_learns_whom_to_believe_and_is_kept(members, tmp_path):
    spoilt = members[0].replace(params=jax.tree.map(lambda leaf: -leaf, members[0].params))
    plain = fcnn.evaluate(ensemble([spoilt, members[1]]), parts.TEST)
    stacked = stack([spoilt, members[1]], parts.HELD)
    found = fcnn.evaluate(stacked, parts.TEST)
    assert found.loss < plain.loss
    assert found.accuracy > plain.accuracy
    fcnn.save(tmp_path / "stack.fcnn", stacked)
    again = fcnn.load(tmp_path / "stack.fcnn")
    assert (fcnn.predict(again, parts.HELD.x) == fcnn.predict(stacked, parts.HELD.x)).all()


def test_bags_draw_with_replacement_and_differ(members):
    drawn = []

    def run(train, seed):
        drawn.append(train)
        return members[seed]

    networks = bagging(run, parts.FEW, 3)
    assert networks == members
    kept = [len(np.unique(data.x.reshape(len(data), -1), axis=0)) / 300 for data in drawn]
    assert np.mean(kept) == pytest.approx(1 - np.exp(-1), abs=0.05)


def test_snapshots_are_copies_at_the_end_of_each_cycle():
    snapshots = Snapshots(2)
    optimizer = optax.sgd(
        optax.sgdr_schedule(
            [
                {
                    "init_value": 0.0,
                    "peak_value": 0.1,
                    "decay_steps": 20,
                    "warmup_steps": 0,
                    "end_value": 0.0,
                }
            ]
            * 3
        )
    )
    last = parts.trained(epochs=6, callbacks=[snapshots], optimizer=optimizer)
    assert len(snapshots.networks) == 3
    for path, leaf in fcnn.core.trees.flat(snapshots.networks[-1].params).items():
        assert (np.asarray(leaf) == np.asarray(fcnn.core.trees.flat(last.params)[path])).all()
    assert fcnn.evaluate(ensemble(snapshots.networks), parts.HELD).accuracy > 0.5


def test_a_greedy_soup_is_no_worse_than_its_best_member(members):
    networks = [
        members[0].replace(params=jax.tree.map(lambda x, by=by: by * x, members[0].params))
        for by in (0.5, 1.0, 2.0)
    ]
    mixed = soup(networks, parts.HELD)
    best = max(fcnn.evaluate(network, parts.HELD).accuracy for network in networks)
    assert fcnn.evaluate(mixed, parts.HELD).accuracy >= best
    assert jax.tree.structure(mixed) == jax.tree.structure(networks[0])
    least = min(fcnn.evaluate(network, parts.HELD).loss for network in networks)
    assert fcnn.evaluate(soup(networks, parts.HELD, figure="loss"), parts.HELD).loss <= least


def test_uncertainty_has_two_parts(members):
    sure = uncertainty([members[0]] * 3, parts.HELD.x)
    assert np.abs(sure.model).max() < 1e-9
    noise = np.random.default_rng(0).uniform(size=(200, 8, 8, 1)).astype("float32")
    known, odd = (uncertainty(members, x) for x in (parts.HELD.x, noise * 16))
    np.testing.assert_allclose(known.total, known.data + known.model, atol=1e-9)
    assert odd.model.mean() > known.model.mean()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m: ensemble([]), "needs networks"),
        (lambda m: ensemble(m, vote="loudest"), "vote must be"),
        (lambda m: ensemble(m, weights=[1, 2]), "weights must be 3 numbers"),
        (lambda m: ensemble(m, weights=[1, -1, 1]), "weights must be 3 numbers"),
        (lambda m: ensemble([m[0], m[1].replace(output="sigmoid")]), "differ in output"),
        (lambda m: ensemble(m, weights=[1, np.inf, 1]), "weights must be 3 numbers"),
        (lambda m: soup(m, parts.HELD), "one architecture"),
        (lambda m: soup(m[:1], parts.HELD, figure="confusion"), "no figure 'confusion'"),
        (lambda m: committee(parts.LINEAR, output="tanh"), "output must be one of softmax"),
        (lambda m: bagging(parts.trained, parts.FEW, 0), "n must be a positive integer"),
        (lambda m: uncertainty([m[0].replace(output="sigmoid")], parts.HELD.x), "classifiers"),
        (lambda m: Snapshots(0), "positive number of epochs"),
    ],
)
def test_what_cannot_be_one_is_refused(members, make, words):
    with pytest.raises(ValueError, match=words):
        make(members)
