"""Kinds of data that are refused in words, and kinds that look odd and are right.

``tests/train/test_checks.py`` has the usual mistakes; here are the rarer ones.
"""

import jax
import numpy as np
import pytest

import fcnn
from fcnn import dense, flatten, serial

from ..train.parts import assert_equal, bands, noting, small

X, Y = bands(12).x, bands(12).y
CLASSES = ("top", "middle", "bottom")
NAMES = np.array(CLASSES)[Y]


def with_nan(values, row=4):
    values = np.array(values, np.float32)
    values[row] = np.nan
    return values


INPUTS = {  # x, the error, what it says
    "no pixels": (
        np.zeros((12, 0, 8, 1), np.float32),
        ValueError,
        r"\(0, 8, 1\)|0x8|x has 0|holds no numbers",
    ),
    "numbers beyond float32": (np.full(X.shape, 1e300), ValueError, "hold NaN or infinity"),
    "complex of zeros": (X.astype(np.complex128), TypeError, "complex128"),
    "dates": (X.astype("datetime64[s]"), TypeError, "datetime64"),
    "bytes": (X.astype("S4"), TypeError, r"dtype \|S4"),
    "records": (np.zeros((12, 8, 8, 1), [("a", "f4")]), TypeError, "dtype"),
    "None": (None, TypeError, "must be an array|NoneType"),
    "a dict": ({"image": X}, TypeError, "dict"),
    "a set": ({1.0, 2.0}, TypeError, "set"),
    "a generator": ((x for x in X), TypeError, "generator"),
    "a masked array": (np.ma.masked_less(X, 0), TypeError, r"x\.filled\(value\)"),
    "a sparse list": ([1.0, None, 2.0], TypeError, "object"),
    "minus infinity": (np.where(X < 0, -np.inf, X), ValueError, "NaN or infinity, first x"),
}
LABELS = {
    "masked": (np.ma.masked_equal(Y, 1), TypeError, "y is a masked array"),
    "complex": (Y + 0j, TypeError, "complex128"),
    "dates": (Y.astype("datetime64[s]"), TypeError, "datetime64"),
    "objects": (np.array([*Y[:-1], {}], object), TypeError, "object"),
    "text and numbers": (["top", *map(int, Y[1:])], (TypeError, ValueError), "y|label|class"),
    "names of another run": (["left", *NAMES[1:]], ValueError, "left|4 classes"),
    "names in two columns": (np.stack([NAMES, NAMES], 1), ValueError, r"must be \[n\]"),
    "numbers in two columns": (np.stack([Y, Y], 1), ValueError, r"labels int64\[\d+,2\]"),
    "NaN in soft rows": (with_nan(np.eye(3)[Y]), ValueError, r"\(labels\).*NaN"),
    "soft rows below zero": (np.eye(3)[Y] * 3 - 2 / 3, ValueError, "at least 0 and sum to 1"),
    "beyond 32 bits": (Y + 2**32, ValueError, "out of range"),
    "beyond 63 bits": (Y.astype(np.uint64) + np.uint64(2**63), ValueError, "out of range"),
    "a number": (3, TypeError, "y must be an array"),
    "None": (None, TypeError, "y must be an array"),
    "a picture of labels": (np.zeros((12, 8, 8), int), ValueError, r"labels int64\[\d+,8,8\]"),
    "too few": (Y[:5], ValueError, "x has 12 examples, y has 5"),
}
WEIGHTS = {
    "too few": (np.ones(5), ValueError, r"weight must be \[12\], got \[5\]"),
    "in two columns": (np.ones((12, 2)), ValueError, r"weight must be \[12\], got \[12, 2\]"),
    "NaN": (with_nan(np.ones(12)), ValueError, "finite and not negative"),
    "infinite": (np.full(12, np.inf), ValueError, "finite and not negative"),
    "complex": (np.ones(12) + 0j, TypeError, "weight must hold"),
    "masked": (np.ma.masked_array(np.ones(12)), TypeError, "weight is a masked array"),
    "text": (["1"] * 12, TypeError, "weight must hold"),
}


@pytest.fixture(scope="module")
def trained():
    model = serial(flatten, dense(3))
    data = fcnn.data.arrays(X, Y, classes=CLASSES)
    return fcnn.fit(model, data, epochs=1, progress=False)[0]


def refused(run, error, words, traces=()):
    with pytest.raises(error, match=words) as caught:
        run()
    assert len(str(caught.value).splitlines()) <= 3
    assert not traces


def fitted(data, traces, **options):
    return fcnn.fit(serial(noting(traces), small()), data, progress=False, **options)


