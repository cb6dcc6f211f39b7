"""Sources of one's own: many examples at once, or one at a time."""

import numpy as np
import pytest

from fcnn.data import as_dataset, batches


class OneByOne:
    """A source that takes one index at a time, as a list does."""

    def __init__(self, examples, classes=None):
        self.examples, self.classes = examples, classes

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        return self.examples[index]


@pytest.mark.parametrize(
    "form",
    [
        lambda x, y, weight: (x, y, weight),
        lambda x, y, weight: [x.tolist(), y, weight],
        lambda x, y, weight: {"weight": weight, "y": y, "x": x},
    ],
    ids=["tuple", "list", "dict"],
)
def test_a_source_of_single_examples_is_read_one_by_one(form):
    rows = [(np.full((2, 3), i, np.float64), i % 2, i / 2) for i in range(6)]
    data = as_dataset(OneByOne([form(*row) for row in rows]))
    for _ in range(2):
        x, y, weight = data[[5, 0, 5]]
        assert (x.shape, x.dtype, x[:, 0, 0].tolist()) == ((3, 2, 3), np.float32, [5, 0, 5])
        assert (y.tolist(), weight.tolist()) == ([1, 0, 1], [2.5, 0, 2.5])
    assert data[3][0].shape == (2, 3)
    made = list(batches(data, 4, workers=1))
    assert [batch["weight"].tolist() for batch in made] == [[0, 0.5, 1, 1.5], [2, 2.5, 0, 0]]


def test_a_source_may_use_the_memory_of_an_example_again():
    class Own(OneByOne):
        room = np.empty(2)

        def __getitem__(self, index):
            self.room[:] = self.examples[index]
            return self.room, index

    x, y = as_dataset(Own(range(9)))[[7, 2]]
    assert (x.tolist(), y.tolist()) == ([[7, 7], [2, 2]], [7, 2])


def test_examples_of_a_source_may_have_labels_that_are_strings():
    examples = [{"x": i, "y": label} for i, label in enumerate(["dog", "cat", "dog"])]
    assert as_dataset(OneByOne(examples, ("cat", "dog")))[[0, 1]][1].tolist() == [1, 0]
    with pytest.raises(TypeError, match="labels that are strings: say which classes there are"):
        as_dataset(OneByOne(examples))[[0, 1]]


@pytest.mark.parametrize(
    ("example", "error", "words"),
    [
        ({"image": 1, "label": 2}, TypeError, "a dict of x, y .*; got a dict of image, label"),
        (5, TypeError, r"must be \(x, y\).* got a int"),
        (([1] * 3, 0), ValueError, "x is ragged"),
    ],
)
def test_examples_of_a_source_that_do_not_fit_are_refused(example, error, words):
    with pytest.raises(error, match=words):
        as_dataset(OneByOne([example, ([1], 0) if error is ValueError else example]))[[0, 1]]


def test_an_error_of_a_source_is_its_own():
    class Broken(OneByOne):
        def __getitem__(self, index):
            raise KeyError(f"no such scan: {int(index)}")

    with pytest.raises(KeyError, match="no such scan: 3") as caught:
        as_dataset(Broken(range(9)))[[3, 4]]
    assert "read one by one, since an array of indices gave" in caught.value.__notes__[0]


def test_a_dataset_of_pytorch_is_a_source():
    torch = pytest.importorskip("torch")
    from torch.utils.data import Dataset as TorchDataset
    from torch.utils.data import TensorDataset

    class Single(TorchDataset):
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return torch.full((2,), float(index)), int(torch.arange(8)[index])

    for source in (
        TensorDataset(torch.arange(8.0)[:, None].repeat(1, 2), torch.arange(8)),
        Single(),
    ):
        x, y = as_dataset(source)[[6, 1]]
        assert (x.tolist(), x.dtype, y.tolist()) == ([[6, 6], [1, 1]], np.float32, [6, 1])
