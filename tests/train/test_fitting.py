import jax
import numpy as np
import optax
import pytest

import fcnn
from fcnn import dense, dropout, flatten, log_softmax, losses, serial, softmax
from fcnn.data import batches
from fcnn.train import make_step, start

from .parts import assert_equal, bands, line, noting, small


def fit(model, data, **options):
    usual = {"progress": False, "epochs": 2, "optimizer": optax.adam(2e-2)}
    return fcnn.fit(model, data, **usual | options)


def test_a_network_learns_and_knows_its_classes():
    network, history = fit(small(), bands(), epochs=12, validation=bands(30, seed=1))
    assert network.classes == ("top", "middle", "bottom")
    assert network.output == "softmax"
    assert network.input == jax.ShapeDtypeStruct((8, 8, 1), np.float32)
    assert len(history) == 12
    assert history["validation_accuracy"][-1] > 0.9
    assert history["loss"][-1] < history["loss"][0]


def test_fit_is_a_loop_over_steps_bit_for_bit():
    data, model, optimizer = bands(50), serial(dropout(0.2), small()), optax.adam(1e-2)
    network, _ = fit(model, data, optimizer=optimizer, batch_size=16, seed=5)
    ts = start(model, optimizer, jax.random.key(5), data.x)
    step = make_step(model, optimizer=optimizer)
    for epoch in range(2):
        for batch in batches(data, 16, seed=5, epoch=epoch):
            ts, _ = step(ts, batch)
    assert_equal(network.params, ts.params)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    (a, one), (b, two), (c, _) = (fit(small(), bands(), seed=seed) for seed in (3, 3, 4))
    assert_equal(a.params, b.params)
    assert one["loss"] == two["loss"]
    assert not np.allclose(a.params["conv1"]["kernel"], c.params["conv1"]["kernel"])


@pytest.mark.parametrize("n", [1, 5, 16, 37])
def test_any_number_of_examples_compiles_once(n):
    traces = []
    model = serial(noting(traces), flatten, dense(3))
    fit(model, bands(n), batch_size=16, validation=bands(n + 3), epochs=1)
    assert traces.count("train") == 1
    step_traces = traces.count("eval")
    traces.clear()
    model = serial(noting(traces), flatten, dense(3))
    fit(model, bands(n), batch_size=16, validation=bands(n + 3), epochs=3)
    assert traces.count("train") == 1
    assert traces.count("eval") == step_traces


def test_epoch_means_are_exact_over_a_ragged_last_batch():
    data = bands(37)
    _, history = fit(small(), data, epochs=1, batch_size=16, optimizer=optax.sgd(0.0))
    network, _ = fit(small(), data, epochs=1, batch_size=16, optimizer=optax.sgd(0.0))
    outputs = np.asarray(network(data.x))
    expected = np.asarray(losses.cross_entropy(outputs, data.y)).mean()
    np.testing.assert_allclose(history["loss"][0], expected, rtol=1e-6)
    assert history["accuracy"][0] == pytest.approx((outputs.argmax(-1) == data.y).mean(), abs=1e-6)


def test_a_network_goes_on_from_where_it_was():
    network, first = fit(small(), bands(), epochs=3, optimizer=optax.sgd(0.1))
    _, second = fit(network, bands(), epochs=1, optimizer=optax.sgd(0.1))
    assert second["loss"][0] < first["loss"][0]


def test_numbers_are_predicted_with_a_loss_for_numbers():
    x, y = line()
    network, history = fit(
        serial(dense(1)), (x, y), loss="squared_error", optimizer=optax.sgd(0.1), epochs=30
    )
    assert network.output == "identity"
    assert network.classes is None
    assert history["loss"][-1] < 1e-3
    report = fcnn.evaluate(network, (x, y))
    assert report.r2 > 0.999
    assert fcnn.predict(network, x).shape == (64, 1)


