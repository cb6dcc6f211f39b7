"""Datasets: what is accepted, what is refused in words, and how they are split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn.data import Dataset, arrays, as_dataset, batches, split


class Source:
    """A source of one's own, which counts what is read."""

    classes = ("even", "odd")

    def __init__(self, n):
        self.n, self.read = n, 0

    def __len__(self):
        return self.n

    def __getitem__(self, indices):
        self.read += len(indices)
        return indices[:, None] * 2.0, indices % 2


@pytest.fixture
def data():
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    return arrays(x, [0, 1, 2, 0, 1, 2], weight=[1, 2, 3, 4, 5, 6], classes=["a", "b", "c"])


@pytest.mark.parametrize("indices", [[4, 1, 1], (4, 1, 1), np.array([4, 1, 1], np.uint8)])
def test_indices_give_a_batch(data, indices):
    x, y, weight = data[indices]
    assert x.tolist() == [[8, 9], [2, 3], [2, 3]]
    assert (y.tolist(), weight.tolist()) == ([1, 1, 1], [5, 2, 2])


def test_slices_masks_and_single_numbers_are_indices_too(data):
    assert data[1:3][1].tolist() == [1, 2]
    assert data[np.arange(6) > 3][1].tolist() == [1, 2]
    assert data[[]][0].shape == (0, 2)
    x, y, weight = data[-1]
    assert (x.tolist(), int(y), float(weight)) == ([10, 11], 2, 6)


@pytest.mark.parametrize("indices", [6, [0, 6], [[0]], [0.0], "a"])
def test_what_is_no_index_is_an_index_error(data, indices):
    with pytest.raises(IndexError):
        data[indices]


def test_take_keeps_everything_but_the_rest(data):
    part = data.take([5, 0], name="part")
    assert len(part) == 2
    assert part.x.tolist() == [[10, 11], [0, 1]]
    assert (part.y.tolist(), part.weight.tolist()) == ([2, 0], [6, 1])
    assert (part.classes, part.name) == (("a", "b", "c"), "part")
    assert repr(part) == "<part: 2 examples, x float32[2], y int64[], 3 classes>"


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.zeros((3, 2)), np.float32),
        (np.zeros((3, 2), np.float16), np.float16),
        (np.zeros((3, 2), np.uint8), np.uint8),
        (np.zeros((3, 2), np.int64), np.int64),
        (np.zeros((3, 2), bool), bool),
        (np.zeros((3, 2), ">f4"), np.float32),
        (np.zeros((3, 2), ">i2"), np.int16),
        (np.zeros((2, 3), np.float32).T, np.float32),
        (np.zeros((3, 4), np.float32)[:, ::2], np.float32),
        ([[0, 0], [0, 0], [0, 0]], np.int64),
    ],
)
def test_arrays_become_native_and_contiguous(given, dtype):
    x = arrays(given, [0, 1, 2]).x
    assert x.dtype == dtype
    assert x.dtype.isnative
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, given)


def test_arrays_that_fit_are_not_copied():
    x = np.zeros((3, 2), np.float32)
    assert np.shares_memory(arrays(x, np.arange(3)).x, x)


