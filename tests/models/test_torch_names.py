"""The names that PyTorch gives to weights, without PyTorch.

`torch_names.json` keeps of each network how many arrays its state dict has, and the SHA-256 of
their names and shapes; the tests of parity hold it to the modules themselves.
"""

import json

import pytest

from fcnn.models.dialects import dialects_of

from .abstract import initialized, over
from .dialect_parts import NAMES, as_in_torch, digest, leaf_shapes, published
from .test_models import COUNTS

INPUTS = {name: (shape, options) for name, options, shape, _ in reversed(COUNTS)}
KEPT = [(name,) for name in json.loads(NAMES.read_text())]


def leaves(name):
    shape, options = INPUTS[name]
    return leaf_shapes(*initialized(name, shape, **options)[2:])


@pytest.mark.parametrize("name", over(KEPT))
def test_weights_are_named_and_shaped_as_in_pytorch(name):
    assert digest(as_in_torch(name, leaves(name))) == published(name)


@pytest.mark.parametrize("name", over(KEPT))
def test_every_dialect_has_a_name_of_its_own_for_every_leaf(name):
    for dialect in dialects_of(name):
        assert len({dialect.name(path) for path in leaves(name)}) == len(leaves(name))
