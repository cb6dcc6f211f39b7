"""Bad input gets words, before anything is traced for training."""

import jax
import numpy as np
import pytest

import fcnn
from fcnn import augment, conv, dense, flatten, global_avg_pool, max_pool, relu, serial
from fcnn.core.network import start_network

from .parts import bands, noting, small

X, Y = bands(12).x, bands(12).y
NAN = X.copy()
NAN[4, 3, 3] = np.nan
BAD = {
    "lengths": ((X, Y[:-1]), {}, ValueError, "x has 12 examples, y has 11"),
    "empty": ((X[:0], Y[:0]), {}, ValueError, "train is empty"),
    "empty validation": ((X, Y), {"validation": (X[:0], Y[:0])}, ValueError, "validation is empty"),
    "label too large": (
        (X, Y + 1),
        {},
        ValueError,
        r"label 3 is out of range for 3 out",
    ),
    "label negative": ((X, Y - 1), {}, ValueError, "label -1 is out of range"),
    "float labels": (
        (X, Y + 0.5),
        {},
        TypeError,
        "labels are float32, but this loss needs",
    ),
    "one column": ((X, Y[:, None]), {}, ValueError, r"write y\[:, 0\]"),
    "one-hot too wide": (
        (X, np.eye(4)[Y]),
        {},
        ValueError,
        r"labels \[4\] for outputs \[3\]",
    ),
    "rows that sum to two": ((X, 2 * np.eye(3)[Y]), {}, ValueError, "sum to 1 in each row"),
    "nan": ((NAN, Y), {}, ValueError, r"1 of 12 examples hold NaN or infinity, first x\[4\]"),
    "infinity": ((np.where(X > 1, np.inf, X), Y), {}, ValueError, "hold NaN or infinity"),
    "nan in validation": ((X, Y), {"validation": (NAN, Y)}, ValueError, "validation: 1 of 12"),
    "rank 2": ((X.reshape(12, -1), Y), {}, ValueError, "conv1"),
    "no channel axis": ((X[..., 0], Y), {}, ValueError, r"write x\[..., None\]"),
    "channels first": ((X.transpose(0, 3, 1, 2), Y), {}, ValueError, r"x.transpose\(0, 2, 3, 1\)"),
    "uint8": (((X * 9).astype(np.uint8), Y), {}, TypeError, "conv1.*uint8.*rescale"),
    "bool": ((X > 0, Y), {}, TypeError, "conv1.*bool"),
    "complex": ((X + 1j, Y), {}, TypeError, "complex64"),
    "objects": ((X.astype(object), Y), {}, TypeError, "object"),
    "ragged": (([[1.0], [1.0, 2.0]], [0, 1]), {}, ValueError, "ragged"),
    "strings": ((X.astype(str), Y), {}, TypeError, "x must hold"),
    "masked": ((np.ma.masked_array(X), Y), {}, TypeError, "masked"),
    "no labels": (X, {}, TypeError, r"give a pair \(x, y\)"),
    "a number": (3, {}, TypeError, "got int"),
    "mixed labels": ((X, [None] * 12), {}, TypeError, "object"),
    "other validation": ((X, Y), {"validation": (X[:, :4], Y)}, ValueError, "validation inputs"),
    "epochs": ((X, Y), {"epochs": 0}, ValueError, "epochs must be a positive integer, got 0"),
    "batch size": ((X, Y), {"batch_size": 2.5}, ValueError, "batch_size must be a positive"),
    "patience": ((X, Y), {"patience": 0}, ValueError, "patience"),
    "loss": ((X, Y), {"loss": "nll"}, ValueError, "no loss is called 'nll'"),
    "optimizer": ((X, Y), {"optimizer": "adamm"}, ValueError, "'adamm'"),
    "metric": ((X, Y), {"metrics": ["acc"]}, ValueError, "'acc'"),
    "class weight name": ((X, Y), {"class_weight": {"nine": 2}}, ValueError, "no class 'nine'"),
    "class weight sign": ((X, Y), {"class_weight": {0: -1}}, ValueError, "at least 0"),
    "class weight word": ((X, Y), {"class_weight": "even"}, TypeError, "'balanced', got 'even'"),
    "class weight list": ((X, Y), {"class_weight": [1, 2, 3]}, TypeError, "class_weight must be"),
    "optimizer function": (
        (X, Y),
        {"optimizer": 1e-3},
        TypeError,
        "an optax transformation",
    ),
    "zero weights": ((X, Y, np.zeros(12)), {}, ValueError, "train: all weights are 0"),
    "metric name": (
        (X, Y),
        {"metrics": {"loss": abs}},
        ValueError,
        "cannot be called loss",
    ),
    "metrics alike": (
        (X, Y),
        {"metrics": ["hinge", "hinge"]},
        ValueError,
        "two metrics are",
    ),
    "mode": ((X, Y), {"mode": "most"}, ValueError, "must be 'min' or 'max'"),
    "whole fraction": ((X, Y), {"validation": 1}, ValueError, "between 0 and 1"),
    "weights": ((X, Y, -np.ones(12)), {}, ValueError, "weights must be finite and not negative"),
    "pattern": ((X, Y), {"trainable": "head/.*"}, ValueError, "matches no parameter"),
    "numbers": ((X, Y), {"loss": "squared_error"}, ValueError, "must have the same shape"),
    "fraction": ((X, Y), {"validation": 1.5}, ValueError, "between 0 and 1"),
    "option": ((X, Y), {"batchsize": 3}, TypeError, "batchsize"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_training(case):
    data, options, error, message = BAD[case]
    traces = []
    with pytest.raises(error, match=message) as caught:
        fcnn.fit(serial(small(), noting(traces)), data, progress=False, **options)
    assert "train" not in traces
    assert len(str(caught.value)) < 400


NETWORK = start_network(
    small(),
    jax.random.key(0),
    X,
    classes=("top", "middle", "bottom"),
    input=jax.ShapeDtypeStruct((8, 8, 1), "float32"),
)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X[..., 0], ValueError, r"made for inputs \[8, 8, 1\], got \[8, 8\].*write x\[..., None\]"),
        (np.zeros((2, 8, 8, 3)), ValueError, "it has 3 channels in place of 1"),
        (NAN, ValueError, "hold NaN"),
        (X.astype(object), TypeError, "object"),
    ],
)
def test_a_network_refuses_inputs_it_was_not_made_for(x, error, message):
    with pytest.raises(error, match=message):
        fcnn.predict(NETWORK, x)
    with pytest.raises(error, match=message):
        fcnn.evaluate(NETWORK, (x, np.zeros(len(x), int)))


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (np.full(12, 7), ValueError, "label 7 is out of range"),
        (["top"] * 11 + ["left"], ValueError, "classes the network does not know: left"),
        (Y + 0.5, TypeError, "labels are float32"),
    ],
)
def test_evaluation_refuses_labels_the_network_cannot_have(y, error, message):
    with pytest.raises(error, match=message):
        fcnn.evaluate(NETWORK, (X, y))