@pytest.mark.parametrize(
    ("x", "y", "options", "error", "words"),
    [
        (np.zeros((40, 2)), np.zeros(39), {}, ValueError, "x has 40 examples, y has 39"),
        (np.array([None, 1]), [0, 1], {}, TypeError, "x must hold .* dtype object"),
        ([[1], [1, 2]], [0, 1], {}, ValueError, "x is ragged"),
        ([1, 2], [[1], [1, 2]], {}, ValueError, "y is ragged"),
        (np.ma.array([1.0, 2.0]), [0, 1], {}, TypeError, "x is a masked array"),
        ([1.0, 2.0], np.ma.array([0, 1]), {}, TypeError, "y is a masked array"),
        (np.zeros(2, complex), [0, 1], {}, TypeError, "dtype complex128"),
        (["a", "b"], [0, 1], {}, TypeError, "x must hold"),
        (1.0, [0], {}, TypeError, r"x must be an array \[n, ...\], got float 1.0"),
        ([1.0], 0, {}, TypeError, r"y must be an array \[n, ...\], got int 0"),
        ([1, 2], [0, 3], {"classes": ["a", "b"]}, ValueError, r"2 classes lie in 0..1, got 0..3"),
        ([1, 2], [0, -1], {"classes": ["a", "b"]}, ValueError, "got -1..0"),
        ([1, 2], ["a", "c"], {"classes": ["a", "b"]}, ValueError, r"\['c'\].* \['a', 'b'\]"),
        ([1, 2], [["a"], ["b"]], {}, ValueError, "strings must be"),
        ([1, 2], [0, 1], {"classes": ["a", "a"]}, ValueError, "two classes"),
        ([1, 2], [0, 1], {"classes": "ab"}, TypeError, "sequence of names"),
        ([1, 2], [0, 1], {"weight": [1]}, ValueError, r"x has 2 examples, so weight must be \[2\]"),
        ([1, 2], [0, 1], {"weight": [1, -1]}, ValueError, "not negative"),
        ([1, 2], [0, 1], {"weight": [1, np.nan]}, ValueError, "finite"),
    ],
)
def test_what_cannot_be_a_dataset_is_refused_in_words(x, y, options, error, words):
    with pytest.raises(error, match=words):
        arrays(x, y, **options)


@pytest.mark.parametrize(
    "labels",
    [
        ["dog", "cat", "dog", "eel"],
        np.array(["dog", "cat", "dog", "eel"]),
        np.array(["dog", "cat", "dog", "eel"], object),
        np.array([b"dog", b"cat", b"dog", b"eel"]),
    ],
)
def test_string_labels_become_numbers_of_sorted_classes(labels):
    data = arrays(np.zeros(4), labels)
    assert data.y.tolist() == [1, 0, 1, 2]
    assert data.y.dtype == np.int32
    assert data.classes == ("cat", "dog", "eel")
    assert all(type(name) is str for name in data.classes)


def test_given_classes_number_string_labels():
    data = arrays(np.zeros(3), ["b", "a", "b"], classes=["z", "b", "a"])
    assert data.y.tolist() == [1, 2, 1]
    assert data.classes == ("z", "b", "a")


def test_pairs_triples_and_datasets_are_datasets(data):
    assert as_dataset(data) is data
    assert as_dataset(([[1.0], [2.0]], [0, 1])).weight is None
    assert as_dataset((np.zeros(2), [0, 1], [1, 0.5])).weight.tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (np.zeros((3, 2)), r"one array, without targets; give a pair \(x, y\)"),
        ([np.zeros(2), np.zeros(2)], "got list"),
        ((np.zeros(2),), "got tuple"),
        ({"x": 1}, "got dict"),
        (3, "got int"),
        (None, "valid must be a Dataset.* got NoneType"),
    ],
)
def test_anything_else_is_refused(wrong, words):
    with pytest.raises(TypeError, match=words):
        as_dataset(wrong, name="valid")


def test_a_source_is_read_only_where_it_is_asked():
    source = Source(10)
    data = as_dataset(source)
    assert isinstance(data, Dataset)
    assert (len(data), data.x, data.y, data.classes) == (10, None, None, ("even", "odd"))
    x, y = data[[3, 4]]
    assert (x.tolist(), x.dtype, y.tolist()) == ([[6], [8]], np.float32, [1, 0])
    x, y = data[5]
    assert (x.tolist(), int(y)) == ([10], 1)
    train, held = split(data, 0.3)
    assert (len(train), len(held)) == (7, 3)
    assert source.read == 3
    rows = np.concatenate([train[:][0], held[:][0]])[:, 0] / 2
    assert sorted(rows.tolist()) == list(range(10))


