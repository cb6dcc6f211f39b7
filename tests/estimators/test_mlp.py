"""The perceptrons against scikit-learn's: the same weights, batches and losses, up to rounding."""

import pickle
import warnings

import jax
import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import fcnn
from fcnn.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
WEIGHT = np.random.default_rng(0).uniform(0.5, 2, len(X))
SMALL = {"hidden_layer_sizes": (7, 5), "activation": "tanh", "batch_size": 32, "max_iter": 20}
LINEAR = {**SMALL, "hidden_layer_sizes": (), "solver": "lbfgs", "random_state": 0}
DROPPED = {**SMALL, "dropout": 0.5, "random_state": 0}
LINEAR |= {"alpha": 0.1, "max_iter": 200}


def numbers(targets):
    """Inputs and targets of a regression, all of the size of one."""
    x, y = load_diabetes(return_X_y=True)
    x, y = StandardScaler().fit_transform(x), y / 100
    return x, {"one": y, "two": np.stack([y, x[:, 0] ** 2], 1)}[targets]


def pair(ours, theirs, x, y, weight=None, **options):
    options = {"random_state": 3, **SMALL, **options}
    models = [kind(**options) for kind in (ours, theirs)]
    return [
        model.fit(x, y, **({} if weight is None else {"sample_weight": weight})) for model in models
    ]


def assert_same_run(ours, theirs, rtol=2e-4):
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=rtol)
    for name in ("coefs_", "intercepts_"):
        for mine, other in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            assert mine.shape == other.shape
            np.testing.assert_allclose(mine, other, atol=2e-3)
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)


CASES = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "sgd-without-nesterov-falling-rate": {
        "solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "invscaling",
        "nesterovs_momentum": False, "power_t": 0.3,
    },
    "sgd-adaptive": {
        "solver": "sgd", "learning_rate_init": 0.2, "learning_rate": "adaptive", "tol": 0.05,
        "n_iter_no_change": 2, "max_iter": 60,
    },
    "early-stopping": {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 60},
    "relu-in-order": {"activation": "relu", "shuffle": False, "alpha": 0.1},
    "logistic-of-all-examples": {"activation": "logistic", "batch_size": "auto"},
    "identity-ends-by-itself": {
        "activation": "identity", "learning_rate_init": 0.05, "tol": 1e-2, "max_iter": 100,
    },
}  # fmt: skip
SLOW = (
    "sgd-without-nesterov-falling-rate",
    "relu-in-order",
    "logistic-of-all-examples",
    "identity-ends-by-itself",
)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, options in CASES.items()
    ],
)
def test_training_is_scikit_learns(options):
    ours, theirs = pair(MLPClassifier, TheirClassifier, X, Y, **options)
    assert_same_run(ours, theirs)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-3)
    if options.get("early_stopping"):
        np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_)
        assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)
    else:
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_, rel=1e-3)


@pytest.mark.parametrize(
    ("loss", "targets", "early"),
    [
        ("squared_error", "two", False),
        pytest.param("squared_error", "one", True, marks=pytest.mark.slow),
        pytest.param("poisson", "one", False, marks=pytest.mark.slow),
        pytest.param("poisson", "one", True, marks=pytest.mark.slow),
    ],
)
def test_training_on_numbers_is_scikit_learns(loss, targets, early):
    x, y = numbers(targets)
    options = {"loss": loss, "early_stopping": early, "batch_size": 100}
    ours, theirs = pair(MLPRegressor, TheirRegressor, x, y, **options)
    assert_same_run(ours, theirs)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), atol=3e-3)


@pytest.mark.parametrize("y", [Y, pytest.param(Y > 0, marks=pytest.mark.slow)], ids=["3", "2"])
def test_weights_of_examples_count_as_in_scikit_learn(y):
    ours, theirs = pair(MLPClassifier, TheirClassifier, X, y, WEIGHT)
    assert_same_run(ours, theirs)
    assert ours.score(X, y, WEIGHT) == pytest.approx(theirs.score(X, y, WEIGHT))


@pytest.mark.slow
def test_several_labels_are_learned_as_in_scikit_learn():
    labels = np.stack([Y > 0, Y > 1, X[:, 0] > 6], 1).astype(int)
    ours, theirs = pair(MLPClassifier, TheirClassifier, X, labels, max_iter=100)
    assert_same_run(ours, theirs, rtol=1e-3)
    assert (ours.predict(X) == theirs.predict(X)).mean() > 0.99
    assert ours.predict_proba(X).shape == (len(X), 3)


