"""torch today against what torch said when the goldens were written."""

import numpy as np
import pytest

from .cases import CASES
from .make_goldens import answers, below, read
from .training import OPTIMIZERS, their_losses


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def goldens():
    return read()


def is_same(found, expected):
    return found.shape == expected.shape and np.abs(found - expected).max(initial=0) <= (
        1e-6 * max(1, np.abs(expected).max(initial=0))
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_torch_still_says_what_is_stored(torch, goldens, case):
    record = goldens[case.name]
    asked = {k: v for k, v in record.items() if k.startswith(("x/", "params/", "state/"))}
    found = answers(torch, case, asked)
    assert asked.keys() | found.keys() == record.keys()
    assert [key for key in found if not is_same(found[key], record[key])] == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
def test_torch_still_trains_as_it_did(torch, goldens, optimizer):
    record = goldens["training"]
    found = their_losses(torch, optimizer, below(record, "params"), below(record, "state"))
    assert is_same(found, record[f"loss/{optimizer.name}"])