def test_two_classes_from_one_output():
    data = bands(40)
    y = (data.y > 0).astype(int)
    model = serial(flatten, dense(1))
    network, history = fit(model, (data.x, y), loss="binary_cross_entropy", epochs=20)
    assert network.output == "sigmoid"
    assert history["binary_accuracy"][-1] > 0.9
    assert fcnn.evaluate(network, (data.x, y)).accuracy > 0.9
    assert 0 <= fcnn.predict(network, data.x).min() <= fcnn.predict(network, data.x).max() <= 1


def test_one_hot_and_integer_labels_train_alike():
    data = bands()
    a, one = fit(small(), (data.x, data.y))
    b, two = fit(small(), (data.x, np.eye(3, dtype=np.float32)[data.y]))
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-5)
    report, other = (
        fcnn.evaluate(n, (data.x, y)) for n, y in ((a, data.y), (b, np.eye(3)[data.y]))
    )
    assert report.accuracy == other.accuracy


def test_string_labels_become_sorted_classes():
    data = bands()
    names = np.array(["top", "middle", "bottom"])[data.y]
    network, _ = fit(small(), (data.x, names), epochs=15)
    assert network.classes == ("bottom", "middle", "top")
    assert fcnn.evaluate(network, (data.x, names)).accuracy > 0.9
    assert fcnn.evaluate(network, data).accuracy > 0.9  # the same classes in another order


@pytest.mark.parametrize("x", ["list", "float64", "int"])
def test_inputs_of_many_types_work(x):
    data = bands(12)
    given = {
        "list": data.x.tolist(),
        "float64": data.x.astype(np.float64),
        "int": (data.x * 100).astype(np.uint8),
    }[x]
    first = [fcnn.rescale(1 / 255)] if x == "int" else []
    network, _ = fit(serial(*first, flatten, dense(3)), (given, data.y.tolist()), epochs=1)
    assert fcnn.predict(network, given).shape == (12, 3)


def test_class_weights_equal_weights_on_the_examples():
    data = bands(30)
    table = {"top": 1.0, "middle": 3.0, 2: 0.5}
    a, _ = fit(small(), data, class_weight=table, epochs=1)
    weight = np.array([1.0, 3.0, 0.5], np.float32)[data.y]
    b, _ = fit(small(), (data.x, data.y, weight), epochs=1)
    assert_equal(a.params, b.params)


def test_balanced_class_weights_are_those_of_scikit_learn():
    class_weight = pytest.importorskip("sklearn.utils.class_weight")
    from fcnn.train.feeding import class_weights

    y = np.array([0] * 7 + [1] * 2 + [3] * 5)
    data = fcnn.data.arrays(np.zeros((14, 2)), y)
    outputs = jax.ShapeDtypeStruct((1, 4), np.float32)
    found = class_weights("balanced", data, tuple("abcd"), outputs)
    expected = class_weight.compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=y)
    np.testing.assert_allclose(found[[0, 1, 3]], expected, rtol=1e-6)
    assert found[2] == 0


def test_a_rare_class_is_found_with_balanced_weights():
    generator = np.random.default_rng(0)
    y = (np.arange(400) % 20 == 0).astype(int)
    x = generator.normal(size=(400, 4)).astype(np.float32) + 1.6 * y[:, None]
    options = {"epochs": 10, "optimizer": optax.adam(1e-2)}
    network, _ = fit(serial(dense(2)), (x, y), class_weight="balanced", **options)
    assert fcnn.evaluate(network, (x, y)).per_class[1].recall >= 0.8


def test_patience_stops_and_returns_the_best_while_both_are_kept():
    data, held_out = bands(60), bands(30, seed=1)
    network, history = fit(
        small(), data, validation=held_out, epochs=60, patience=2, optimizer=optax.sgd(2.0)
    )
    values = history["validation_loss"]
    assert history.best_epoch == 1 + int(np.argmin(values))
    assert len(history) == history.best_epoch + 2
    assert "no better validation_loss" in history.stopped
    assert network is history.best
    best = fcnn.evaluate(history.best, held_out).loss
    assert best == pytest.approx(min(values), rel=1e-5)
    assert fcnn.evaluate(history.last, held_out).loss == pytest.approx(values[-1], rel=1e-5)


