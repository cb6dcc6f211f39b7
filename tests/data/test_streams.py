"""Batches from elsewhere, as they are and in full."""

import numpy as np
import pytest

from fcnn.data import batches
from fcnn.data.streams import gives_batches, stream


class Loader:
    """Gives its batches whenever it is iterated, from memory that it uses again."""

    def __init__(self, *sizes, form=lambda x, y: (x, y)):
        self.sizes, self.form, self.passes = sizes, form, 0

    def __iter__(self):
        self.passes += 1
        room, first = np.empty((max(self.sizes, default=0), 3), np.float32), 0
        for size in self.sizes:
            room[:size] = np.arange(first, first + size)[:, None]
            yield self.form(room[:size], np.arange(first, first + size))
            first += size


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_every_batch_has_the_size_of_the_first_and_fillers_weigh_nothing(workers):
    made = list(stream(Loader(4, 4, 3)).batches(workers))
    assert [batch["index"].tolist() for batch in made] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, -1],
    ]
    assert [batch["weight"].tolist() for batch in made][1:] == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert made[2]["y"].tolist() == [8, 9, 10, 8]
    for batch in made:
        np.testing.assert_array_equal(batch["x"][:, 0], batch["y"])
        assert (batch["weight"].dtype, batch["index"].dtype) == (np.float32, np.int32)


def test_a_short_batch_may_come_in_the_middle():
    made = list(stream(Loader(4, 1, 4)).batches())
    assert [batch["index"].tolist() for batch in made][1:] == [[4, -1, -1, -1], [5, 6, 7, 8]]
    assert made[1]["y"].tolist() == [4, 4, 4, 4]


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y: [x, y],
        lambda x, y: {"x": x, "y": y},
        lambda x, y: {"y": y, "index": y, "x": x.astype(np.float64)},
        lambda x, y: (x.tolist(), y.tolist()),
    ],
    ids=["list", "dict", "dict with more", "numbers"],
)
def test_batches_have_many_forms(form):
    for one, other in zip(
        stream(Loader(4, 3, form=form)).batches(), stream(Loader(4, 3)).batches(), strict=True
    ):
        np.testing.assert_array_equal(one["x"], other["x"])
        np.testing.assert_array_equal(one["y"], other["y"])
        assert one["x"].dtype == np.float32


def test_weights_count():
    made = list(stream(Loader(4, 3, form=lambda x, y: (x, y, y))).batches())
    assert [batch["weight"].tolist() for batch in made] == [[0, 1, 2, 3], [4, 5, 6, 0]]


def test_the_batches_of_a_dataset_are_a_stream_too():
    pair = np.arange(10, dtype=np.float32), np.arange(10)
    made = list(stream(lambda: batches(pair, 4, seed=0)).batches())
    expected = list(batches(pair, 4, seed=0))
    for one, other in zip(made, expected, strict=True):
        np.testing.assert_array_equal(one["x"], other["x"])
        np.testing.assert_array_equal(one["weight"], other["weight"])


def test_labels_that_are_strings_need_their_classes():
    def named(x, y):
        return x, ["odd" if number % 2 else "even" for number in y]

    made = stream(Loader(3, form=named), classes=["odd", "even"])
    assert next(made.batches())["y"].tolist() == [1, 0, 1]
    with pytest.raises(TypeError, match="batch 0 of data has labels that are strings"):
        stream(Loader(3, form=named))


def test_a_loader_of_pytorch_is_a_stream():
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    x, y = torch.arange(10.0)[:, None], torch.arange(10)
    loader = DataLoader(TensorDataset(x, y), batch_size=4)
    assert gives_batches(loader)
    found = stream(loader)
    assert (found.steps, found.size, found.once) == (3, 4, False)
    for _ in range(2):
        made = list(found.batches(1))
        assert np.concatenate([batch["y"] for batch in made])[:10].tolist() == list(range(10))
        assert made[0]["x"].dtype == np.float32