def test_going_on_is_as_in_scikit_learn():
    models = [
        kind(**{**SMALL, "max_iter": 4}, random_state=0, warm_start=True)
        for kind in (MLPClassifier, TheirClassifier)
    ]
    for model in models:
        model.fit(X, Y).fit(X, Y)
    assert_same_run(*models)
    models = [kind(**SMALL, random_state=0) for kind in (MLPClassifier, TheirClassifier)]
    for model in models:
        model.partial_fit(X[:145], Y[:145], classes=[0, 1, 2])
        for _ in range(3):
            model.partial_fit(X[5:], Y[5:])
    assert_same_run(*models)


@pytest.mark.parametrize(
    ("hidden", "activation"),
    [((), "tanh"), pytest.param((5,), "identity", marks=pytest.mark.slow)],
)
def test_lbfgs_reaches_the_loss_of_scikit_learn_where_there_is_one_minimum(hidden, activation):
    x = StandardScaler().fit_transform(X)
    options = {**LINEAR, "hidden_layer_sizes": hidden, "activation": activation, "max_iter": 1000}
    ours, theirs = pair(MLPClassifier, TheirClassifier, x, Y, **options)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=0.01)
    assert ours.score(x, Y) >= theirs.score(x, Y) - 0.01
    assert 1 < ours.n_iter_ < 1000


def test_lbfgs_ends_where_it_is_told_to():
    model = MLPClassifier(**{**LINEAR, "max_iter": 3})
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        model.fit(X, Y)
    assert model.n_iter_ == 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert model.set_params(max_iter=500, max_fun=10).fit(X, Y).n_iter_ < 10
    assert not hasattr(model, "partial_fit")


def test_an_example_of_weight_two_is_there_twice():
    twice = np.concatenate([np.arange(len(X)), np.arange(10)])
    weight = 1.0 + (np.arange(len(X)) < 10)
    options = {**SMALL, "activation": "logistic", "batch_size": "auto", "random_state": 0}
    weighed = MLPClassifier(**options).fit(X, Y, sample_weight=weight).predict_proba(X)
    repeated = MLPClassifier(**options).fit(X[twice], Y[twice]).predict_proba(X)
    once = MLPClassifier(**options).fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(weighed, repeated, rtol=1e-5)
    assert abs(weighed - once).max() > 1e-4


def test_a_weight_of_a_class_is_that_of_its_examples():
    options = {**SMALL, "random_state": 0}
    given = MLPClassifier(class_weight={0: 3.0, 2: 0.5}, **options).fit(X, Y)
    meant = MLPClassifier(**options).fit(X, Y, sample_weight=np.array([3.0, 1.0, 0.5])[Y])
    assert given.loss_curve_ == meant.loss_curve_
    uneven = np.arange(5, len(Y))
    balanced = MLPClassifier(class_weight="balanced", **options).fit(X[uneven], Y[uneven])
    counts = np.bincount(Y[uneven])
    weight = (len(uneven) / (3 * counts))[Y[uneven]]
    meant = MLPClassifier(**options).fit(X[uneven], Y[uneven], sample_weight=weight)
    assert balanced.loss_curve_ == pytest.approx(meant.loss_curve_, rel=1e-6)
    with pytest.raises(ValueError, match="balanced"):
        balanced.partial_fit(X, Y)


def test_a_second_fit_of_the_same_size_compiles_nothing(caplog):
    MLPClassifier(**SMALL).fit(X, Y).predict(X)
    with jax.log_compiles():
        model = MLPClassifier(**SMALL, alpha=1.0, learning_rate_init=0.1, tol=1e-2, beta_1=0.5)
        model.fit(X[1:], Y[1:]).predict(X[:7])  # as another fold of a search
    assert not [text for text in caplog.messages if text.startswith("Compiling")]


def test_a_pickle_goes_on_where_the_model_is():
    model = MLPClassifier(**DROPPED).fit(X, Y)
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))
    for each in (model, copy):
        each.partial_fit(X, Y)
    assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))


def test_dropout_is_for_training_only():
    dropped = MLPClassifier(**DROPPED).fit(X, Y)
    assert dropped.loss_ > MLPClassifier(**{**DROPPED, "dropout": 0.0}).fit(X, Y).loss_
    assert np.array_equal(dropped.predict_proba(X), dropped.predict_proba(X))
    with pytest.raises(ValueError, match="lbfgs"):
        dropped.set_params(solver="lbfgs").fit(X, Y)