def test_accuracy_is_better_when_larger():
    _, history = fit(
        small(), bands(), validation=bands(30, 1), monitor="validation_accuracy", epochs=4
    )
    assert history.best_epoch == 1 + int(np.argmax(history["validation_accuracy"]))


def test_an_unknown_column_lists_the_columns():
    with pytest.raises(ValueError, match="monitor 'validation_loss' is no column; there are loss"):
        fit(small(), bands(), monitor="validation_loss")


def test_a_fraction_is_held_out_of_the_training_data():
    _, history = fit(small(), bands(60), validation=0.25, epochs=1)
    assert "validation_accuracy" in history.rows[0]
    assert (np.array(history["validation_accuracy"]) * 15 % 1).round(4) % 1 == 0


def test_callbacks_see_each_epoch_and_can_end_the_run():
    seen = []

    def callback(moment):
        seen.append((moment.row["epoch"], len(moment.history)))
        assert fcnn.predict(moment.copied(), bands(3).x).shape == (3, 3)
        return moment.row["epoch"] == 3

    _, history = fit(small(), bands(), epochs=9, callbacks=[callback])
    assert seen == [(1, 1), (2, 2), (3, 3)]
    assert history.stopped == "stopped by a callback after epoch 3"


def test_names_stand_for_losses_optimizers_and_metrics():
    _, history = fit(
        small(), bands(), loss="focal", optimizer="momentum", metrics=["accuracy", "cross_entropy"]
    )
    assert {"loss", "accuracy", "cross_entropy"} <= set(history.rows[0])
    with pytest.raises(ValueError, match="no loss is called 'crossentropy'"):
        fit(small(), bands(), loss="crossentropy")


def test_a_final_softmax_is_refused_and_a_log_softmax_is_noticed():
    with pytest.raises(ValueError, match="ends in softmax, but cross_entropy takes logits"):
        fit(serial(flatten, dense(3), softmax), bands())
    with pytest.warns(UserWarning, match="ends in log_softmax"):
        fit(serial(flatten, serial(dense(3), log_softmax)), bands(), epochs=1)


def test_what_is_not_finite_ends_the_run_with_its_step():
    with pytest.raises(FloatingPointError, match="epoch 1, step 1: the new value of conv1/bias"):
        fit(small(), bands(), optimizer=optax.sgd(float("inf")))


def test_data_that_is_read_batch_by_batch_trains_like_arrays():
    data = bands(40)

    class Lazy:
        classes = data.classes

        def __len__(self):
            return 40

        def __getitem__(self, indices):
            return data.x[indices], data.y[indices]

    a, _ = fit(small(), data)
    b, _ = fit(small(), Lazy())
    assert_equal(a.params, b.params)
    assert fcnn.evaluate(b, Lazy()).accuracy == fcnn.evaluate(a, data).accuracy