def test_a_source_that_gives_something_else_is_named():
    class Wrong(Source):
        name = "scans"
        answer = 5

        def __getitem__(self, indices):
            return self.answer

    with pytest.raises(TypeError, match=r"scans\[indices\] must be \(x, y\).* got a int"):
        as_dataset(Wrong(4))[[0, 1]]
    Wrong.answer = np.zeros((2, 3)), np.zeros(1)
    with pytest.raises(ValueError, match=r"scans\[indices\] has 2 inputs and 1 targets"):
        as_dataset(Wrong(4))[[0, 1]]
    Wrong.answer = np.zeros((3, 3)), np.zeros(3)
    with pytest.raises(ValueError, match=r"scans\[indices\] gave 3 examples for 2 indices"):
        as_dataset(Wrong(4))[[0, 1]]


def test_a_pair_of_datasets_is_no_dataset(data):
    for pair in ((data, data), (data, data, data)):
        with pytest.raises(TypeError, match=r"data is a pair of datasets; write train, test = "):
            as_dataset(pair)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_source_may_use_its_memory_again(workers):
    class Own(Source):
        room = np.empty((4, 1)), np.empty(4, np.int32)

        def __getitem__(self, indices):
            x, y = self.room
            x[:, 0], y[:] = indices, indices % 2
            return x, y

    made = list(batches(Own(24), 4, seed=0, workers=workers))
    for batch in made:
        np.testing.assert_array_equal(batch["x"][:, 0], batch["index"])
        np.testing.assert_array_equal(batch["y"], batch["index"] % 2)


def test_bfloat16_becomes_float32():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = arrays(np.array([[0.5], [3.0]], bfloat16), [0, 1]).x
    assert (x.dtype, x.tolist()) == (np.float32, [[0.5], [3.0]])


def largest_remainder(counts, fraction):
    """Shares one by one, in Python integers of a thousandth."""
    share = {label: round(1000 * fraction) * n for label, n in counts.items()}
    quota = {label: s // 1000 for label, s in share.items()}
    missing = round(sum(share.values()) / 1000) - sum(quota.values())
    for label in sorted(share, key=lambda label: (-(share[label] % 1000), label))[:missing]:
        quota[label] += 1
    return quota


@settings(max_examples=80, deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.integers(-1, 4), min_size=2, max_size=60),
    st.sampled_from([0.1, 0.2, 0.25, 0.5, 0.9]),
    st.integers(0, 9),
)
def test_a_split_holds_out_the_same_share_of_each_class(labels, fraction, seed):
    y = np.array(labels)
    data = arrays(np.arange(len(y)), y)
    if not 0 < round(len(y) * fraction) < len(y):
        with pytest.raises(ValueError, match="leaves a side empty"):
            split(data, fraction, seed=seed)
        return
    train, held = split(data, fraction, seed=seed)
    assert sorted([*train.x, *held.x]) == list(range(len(y)))
    assert list(train.x) == sorted(train.x)
    assert (y[held.x] == held.y).all()
    counts = {label: int((y == label).sum()) for label in np.unique(y)}
    quota = largest_remainder(counts, fraction)
    assert {label: int((held.y == label).sum()) for label in counts} == quota


def test_a_split_follows_from_the_seed_alone():
    data = arrays(np.arange(100), np.arange(100) % 3)
    one, two, three = (split(data, seed=seed)[1].x.tolist() for seed in (0, 0, 1))
    assert one == two
    assert one != three


def test_a_split_without_strata_and_of_other_targets_is_a_plain_draw():
    n = 50
    for data in (arrays(np.arange(n), np.linspace(0, 1, n)), arrays(np.arange(n), np.eye(n))):
        train, held = split(data, 0.2)
        assert (len(train), len(held)) == (40, 10)
    y = np.repeat([0, 1], 25)
    drawn = [split(arrays(np.arange(n), y), 0.2, seed=s, stratify=False)[1].y for s in range(9)]
    assert {len(held) for held in drawn} == {10}
    assert {int(held.sum()) for held in drawn} != {5}


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 2, float("nan")])
def test_a_fraction_lies_between_0_and_1(fraction):
    with pytest.raises(ValueError, match="fraction must lie between 0 and 1"):
        split((np.zeros(9), np.zeros(9)), fraction)
