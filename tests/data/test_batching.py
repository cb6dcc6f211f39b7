"""Every batch is full, every example comes once, and the order is a function of seed and epoch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn.data import arrays, as_dataset, batches, order


def numbered(n, weight=None):
    return arrays(np.arange(n, dtype=np.float32) + 0.5, np.arange(n), weight=weight)


def test_the_order_is_pinned():
    assert order(10, seed=0, epoch=0).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert order(10, seed=1, epoch=3).tolist() == [0, 3, 9, 8, 5, 2, 4, 6, 1, 7]
    raw = np.random.Philox(key=2**64 - 1, counter=[0, 0, 7, 0]).random_raw(1000)
    expected = np.argsort(raw, kind="stable")
    np.testing.assert_array_equal(order(1000, seed=2**64 - 1, epoch=7), expected)


@pytest.mark.parametrize(
    ("seed", "epoch", "error"),
    [
        *((-1, 0, ValueError), (2**64, 0, ValueError), (0, -1, ValueError), (0, 2**64, ValueError)),
        *((0.5, 0, TypeError), (True, 0, TypeError), ("0", 0, TypeError), (None, 0, TypeError)),
    ],
)
def test_seed_and_epoch_are_integers_of_64_bits(seed, epoch, error):
    with pytest.raises(error, match="must be"):
        order(5, seed=seed, epoch=epoch)


def test_numpy_integers_are_seeds():
    assert order(9, seed=np.uint64(3), epoch=np.int32(2)).tolist() == (
        order(9, seed=3, epoch=2).tolist()
    )


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_each_example_comes_once_and_every_batch_is_full(data):
    size = data.draw(st.integers(1, 12))
    n = data.draw(st.integers(1, 3 * size + 1))
    seed = data.draw(st.none() | st.integers(0, 5))
    made = list(batches(numbered(n), size, seed=seed, epoch=2))
    assert len(made) == -(-n // size)
    for batch in made:
        assert list(batch) == ["x", "y", "weight", "index", "epoch"]
        assert all(len(column) == size for column in batch.values())
        assert (batch["weight"].dtype, batch["index"].dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(batch["x"], batch["index"] + np.float32(0.5))
        np.testing.assert_array_equal(batch["y"], batch["index"])
    index = np.concatenate([batch["index"] for batch in made])
    weight = np.concatenate([batch["weight"] for batch in made])
    rows = np.arange(n) if seed is None else order(n, seed=seed, epoch=2)
    np.testing.assert_array_equal(index, np.resize(rows, len(index)))
    np.testing.assert_array_equal(weight, np.arange(len(index)) < n)


def test_no_examples_is_an_error_that_names_the_data_at_once():
    with pytest.raises(ValueError, match="validation has no examples"):
        batches(arrays(np.zeros((0, 4)), [], name="validation"), 8)


def test_weights_of_examples_are_kept_and_fillers_have_none():
    made = list(batches(numbered(3, weight=[0.5, 2, 4]), 2))
    assert [batch["weight"].tolist() for batch in made] == [[0.5, 2], [4, 0]]
    assert made[1]["index"].tolist() == [2, 0]


def test_epochs_and_seeds_change_the_order():
    orders = {
        tuple(np.concatenate([b["index"] for b in batches(numbered(20), 5, seed=s, epoch=e)]))
        for s in (0, 1)
        for e in (0, 1)
    }
    assert len(orders) == 4


@pytest.mark.parametrize("start", range(5))
def test_any_batch_can_be_made_again_without_reading_those_before(start):
    class Source:
        read = ()

        def __len__(self):
            return 11

        def __getitem__(self, indices):
            self.read += tuple(indices)
            return indices, indices

    source = Source()
    whole = list(batches(numbered(11), 3, seed=4, epoch=1))
    rest = list(batches(source, 3, seed=4, epoch=1, start=start))
    assert len(rest) == 4 - start
    for one, other in zip(whole[start:], rest, strict=True):
        for name in ("y", "weight", "index"):
            np.testing.assert_array_equal(one[name], other[name])
    assert len(source.read) == 3 * (4 - start)


def test_pairs_are_batched_too():
    (batch,) = batches((np.zeros((2, 3)), ["a", "b"]), 4)
    assert batch["y"].tolist() == [0, 1, 0, 1]
    assert batch["weight"].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be an integer, got 2.0"),
        ({"batch_size": 2, "seed": -1}, ValueError, "seed must be at least 0"),
        ({"batch_size": 2, "start": -1}, ValueError, "start must be at least 0"),
    ],
)
def test_options_are_checked_before_the_first_batch(options, error, words):
    with pytest.raises(error, match=words):
        batches(as_dataset(numbered(4)), **options)