def test_the_run_is_shown_on_standard_error(capsys):
    fcnn.fit(small(), bands(), validation=bands(12), epochs=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "235 parameters to train, on 60 examples; 12 held out" in err
    assert "epoch 2/2  loss " in err


@pytest.mark.parametrize(
    "loss", [lambda o, t: (o - t) ** 2, lambda o, t: ((o - t) ** 2).mean()], ids=["[n, 1]", "[]"]
)
def test_a_loss_that_gives_no_number_per_example_is_refused(loss):
    x, y = line()
    with pytest.raises(ValueError, match="loss must give one number for each of 32 examples"):
        fit(serial(dense(1)), (x, y[:, None]), loss=loss)
    network, _ = fit(serial(dense(1)), (x, y), loss="squared_error", epochs=1)
    with pytest.raises(ValueError, match="loss must give one number"):
        fcnn.evaluate(network, (x, y[:, None]), loss=loss)


def test_a_loss_of_ones_own_on_integers_still_predicts_numbers():
    x, y = line()
    network, _ = fit(serial(dense(1)), (x, y.astype(int)), loss=lambda o, t: (o[:, 0] - t) ** 2)
    assert network.output == "identity"
    own = fit(small(), bands(), loss=lambda o, t: losses.cross_entropy(o, t) ** 2, epochs=1)[0]
    assert own.output == "softmax"
    assert own.classes == ("top", "middle", "bottom")


def test_outputs_and_classes_are_as_many():
    with pytest.raises(ValueError, match=r"the data has 3 classes .*the model 5 outputs"):
        fit(small(5), bands())


@pytest.mark.parametrize("loss", ["poisson", "hinge", "squared_error", "binary_cross_entropy"])
def test_every_form_of_output_is_predicted_and_evaluated(loss):
    x, y = line(32)
    targets = {
        "poisson": np.abs(y),
        "hinge": (y > 0).astype(int),
        "squared_error": y,
        "binary_cross_entropy": y > 0,
    }[loss]
    outputs = 2 if loss == "hinge" else 1
    network, _ = fit(serial(dense(outputs)), (x, targets), loss=loss, epochs=1)
    assert fcnn.predict(network, x).shape == (32, outputs)
    assert np.isfinite(fcnn.evaluate(network, (x, targets)).loss)
    if loss == "poisson":
        assert (fcnn.predict(network, x) > 0).all()


def test_labels_of_two_classes_may_be_true_and_false():
    data = bands(30)
    options = {"loss": "binary_cross_entropy", "class_weight": "balanced", "epochs": 1}
    network, _ = fit(serial(flatten, dense(1)), (data.x, data.y > 0), **options)
    assert network.classes == ("0", "1")
    assert fcnn.evaluate(network, (data.x, data.y > 0)).n == 30


def test_labels_of_several_kinds_at_once_are_reported_by_their_names():
    data = bands(30)
    y = np.stack([data.y > 0, data.y > 1], 1).astype(np.float32)
    several = fcnn.data.arrays(data.x, y, classes=["not top", "bottom"])
    network, _ = fit(serial(flatten, dense(2)), several, loss="binary_cross_entropy", epochs=20)
    report = fcnn.evaluate(network, several)
    assert [row.name for row in report.per_class] == ["not top", "bottom"]
    assert report.accuracy > 0.9


def test_the_direction_of_an_unknown_metric_has_to_be_said():
    x, y = line()
    options = {"loss": "squared_error", "metrics": {"mine": losses.log_cosh}}
    own = {"metrics": {"mine": lambda o, t: abs(o[:, 0] - t)}, "loss": "squared_error"}
    _, history = fit(serial(dense(1)), (x, y), monitor="mine", **options)
    assert history.mode == "min"
    with pytest.raises(ValueError, match="is a larger mine better"):
        fit(serial(dense(1)), (x, y), monitor="mine", **own)
    _, history = fit(serial(dense(1)), (x, y), monitor="mine", mode="max", **own)
    assert history.best_epoch == 1 + int(np.argmax(history["mine"]))


def test_one_hot_labels_are_counted_as_the_network_counts_its_classes():
    data = bands(30)
    network, _ = fit(small(), data, epochs=15)
    order = ["bottom", "top", "middle"]
    rows = np.eye(3, dtype=np.float32)[data.y][:, [2, 0, 1]]
    report = fcnn.evaluate(network, fcnn.data.arrays(data.x, rows, classes=order))
    assert report.accuracy == fcnn.evaluate(network, data).accuracy > 0.9


def test_a_single_example_is_told_from_a_batch():
    network, _ = fit(small(), bands(), epochs=1)
    with pytest.raises(ValueError, match=r"for a single example write x\[None\]"):
        fcnn.predict(network, bands(2).x[0])


def test_layers_and_functions_are_no_networks():
    with pytest.raises(TypeError, match="predict takes a Network, as fit returns it"):
        fcnn.predict(small(), bands().x)
    with pytest.raises(TypeError, match=r"conv makes layers and has to be called"):
        fit(fcnn.conv, bands())
    with pytest.raises(TypeError, match="expected a layer or a function"):
        fit([small()], bands())
