"""Our layers against what torch said, where torch need not be installed.

Differences count relative to the largest number of the array, or to a tenth where it is smaller:
some gradients, such as that of the bias of the keys in attention, are zero but for rounding.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import losses
from fcnn.core import kind, registered, spec, trees

from .cases import CASES
from .make_goldens import GOLDENS, below, cotangent, read
from .training import MODEL, OPTIMIZERS, STEPS, our_losses

QUICKLY = {"xla_backend_optimization_level": 0}  # what is asked here is meaning, not speed

NOT_IN_TORCH = {
    **dict.fromkeys(
        ("dropout", "spatial_dropout", "drop_path", "alpha_dropout"),
        "random: no two libraries draw alike; held to its statistics",
    ),
    **dict.fromkeys(("gaussian_dropout", "gaussian_noise"), "random, and torch has none"),
    **dict.fromkeys(("squareplus", "sparse_plus", "sparse_sigmoid"), "torch has none; jax's own"),
    "blur_pool": "torch has none; held to plain loops",
    "normalize": "torch leaves it to torchvision; held to its formula",
    "rescale": "torch leaves it to torchvision; held to its formula",
    "layer_scale": "torch has none: one product",
    "spectrogram": "torch leaves layers of it to torchaudio; held to torch.stft and plain loops",
    "log_mel": "torch leaves it to torchaudio; held to its formulas",
}
LOSSES_NOT_IN_TORCH = {
    "focal": "torchvision's, for two classes only",
    "binary_focal": "torchvision's",
    "hinge": "torch sums over all rivals of the right class, not over the best",
    **dict.fromkeys(
        ("squared_hinge", "percentage_error", "squared_log_error", "log_cosh"), "torch has none"
    ),
}


@functools.cache
def goldens():
    return read()


def difference(found, expected):
    """The largest difference as a part of the largest number."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max(initial=0.1)


def answers(case, record):
    """What our layer says to a record of inputs and values, by the keys of the goldens."""
    xs = tuple(below(record, "x").values())
    moving = {i: x for i, x in enumerate(xs) if jnp.issubdtype(x.dtype, jnp.floating)}

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def run(params, state, moving):
        def objective(params, moving):
            whole = tuple(moving.get(i, x) for i, x in enumerate(xs))
            y, new_state = case.ours.apply(params, state, whole if len(whole) > 1 else whole[0])
            ys = y if isinstance(y, tuple) else (y,)
            total = sum((y * cotangent(y.shape).astype(y.dtype)).sum() for y in ys)
            return total, (ys, new_state)

        return jax.grad(objective, (0, 1), has_aux=True)(params, moving)

    params, state = (trees.nested(below(record, name)) for name in ("params", "state"))
    with jax.default_matmul_precision("highest"):
        (by_params, by_x), (ys, new_state) = run(params, state, moving)
    return {
        **{f"y/{i}": y for i, y in enumerate(ys)},
        **{f"new_state/{path}": value for path, value in trees.flat(new_state).items()},
        **{f"grad/x/{i}": value for i, value in by_x.items()},
        **{f"grad/params/{path}": value for path, value in trees.flat(by_params).items()},
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_outputs_state_and_gradients_are_those_of_torch(case):
    record = goldens()[case.name]
    expected = {
        key: value for key, value in record.items() if key.startswith(("y/", "new_state/", "grad/"))
    }
    found = answers(case, record)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert difference(found[key], value) < (1e-4 if key.startswith("grad/") else 1e-5), key


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_values_of_the_goldens_are_those_that_init_makes(case):
    record = goldens()[case.name]
    xs = tuple(below(record, "x").values())
    made = jax.eval_shape(case.ours.init, jax.random.key(0), spec(xs if len(xs) > 1 else xs[0]))
    for name, tree in zip(("params", "state"), made, strict=True):
        shapes = {path: like.shape for path, like in trees.flat(tree).items()}
        assert shapes == {path: value.shape for path, value in below(record, name).items()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer.name)
def test_training_takes_the_path_that_it_takes_in_torch(optimizer):
    record = goldens()["training"]
    expected = record[f"loss/{optimizer.name}"]
    params, state = (trees.nested(below(record, name)) for name in ("params", "state"))
    with jax.default_matmul_precision("highest"):
        found = our_losses(optimizer, params, state)
    assert expected.shape == (STEPS,)
    assert expected[-1] < expected[0] / 2
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)


def test_every_layer_is_compared_or_excused():
    layers = {
        name
        for registry in (registered(), registered("function"))
        for name, made in registry.items()
        if made.__module__.startswith(("fcnn.layers", "jax"))
        and made.__module__ != "fcnn.layers.initializers"
    }
    compared = {kind(case.ours) for case in CASES} - set(losses.names())
    assert not compared & NOT_IN_TORCH.keys()
    assert compared | NOT_IN_TORCH.keys() == layers


def test_every_loss_is_compared_or_excused():
    compared = {kind(case.ours) for case in CASES} & set(losses.names())
    assert not compared & LOSSES_NOT_IN_TORCH.keys()
    assert compared | LOSSES_NOT_IN_TORCH.keys() == set(losses.names())


def test_a_case_is_named_after_what_it_is_about():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        assert case.name.split(",")[0] == kind(case.ours)


def test_goldens_hold_the_cases_and_are_small():
    assert goldens().keys() == {*(case.name for case in CASES), "training"}
    assert GOLDENS.stat().st_size < 300_000


def test_the_network_of_the_training_is_the_stored_one():
    x = jax.ShapeDtypeStruct((1, 8, 8, 1), "float32")
    params, state = jax.eval_shape(MODEL.init, jax.random.key(0), x)
    for name, tree in (("params", params), ("state", state)):
        assert trees.flat(tree).keys() == below(goldens()["training"], name).keys()
