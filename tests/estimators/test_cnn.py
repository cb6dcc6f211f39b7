"""Convolutional estimators: any rank, any network, and runs that can be gone on with."""

import pickle

import jax
import numpy as np
import optax
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.metrics import r2_score

import fcnn
from fcnn import conv, dense, flatten, relu, serial
from fcnn.estimators import CNNClassifier, CNNRegressor

TRAIN, TEST = fcnn.data.digits()
SMALL = serial(conv(4, 3, 2), relu, flatten, dense(10))


def small(**options):
    options = {"model": SMALL, "epochs": 2, "batch_size": 256, "random_state": 0, **options}
    return CNNClassifier(**options)


def same(first, second):
    pairs = zip(*(jax.tree.leaves(model.network_) for model in (first, second)), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param((6,), marks=pytest.mark.slow),
        pytest.param((12, 3), marks=pytest.mark.slow),
        (5, 3, 1),
        pytest.param((4, 4, 4, 2), marks=pytest.mark.slow),
    ],
    ids=lambda shape: f"rank{len(shape) + 1}",
)
def test_arrays_of_every_rank_are_learned(shape):
    x = np.random.default_rng(0).normal(size=(64, *shape))
    y = np.where(x.mean(tuple(range(1, x.ndim))) > 0, "more", "less")
    model = CNNClassifier(epochs=30, learning_rate=0.01, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.9
    assert list(model.classes_) == ["less", "more"]
    assert model.predict_proba(x[:5]).shape == (5, 2)
    logarithms = model.predict_log_proba(x)
    np.testing.assert_allclose(np.exp(logarithms), model.predict_proba(x), rtol=1e-5)
    assert model.input_shape_ == shape
    assert hasattr(model, "n_features_in_") == (len(shape) == 1)
    assert (model.n_iter_, len(model.loss_curve_)) == (30, 30)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(SMALL, marks=pytest.mark.slow),
        pytest.param("small_cnn", marks=pytest.mark.slow),
        lambda shape: serial(flatten, dense(shape[0] + 2)),
    ],
    ids=["layer", "name", "function"],
)
def test_a_model_is_a_layer_a_name_or_a_function_of_the_shape(model):
    fitted = small(model=model, epochs=1).fit(TRAIN.x[:64], TRAIN.y[:64])
    made = {"small_cnn": "models.small_cnn(classes=10)", SMALL: repr(SMALL)}
    wanted = made.get(model, "serial(flatten, dense(10))")
    assert repr(fitted.network_.layer) == wanted
    assert fitted.predict(TEST.x[:8]).shape == (8,)


