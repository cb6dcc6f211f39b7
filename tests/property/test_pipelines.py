"""Whatever the sizes: each example once, in the same batches, and exact figures at the end."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fcnn
from fcnn import dense, flatten, serial
from fcnn.core.network import start_network
from fcnn.data import arrays, batches, order

CLASSES = ("a", "b", "c")


class Late:
    """A column that is read when it is asked for, as pictures are, and not at once."""

    def __init__(self, values):
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        return self.values[rows]

    def take(self, rows, axis=0):
        return Late(self.values.take(rows, axis))


def numbered(n, late):
    x = np.arange(n, dtype=np.float32)[:, None] + 0.5
    return arrays(Late(x) if late else x, np.arange(n), name="numbers")


def stacked(made):
    return {name: np.concatenate([batch[name] for batch in made]) for name in made[0]}


def many(count):
    return settings(max_examples=count, deadline=None, derandomize=True, database=None)


@pytest.mark.parametrize("count", [150, pytest.param(2_000, marks=pytest.mark.slow)])
def test_any_number_of_threads_makes_the_same_batches_from_any_batch_on(count):
    @many(count)
    @given(
        n=st.integers(1, 40),
        size=st.integers(1, 17),
        workers=st.integers(1, 4),
        seed=st.none() | st.integers(0, 2**64 - 1),
        epoch=st.integers(0, 2**31 - 1),
        late=st.booleans(),
        data=st.data(),
    )
    def check(n, size, workers, seed, epoch, late, data):
        options = {"seed": seed, "epoch": epoch}
        alone = list(batches(numbered(n, late), size, **options))
        assert len(alone) == -(-n // size)
        assert all(len(column) == size for batch in alone for column in batch.values())
        whole = stacked(alone)
        rows = np.arange(n) if seed is None else order(n, seed=seed, epoch=epoch)
        once = whole["index"][whole["weight"] > 0]
        assert sorted(once.tolist()) == list(range(n))
        np.testing.assert_array_equal(once, rows)
        np.testing.assert_array_equal(whole["x"][:, 0], whole["index"] + np.float32(0.5))

        start = data.draw(st.integers(0, len(alone)))
        rest = list(batches(numbered(n, late), size, **options, start=start, workers=workers))
        assert len(rest) == len(alone) - start
        for one, other in zip(alone[start:], rest, strict=True):
            assert {k: (v.dtype, v.tobytes()) for k, v in one.items()} == {
                k: (v.dtype, v.tobytes()) for k, v in other.items()
            }

    check()


@pytest.mark.parametrize("count", [150, pytest.param(2_000, marks=pytest.mark.slow)])
def test_figures_are_those_of_one_example_after_the_other(count):
    layer = serial(flatten, dense(3))
    example = jax.ShapeDtypeStruct((2, 2, 1), np.float32)
    like = jax.ShapeDtypeStruct((1, 2, 2, 1), np.float32)
    network = start_network(layer, jax.random.key(3), like, classes=CLASSES, input=example)
    kernel = np.asarray(network.params["dense1"]["kernel"], np.float64)
    traced = []

    @many(count)
    @given(
        size=st.sampled_from([1, 2, 3, 5, 8, 16]),
        over=st.integers(0, 3),
        seed=st.integers(0, 2**32),
        weighted=st.booleans(),
        late=st.booleans(),
        workers=st.integers(0, 2),
        data=st.data(),
    )
    def check(size, over, seed, weighted, late, workers, data):
        n = min(over * size + data.draw(st.integers(1, size)), 3 * size + 1)
        numbers = np.random.Generator(np.random.Philox(seed))
        x = numbers.normal(size=(n, 2, 2, 1)).astype(np.float32)
        y = numbers.integers(0, 3, n).astype(np.int32)
        weight = numbers.integers(0, 3, n).astype(np.float32) if weighted else None
        if weighted and not weight.any():
            weight[0] = 1
        dataset = arrays(Late(x) if late else x, y, weight=weight, classes=CLASSES)
        report = fcnn.evaluate(network, dataset, batch_size=size, workers=workers)

        logits = [x[i].reshape(-1).astype(np.float64) @ kernel for i in range(n)]
        losses = [np.log(np.exp(z).sum()) - z[label] for z, label in zip(logits, y, strict=True)]
        right = [int(z.argmax()) == label for z, label in zip(logits, y, strict=True)]
        counts = np.ones(n) if weight is None else weight.astype(np.float64)
        assert report.accuracy == pytest.approx(np.average(right, weights=counts), abs=1e-12)
        assert report.loss == pytest.approx(np.average(losses, weights=counts), rel=1e-6, abs=1e-6)
        traced.append(size)

    check()
    assert len(traced) >= count
