"""Weights of PyTorch in our networks, for the tests of the families."""

import hashlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import models, trees
from fcnn.models.dialects import dialects_of

NAMES = Path(__file__).with_name("torch_names.json")  # {model: digest of PyTorch's state dict}
QUICKLY = {"xla_backend_optimization_level": 0}


def digest(shapes):
    """``{key: shape}`` in a line: how many there are, and the SHA-256 of all."""
    lines = sorted(f"{key} {','.join(map(str, shape))}\n" for key, shape in shapes.items())
    return f"{len(lines)} {hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def published(name):
    """The digest that is kept of PyTorch's network of that name."""
    return json.loads(NAMES.read_text())[name]


def torch_shapes(module):
    """``{key: shape}`` of a module of PyTorch, which may stand on the device ``meta``."""
    arrays = module.state_dict().items()
    return {key: tuple(array.shape) for key, array in arrays if not _counts(key)}


def leaf_shapes(params, state):
    """Shapes of parameters and state together, by path."""
    return {path: leaf.shape for path, leaf in (trees.flat(params) | trees.flat(state)).items()}


def our_leaves(model, x):
    """Shapes of parameters and state together, by path."""
    return leaf_shapes(*jax.eval_shape(model.init, jax.random.key(0), x))


def as_in_torch(name, leaves):
    """``{key: shape}`` of leaves of ours as PyTorch would have them."""
    dialect, nothing = dialects_of(name)[0], np.zeros((), np.float32)
    return {
        dialect.name(path): dialect.theirs(path, np.broadcast_to(nothing, shape)).shape
        for path, shape in leaves.items()
    }


def randomized(module, seed=0, gain=2):
    """The module for evaluation, with weights that keep the scale of what goes through, and with
    nothing left at the value it began with. With a smaller gain, what goes through fades.
    """
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(seed)
    for key, array in module.state_dict().items():
        if _counts(key):
            continue
        if array.ndim > 1:
            array.normal_(0, (gain / array[0].numel()) ** 0.5, generator=generator)
        elif key.endswith(("weight", "running_var")):
            array.uniform_(0.5, 1.5, generator=generator)
        else:
            array.normal_(0, 0.1, generator=generator)
    return module.eval()


def assert_same_as_torch(name, module, x, *, dialect=0, tolerance=1e-4, gain=2, **options):
    """Our model, with the weights of the module, computes what the module computes, and gives them
    back bit for bit.

    Args:
        x: Images ``[n, h, w, c]``, two or more that differ.
        dialect: The place of the names among those of the model; the way back is only of the first.
        tolerance: Of outputs, in parts of the largest.
        gain: Of the weights; with 2, rounding grows to 1e-5 in forty blocks with gates.
    """
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    module = randomized(module, gain=gain)
    arrays = {key: array.numpy() for key, array in module.state_dict().items() if not _counts(key)}
    model, names = models.build(name, **options), dialects_of(name)[dialect]
    leaves = our_leaves(model, x)
    keys = {path: names.name(path) for path in leaves}
    assert sorted(keys.values()) == sorted(arrays)
    ours = {path: names.ours(path, arrays[key], leaves[path]) for path, key in keys.items()}
    assert {path: array.shape for path, array in ours.items()} == leaves
    if dialect == 0:
        for path, key in keys.items():
            back = names.theirs(path, ours[path])
            assert back.shape == arrays[key].shape, key
            assert back.tobytes() == arrays[key].tobytes(), key

    with torch.inference_mode():
        expected = module(torch.tensor(np.asarray(x).transpose(0, 3, 1, 2))).numpy()
    if expected.ndim == 4:
        expected = expected.transpose(0, 2, 3, 1)
    y = _evaluated(model, ours, x)
    scale = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 1e-2 * scale, "no image tells the weights"
    np.testing.assert_allclose(y / scale, expected / scale, rtol=0, atol=tolerance)


def _evaluated(model, leaves, x):
    params, state = jax.eval_shape(model.init, jax.random.key(0), x)
    params, state = (
        trees.nested({path: jnp.asarray(leaves[path]) for path in trees.flat(tree)})
        for tree in (params, state)
    )
    apply = jax.jit(lambda params, state, x: model.apply(params, state, x)[0])
    return np.asarray(apply.lower(params, state, x).compile(QUICKLY)(params, state, x))


def _counts(key):
    return key.endswith("num_batches_tracked")