def test_a_run_is_that_of_a_plain_loop_over_steps():
    model = small(learning_rate=3e-3).fit(TRAIN.x, TRAIN.y)
    seed = np.random.RandomState(0).randint(2**31 - 1)
    optimizer = fcnn.optimizers.adam(3e-3)
    ts = fcnn.train.start(SMALL, optimizer, jax.random.key(seed), TRAIN.x)
    step = fcnn.train.make_step(SMALL, optimizer=optimizer)
    for epoch in range(2):
        for batch in fcnn.data.batches(TRAIN, 256, seed=seed, epoch=epoch):
            ts, _ = step(ts, batch)
    for mine, other in zip(
        jax.tree.leaves(model.network_.params), jax.tree.leaves(ts.params), strict=True
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_two_parts_are_a_whole_also_across_a_pickle():
    whole = small().fit(TRAIN.x, TRAIN.y)
    parts = small().partial_fit(TRAIN.x, TRAIN.y, classes=range(10))
    parts = pickle.loads(pickle.dumps(parts))  # noqa: S301
    assert same(whole, parts.partial_fit(TRAIN.x, TRAIN.y))
    assert parts.n_iter_ == 2
    assert parts.loss_curve_ == whole.loss_curve_
    assert np.array_equal(parts.predict_proba(TEST.x), whole.predict_proba(TEST.x))


def test_warm_start_goes_on_and_a_fresh_fit_does_not():
    model = small(warm_start=True).fit(TRAIN.x, TRAIN.y)
    first = model.loss_curve_[0]
    model.fit(TRAIN.x, TRAIN.y)
    assert model.loss_curve_[2] < first
    assert model.n_iter_ == 4
    again = model.set_params(warm_start=False).fit(TRAIN.x, TRAIN.y)
    assert same(again, small().fit(TRAIN.x, TRAIN.y))


def test_a_clone_with_another_rate_runs_the_same_programs(caplog):
    model = small(learning_rate=0.1).fit(TRAIN.x, TRAIN.y)
    model.predict(TEST.x)
    with jax.log_compiles():
        other = clone(model).set_params(learning_rate=0.2, epochs=1)
        other.fit(TRAIN.x[:1000], TRAIN.y[:1000]).predict(TEST.x[:50])
    assert not [text for text in caplog.messages if text.startswith("Compiling")]
    assert not same(model, other)


def test_the_best_values_are_kept():
    options = {"validation_fraction": 0.3, "learning_rate": 0.05, "epochs": 30}
    model = small(patience=2, **options).fit(TRAIN.x[:300], TRAIN.y[:300])
    assert model.n_iter_ < 30
    best = int(np.argmin(model.validation_curve_)) + 1
    assert best < model.n_iter_
    until = small(**{**options, "epochs": best}).fit(TRAIN.x[:300], TRAIN.y[:300])
    assert same(model, until)


def test_weights_count():
    weight = np.where(TRAIN.y < 5, 1.0, 0.0)
    some = small(epochs=20, learning_rate=0.01).fit(TRAIN.x, TRAIN.y, sample_weight=weight)
    assert set(some.predict(TEST.x)) <= set(range(5))
    classes = {digit: float(digit < 5) for digit in range(10)}
    other = small(epochs=20, learning_rate=0.01, class_weight=classes).fit(TRAIN.x, TRAIN.y)
    assert same(some, other)


def test_numbers_are_predicted():
    ink = [np.stack([x.mean((1, 2, 3)), x[:, :4].mean((1, 2, 3))], 1) for x in (TRAIN.x, TEST.x)]
    model = CNNRegressor(
        serial(flatten, dense(2)), epochs=60, optimizer=optax.adam(0.01), random_state=0
    ).fit(TRAIN.x, ink[0])
    assert model.predict(TEST.x).shape == (len(TEST.x), 2)
    assert r2_score(ink[1], model.predict(TEST.x)) > 0.99


@pytest.mark.slow
def test_a_layer_of_ones_own_travels_by_value():
    cloudpickle = pytest.importorskip("cloudpickle")  # which joblib takes
    own = serial(lambda x: 2 * x, flatten, dense(10))
    model = small(model=own, epochs=1).fit(TRAIN.x, TRAIN.y)
    copy = pickle.loads(cloudpickle.dumps(model))  # noqa: S301
    assert np.array_equal(copy.predict_proba(TEST.x), model.predict_proba(TEST.x))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "resnet19"}, "no model 'resnet19'"),
        ({"model": serial(flatten, dense(3))}, r"end it in dense\(10\)"),
        ({"model": serial(flatten, dense(10), fcnn.softmax)}, "ends in softmax"),
        ({"loss": "squared_error"}, "loss must be one of cross_entropy"),
        ({"optimizer": "adamm"}, "no optimizer is called 'adamm'"),
        ({"learning_rate": -1.0}, "learning_rate must be above 0"),
        ({"optimizer": optax.adam(0.1), "learning_rate": 0.1}, "leave learning_rate=None"),
        ({"epochs": 0}, "epochs must be a number"),
        ({"validation_fraction": 1.5}, "validation_fraction"),
        ({"class_weight": "even"}, "class_weight"),
    ],
)
def test_a_wrong_argument_is_named(options, told):
    with pytest.raises(ValueError, match=told):
        small(**options).fit(TRAIN.x[:64], TRAIN.y[:64])


def test_inputs_of_a_wrong_shape_are_named():
    with pytest.raises(ValueError, match="without a channel axis"):
        CNNClassifier().fit(TRAIN.x[..., 0], TRAIN.y)
    with pytest.raises(ValueError, match="2 to 5 axes"):
        CNNClassifier().fit(TRAIN.x[..., None, None], TRAIN.y)
    with pytest.raises(TypeError, match="has to be called"):
        small(model=fcnn.models.small_cnn).fit(TRAIN.x, TRAIN.y)
    with pytest.raises(ValueError, match="NaN or infinite numbers: scale X"):
        small(optimizer="sgd").fit(1e25 * TRAIN.x, TRAIN.y)
    with pytest.raises(ValueError, match="1 class"):
        small().fit(TRAIN.x, np.zeros(len(TRAIN.x)))
    model = small(epochs=1).fit(TRAIN.x, TRAIN.y)
    with pytest.raises(ValueError, match=r"\[n, 8, 8, 1\]"):
        model.predict(TEST.x.reshape(len(TEST.x), -1))


@pytest.mark.slow
def test_the_network_is_one_of_fcnn(tmp_path):
    model = small(learning_rate=0.01).fit(TRAIN.x, TRAIN.y)
    fcnn.save(tmp_path / "digits.fcnn", model.network_)
    network = fcnn.load(tmp_path / "digits.fcnn")
    assert fcnn.evaluate(network, TEST).accuracy == pytest.approx(model.score(TEST.x, TEST.y))
    assert fcnn.explain.grad_cam(network, TEST.x[:2], path="conv1").shape == (2, 8, 8)
