"""Targets that are no plain labels, through fit: smoothed, mixed, and those of a teacher."""

from functools import partial

import jax
import numpy as np
import pytest

import fcnn
from fcnn import augment, dense, flatten, losses, optimizers, relu, serial
from fcnn.train import seen, start

from .parts import bands
from .test_looping import noise, wrapped

CLASSES = 3
SLOW = pytest.mark.slow

MODEL = serial(flatten, dense(8), relu, dense(CLASSES))


def first_row(data, **options):
    """What the first step of a run reports, whose batch is all of the data."""
    usual = {"epochs": 1, "batch_size": len(data), "seed": 4, "progress": False}
    return fcnn.fit(MODEL, data, **usual | options)[1].rows[0]


def first_outputs(x):
    """The outputs in that step, of a layer without randomness."""
    ts = start(MODEL, optimizers.adam(), jax.random.key(4), x)
    return MODEL.apply(ts.params, ts.state, x, train=True)[0]


def log_softmax64(logits):
    logits = np.asarray(logits, float)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize(
    ("kind", "mix", "smoothing"),
    [
        ("in memory", augment.mixup, 0.1),
        pytest.param("read along the way", augment.cutmix, 0.0, marks=SLOW),
    ],
)
def test_smoothed_and_mixed_labels_give_the_loss_of_their_formula(kind, mix, smoothing):
    data = bands(21) if kind == "in memory" else wrapped(bands(21))
    mixed = mix(1.0, classes=CLASSES)
    loss = partial(losses.cross_entropy, smoothing=smoothing)
    row = first_row(data, augment=mixed, loss=loss, accumulate=7, metrics=["cross_entropy"])
    batch = seen(data, 21, augment=mixed, seed=4)
    assert batch["y"].shape == (21, CLASSES)
    assert ((batch["y"] > 0.01).sum(1) == 2).any()
    expected = -batch["y"] * log_softmax64(first_outputs(batch["x"]))
    np.testing.assert_allclose(row["cross_entropy"], expected.sum(1).mean(), rtol=1e-5)
    rows = (1 - smoothing) * batch["y"] + smoothing / CLASSES
    expected = -rows * log_softmax64(first_outputs(batch["x"]))
    np.testing.assert_allclose(row["loss"], expected.sum(1).mean(), rtol=1e-5)


@pytest.mark.slow
def test_a_run_on_mixed_labels_learns_and_reports_its_accuracy():
    network, history = fcnn.fit(
        MODEL, bands(60), augment=augment.mixup(0.2, classes=CLASSES), epochs=15,
        optimizer=optimizers.adam(2e-2), progress=False,
    )  # fmt: skip
    assert network.classes == ("top", "middle", "bottom")
    assert fcnn.evaluate(network, bands(30, seed=1)).accuracy > 0.9
    assert 0.3 < history["accuracy"][-1] <= 1


@pytest.mark.parametrize(
    "ways",
    [
        {},
        pytest.param({"accumulate": 3}, marks=SLOW),
        pytest.param({"sharpness": 0.05}, marks=SLOW),
    ],
    ids=str,
)
def test_a_teacher_sees_the_inputs_as_they_are_augmented(ways):
    data = bands(21)
    kernel = np.random.default_rng(0).normal(size=(64, CLASSES)).astype(np.float32)

    def teacher(x):
        return x.reshape(len(x), -1) @ kernel

    loss = losses.distillation(teacher, temperature=2.0, alpha=0.7)
    row = first_row(data, augment=noise, loss=loss, **ways)
    batch = seen(data, 21, augment=noise, seed=4)
    outputs, logits = first_outputs(batch["x"]), teacher(batch["x"])
    hard = losses.cross_entropy(outputs, batch["y"])
    log_p, log_q = log_softmax64(logits / 2), log_softmax64(np.asarray(outputs) / 2)
    soft = (np.exp(log_p) * (log_p - log_q)).sum(1)
    np.testing.assert_allclose(row["loss"], np.mean(0.7 * 4 * soft + 0.3 * hard), rtol=1e-5)


@pytest.mark.slow
def test_data_held_out_has_the_loss_of_its_labels():
    data, loss = bands(21), losses.distillation(jax.numpy.sin)
    network, history = fcnn.fit(
        MODEL, data, loss=losses.distillation(lambda x: x[:, :3, 0, 0]), validation=data, epochs=1,
        progress=False,
    )  # fmt: skip
    found = fcnn.evaluate(network, data)
    np.testing.assert_allclose(history["validation_loss"], [found.loss], rtol=1e-5)
    assert history["accuracy"]
    assert losses.output_of(loss) == network.output


@pytest.mark.slow
def test_a_student_learns_what_the_teacher_knows_without_labels_that_are_right():
    data, held_out = bands(60), bands(30, seed=1)
    options = {"epochs": 15, "optimizer": optimizers.adam(2e-2), "progress": False}
    teacher, _ = fcnn.fit(MODEL, data, **options)
    wrong = fcnn.data.arrays(data.x, np.zeros(60, int), classes=data.classes)
    loss = losses.distillation(teacher, alpha=1.0)
    student, _ = fcnn.fit(serial(flatten, dense(3)), wrong, loss=loss, **options)
    assert (student.output, student.classes) == ("softmax", data.classes)
    assert fcnn.evaluate(student, held_out).accuracy > 0.9


def test_a_teacher_of_other_classes_is_refused():
    model = serial(flatten, dense(5))
    teacher, _ = fcnn.fit(model, (bands(12).x, bands(12).y), epochs=1, progress=False)
    with pytest.raises(ValueError, match=r"the teacher gives \(12, 5\), the network \(12, 3\)"):
        first_row(bands(12), loss=losses.distillation(teacher))


@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
@pytest.mark.parametrize("kind", ["strings", "stream", "validation"])
def test_names_of_classes_are_no_amounts(loss, kind):
    x, names = bands(12).x, np.array(["low", "mid", "high"])[bands(12).y]
    data, options = (x, names), {}
    if kind == "stream":
        data = fcnn.data.stream(lambda: [(x, names)], classes=["low", "mid", "high"])
    elif kind == "validation":
        data, options = (x, bands(12).y.astype(np.float32)), {"validation": (x, names)}
    with pytest.raises(TypeError, match=r"are the classes .*would take them for the amounts"):
        fcnn.fit(serial(flatten, dense(1)), data, loss=loss, progress=False, **options)