class Traces(list):
    """Notes of traces, of which only those of training count."""

    def __bool__(self):
        return "train" in self


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs_of_a_wrong_kind_are_refused_by_all_that_takes_inputs(kind, trained):
    x, error, words = INPUTS[kind]
    traces = Traces()
    with np.errstate(over="ignore"):
        refused(lambda: fitted((x, Y), traces), error, words, traces)
        refused(lambda: fitted((X, Y), traces, validation=(x, Y)), error, words, traces)
        refused(lambda: fcnn.evaluate(trained, (x, Y)), error, words)
        refused(lambda: fcnn.predict(trained, x), error, words)


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_a_wrong_kind_are_refused_by_all_that_takes_labels(kind, trained):
    y, error, words = LABELS[kind]
    traces = Traces()
    refused(lambda: fitted((X, y), traces), error, words, traces)
    named = fcnn.data.arrays(X, Y, classes=CLASSES)
    refused(lambda: fitted(named, traces, validation=(X, y)), error, words, traces)
    refused(lambda: fcnn.evaluate(trained, (X, y)), error, words)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_of_a_wrong_kind_are_refused(kind, trained):
    weight, error, words = WEIGHTS[kind]
    traces = Traces()
    refused(lambda: fitted((X, Y, weight), traces), error, words, traces)
    refused(lambda: fcnn.evaluate(trained, (X, Y, weight)), error, words)


def test_classes_that_validation_alone_has_are_named():
    traces = Traces()
    other = (X, np.where(NAMES == "top", "left", NAMES))
    words = "classes the network does not know: left; it knows bottom, middle, top"
    refused(lambda: fitted((X, NAMES), traces, validation=other), ValueError, words, traces)


@pytest.mark.parametrize(
    ("targets", "error", "words"),
    [
        (with_nan(Y), ValueError, r"train \(targets\): 1 of 12 examples hold NaN"),
        (np.full(12, 1e300), ValueError, r"\(targets\).*NaN or infinity"),
        (Y[:, None] + [[0, 1]], ValueError, "must have the same shape"),
        (Y + 1j, TypeError, "complex"),
    ],
    ids=["NaN", "beyond float32", "two columns", "complex"],
)
def test_numbers_to_predict_of_a_wrong_kind_are_refused(targets, error, words):
    traces = Traces()
    model = serial(noting(traces), flatten, dense(1))
    options = {"loss": "squared_error", "progress": False}
    with np.errstate(over="ignore"):
        refused(lambda: fcnn.fit(model, (X, targets), **options), error, words, traces)


def aside(x):
    """The same numbers, every second of a larger array."""
    wide = np.zeros((2 * len(x), *x.shape[1:]), x.dtype)
    wide[::2] = x
    return wide[::2]


SAME = {  # other forms of the same data
    "big-endian": (X.astype(">f4"), Y.astype(">i8")),
    "strided": (aside(X), aside(Y)),
    "backwards": (X[::-1].copy()[::-1], Y[::-1].copy()[::-1]),
    "Fortran order": (np.asfortranarray(X), Y),
    "float64": (X.astype(np.float64), Y.astype(np.uint8)),
    "read-only": (np.broadcast_to(X, X.shape), Y),
    "of jax": (jax.numpy.asarray(X), jax.numpy.asarray(Y)),
    "lists": (X.tolist(), Y.tolist()),
    "objects of text": (X, NAMES.astype(object)),
    "bytes of text": (X, NAMES.astype("S")),
    "one-hot of bool": (X, np.eye(3, dtype=bool)[Y]),
    "one-hot of integers": (X, np.eye(3, dtype=np.int8)[Y]),
}


@pytest.mark.parametrize("form", SAME)
def test_other_forms_of_the_same_data_train_the_same_network(form, trained):
    x, y = SAME[form]
    model, options = serial(flatten, dense(3)), {"epochs": 1, "progress": False}
    if np.asarray(y).dtype.kind in "OS":
        again, _ = fcnn.fit(model, fcnn.data.arrays(x, y, classes=CLASSES), **options)
    else:
        again, _ = fcnn.fit(model, (x, y), **options)
    if "one-hot" in form:
        np.testing.assert_allclose(again(X), trained(X), atol=1e-6)
    else:
        assert_equal(again.params, trained.params)
    report, expected = fcnn.evaluate(trained, (x, y)), fcnn.evaluate(trained, (X, Y))
    assert report.accuracy == expected.accuracy
    assert report.loss == pytest.approx(expected.loss, rel=1e-6)
    np.testing.assert_array_equal(fcnn.predict(trained, x), fcnn.predict(trained, X))


def test_true_and_false_are_the_classes_one_and_zero():
    model, options = serial(flatten, dense(2)), {"epochs": 1, "progress": False}
    a, b = (fcnn.fit(model, (X, y), **options)[0] for y in (Y > 0, (Y > 0).astype(int)))
    assert_equal(a.params, b.params)
    assert fcnn.evaluate(a, (X, Y > 0)).loss == fcnn.evaluate(b, (X, (Y > 0).astype(int))).loss


def test_the_maximum_of_what_has_no_order_is_refused_in_words():
    for x in (X > 0, X + 1j):
        layer = serial(fcnn.max_pool(2))
        for run in (
            lambda x=x, layer=layer: layer.init(jax.random.key(0), x),
            lambda x=x, layer=layer: layer.apply({}, {}, x),
        ):
            words = r"^max_pool1 takes the largest of real numbers and got \w+\[12,8,8,1\]"
            refused(run, TypeError, words)