def test_check_false_lets_unusual_inputs_pass():
    x = np.random.default_rng(0).normal(size=(12, 8, 8)).astype(np.float32)
    network, _ = fcnn.fit(
        serial(conv(4, 3), relu, flatten, dense(3)), (x, Y), epochs=1, progress=False, check=False
    )
    assert fcnn.predict(network, x).shape == (12, 3)


@pytest.mark.parametrize("head", [(flatten, dense(10)), (global_avg_pool, dense(10))])
def test_an_impossible_network_is_refused_by_name(head):
    parts = (
        conv(10, 5, padding="valid"), relu, max_pool(2),
        conv(20, 5, padding="valid"), relu, max_pool(2), *head,
    )  # fmt: skip
    x = jax.ShapeDtypeStruct((1, 8, 8, 1), np.float32)
    for run in (
        lambda: fcnn.summary(serial(*parts), x),
        lambda: serial(*parts).init(jax.random.key(0), x),
        lambda: fcnn.fit(serial(*parts), (X, Y), progress=False),
    ):
        with pytest.raises(ValueError, match=r"conv2.*5x5.*2x2") as caught:
            run()
        assert "conv2" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("flop", KeyError, "no recipe 'flop'; there are none, flip"),
        (3, TypeError, "augment must be an augmentation, the name of a recipe"),
        (augment.flip, TypeError, r"write augment=augment.flip\(\)"),
        (augment.brightness(), ValueError, "floats from 0 to 1, but x goes from -"),
        (
            augment.compose(augment.flip(), augment.maybe(augment.noise())),
            ValueError,
            "computes with brightness",
        ),
    ],
)
def test_an_augmentation_that_does_not_suit_is_refused_before_tracing(given, error, words):
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype(np.float32)
    with pytest.raises(error, match=words):
        fcnn.fit(serial(flatten, dense(2)), (x, np.arange(8) % 2), augment=given, progress=False)


def test_an_augmentation_of_images_is_refused_for_rows():
    x = np.random.default_rng(0).random((8, 5), np.float32)
    with pytest.raises(
        ValueError, match=r"flip\(.*\) takes images \[h, w, c\]; an example is \[5\]"
    ):
        fcnn.fit(dense(2), (x, np.arange(8) % 2), augment=augment.flip(), progress=False)
    mixed = {"augment": augment.mixup(classes=2), "progress": False, "epochs": 1}
    fcnn.fit(dense(2), (x, np.arange(8) % 2), **mixed)


def test_what_only_moves_pixels_takes_any_numbers():
    x = np.random.default_rng(0).normal(size=(8, 4, 4, 3)).astype(np.float32)
    for name in ("flip", "flip-crop", "shift"):
        data = (x, np.arange(8) % 2)
        fcnn.fit(serial(flatten, dense(2)), data, augment=name, progress=False, epochs=1)