def test_a_generator_is_read_once_and_a_function_as_often_as_wanted():
    loader = Loader(4, 3)
    once = stream(iter(loader), name="train")
    assert once.once
    assert [len(batch["x"]) for batch in once.batches()] == [4, 4]
    with pytest.raises(ValueError, match="train is a generator, which can be read only once"):
        once.batches()
    often = stream(loader.__iter__)
    assert not often.once
    assert len(list(often.batches())) == len(list(often.batches())) == 2


class Kept:
    """Gives one iterator whenever it is iterated, or called."""

    def __init__(self, given):
        self.given = given

    def __iter__(self):
        return self.given


@pytest.mark.parametrize("source_of", [Kept, lambda given: Kept(given).__iter__])
def test_the_same_generator_each_time_is_read_once(source_of):
    found = stream(source_of(iter(Loader(4, 3))), name="train")
    assert found.once
    assert [batch["y"].tolist() for batch in found.batches()] == [[0, 1, 2, 3], [4, 5, 6, 4]]
    with pytest.raises(ValueError, match="train is a generator, which can be read only once"):
        found.batches()


@pytest.mark.parametrize("form", [iter, list])
def test_a_function_is_called_once_for_each_pass(form):
    calls = []

    def passes():
        calls.append(len(calls))
        x = np.full(3, calls[-1])
        return form(Loader(2, form=lambda _, y: (x[:2], y)))

    found = stream(passes)
    assert [next(found.batches())["x"].tolist() for _ in range(4)] == [[i, i] for i in range(4)]


@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_used_up_elsewhere_is_read_whole_and_then_an_error(workers):
    given = iter(Loader(4, 3))
    found = stream(lambda: map(tuple, given), name="train")
    assert [batch["y"][0] for batch in found.batches(workers)] == [0, 4]
    with pytest.raises(ValueError, match="train gave no batches when it was read again; give "):
        list(found.batches(workers))


def test_a_negative_number_of_threads_is_refused():
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        stream(Loader(4)).batches(workers=-1)


@pytest.mark.parametrize(
    ("form", "error", "words"),
    [
        (lambda x, y: x, TypeError, r"batch 0 of data must be \(x, y\), .*got a ndarray"),
        (lambda x, y: {"image": x, "label": y}, TypeError, "got a dict of image, label"),
        (lambda x, y: {"x": x, "y": y, "weights": y}, TypeError, "got a dict of x, y, weights"),
        (lambda x, y: (x, y[1:]), ValueError, "batch 0 of data has 4 inputs and 3 targets"),
        (lambda x, y: (x, y, -y), ValueError, "weights must be finite and not negative"),
        (lambda x, y: (x[:0], y[:0]), ValueError, "batch 0 of data has 0 inputs"),
    ],
)
def test_what_is_no_batch_is_refused_at_once(form, error, words):
    with pytest.raises(error, match=words):
        stream(Loader(4, form=form))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (Loader(4, 4, 5), "batch 2 of data has 5 examples, more than the 4 of the first"),
        (
            Loader(4, 4, form=lambda x, y: (x[:, : 1 + (y[0] == 0)], y)),
            r"x of batch 1 of data is float32\[1\] an example, that of the first float32\[2\]",
        ),
        (
            Loader(4, 4, form=lambda x, y: (x, y) if y[0] else (x, y, y)),
            "batch 1 of data has x, y; the first x, y, weight",
        ),
    ],
)
def test_later_batches_are_like_the_first(source, words):
    with pytest.raises(ValueError, match=words):
        list(stream(source).batches())


def test_no_batches_and_no_iterable_are_refused():
    with pytest.raises(ValueError, match="train gives no batches"):
        stream(Loader(), name="train")
    with pytest.raises(TypeError, match="a int cannot be iterated"):
        stream(3)


def test_what_has_numbered_examples_is_no_stream():
    assert gives_batches(Loader(4))
    assert gives_batches(stream(Loader(4)))
    assert gives_batches(iter(Loader(4)))
    for other in ([], (), {}, "ab", np.zeros(3), 3):
        assert not gives_batches(other)


def test_it_shows_its_columns():
    assert repr(stream(Loader(4, 3))) == "<data: batches of 4, x float32[3], y int64[]>"