@pytest.mark.slow
def test_batch_norm_makes_up_for_inputs_of_any_size():
    options = {**SMALL, "max_iter": 100, "learning_rate_init": 0.01, "random_state": 0}
    x = 1000 * (X - X.mean(0))
    model = MLPClassifier(**options, batch_norm=True).fit(x, Y)
    assert model.score(x, Y) > 0.9
    assert "batch_norm1" in model.network_.state
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))


def test_the_network_is_one_of_fcnn(tmp_path):
    labels = np.array(["setosa", "versicolor", "virginica"])[Y]
    model = MLPClassifier(**{**SMALL, "max_iter": 100}, random_state=0).fit(X, labels)
    fcnn.save(tmp_path / "iris.fcnn", model.network_)
    network = fcnn.load(tmp_path / "iris.fcnn")
    assert network.classes == ("setosa", "versicolor", "virginica")
    np.testing.assert_allclose(fcnn.predict(network, X), model.predict_proba(X), rtol=1e-5)
    assert fcnn.evaluate(network, (X, labels)).accuracy == pytest.approx(model.score(X, labels))


def test_ctrl_c_keeps_what_is_learned(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    model = MLPClassifier(**SMALL, random_state=0, verbose=True)
    monkeypatch.setattr(model, "_tell", interrupt, raising=False)
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, Y)
    assert model.n_iter_ == 1
    assert model.predict(X).shape == Y.shape


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"activation": "gelu"}, "activation must be one of identity, logistic, tanh, relu"),
        ({"solver": "rmsprop"}, "solver must be one of"),
        ({"alpha": -1}, "alpha must be a number, at least 0; got -1"),
        ({"max_iter": 0}, "max_iter must be a number, a whole number from 1 on; got 0"),
        ({"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes must be > 0"),
        ({"dropout": 1.0}, "dropout"),
        ({"batch_size": "all"}, "batch_size"),
        ({"learning_rate_init": 1e30, "solver": "sgd"}, "scale X"),
        ({"class_weight": {7: 1.0}}, "class_weight"),
        ({"early_stopping": True, "validation_fraction": 0.001}, "validation"),
    ],
)
def test_a_wrong_argument_is_named(options, told):
    with pytest.raises(ValueError, match=told):
        MLPClassifier(**{**SMALL, **options}).fit(X, Y)


def test_another_network_is_not_gone_on_from():
    model = MLPClassifier(**SMALL, warm_start=True, random_state=0).fit(X, Y)
    with pytest.raises(ValueError, match="was made as"):
        model.set_params(hidden_layer_sizes=(9,)).fit(X, Y)
    with pytest.raises(ValueError, match="made for"):
        model.fit(X[:100], Y[:100])
    with pytest.raises(ValueError, match="at least 0"):
        MLPRegressor(loss="poisson").fit(X, -X[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "options"),
    [
        (
            load_iris,
            {"hidden_layer_sizes": (5,), "activation": "logistic", "learning_rate_init": 0.01,
             "batch_size": 10, "max_iter": 1000},
        ),
        (load_digits, {"hidden_layer_sizes": (32, 64, 128), "max_iter": 500}),
        (
            load_iris,
            {"hidden_layer_sizes": (5,), "activation": "logistic", "solver": "lbfgs",
             "max_iter": 1000},
        ),
        (load_digits, {"hidden_layer_sizes": (32, 64, 128), "solver": "lbfgs", "max_iter": 500}),
    ],
    ids=["iris-adam", "digits-adam", "iris-lbfgs", "digits-lbfgs"],
)  # fmt: skip
def test_accuracy_is_within_a_point_of_scikit_learns_over_ten_seeds(load, options):
    x, y = load(return_X_y=True)
    scores = {MLPClassifier: [], TheirClassifier: []}
    for seed in range(10):
        parts = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y)
        for kind, found in scores.items():
            with threadpool_limits(1):  # of which scikit-learn is faster here
                model = kind(**options, random_state=seed).fit(parts[0], parts[2])
            found.append(model.score(parts[1], parts[3]))
    ours, theirs = map(np.mean, scores.values())
    print(f"over 10 seeds: fcnn {ours:.4f}, scikit-learn {theirs:.4f}")
    assert ours >= theirs - 0.01, (ours, theirs)
