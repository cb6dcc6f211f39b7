"""Faults that XLA's compiler for CPUs is known to have, and what is computed here in spite of them.

A fault that comes back, or goes, shows in the first tests: they say which versions have it.
"""

import functools
import platform
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import optax
import pytest
from jax import random

import fcnn
from fcnn import losses, serial
from fcnn.train import make_step, start

from ..catalogue import LAYERS

KEY = random.key(0)
ROWS = (32_769, 40_000)
WRONG_PRODUCTS = {"0.10.2"}  # https://github.com/jax-ml/jax/issues/39103
CRASHES = {"0.10.2"}  # https://github.com/jax-ml/jax/issues/39257 and 40412

over_rows = pytest.mark.parametrize(
    "rows", [ROWS[1], pytest.param(ROWS[0], marks=pytest.mark.slow)]
)
on_such_a_machine = pytest.mark.skipif(
    platform.machine() != "x86_64" or jax.default_backend() != "cpu",
    reason="the faults were seen on x86-64 CPUs",
)


@on_such_a_machine
def test_which_versions_compute_vmapped_products_of_matrix_and_vector_wrong():
    """The reason why no layer writes them so."""
    x = np.arange(3 * ROWS[1], dtype=np.float32).reshape(-1, 3) % 1000
    matrix = np.eye(3, dtype=np.float32)
    squares = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(x)
    wrong = int((np.abs(squares / (x.astype(np.float64) ** 2).sum(1) - 1) > 1e-3).sum())
    print(f"jaxlib {jaxlib.__version__}: {wrong} of {len(x)} rows are wrong")
    assert (wrong > 0) == (jaxlib.__version__ in WRONG_PRODUCTS)


@on_such_a_machine
@pytest.mark.slow
def test_which_versions_crash_on_sums_over_arrays_of_seven_axes():
    code = (
        "import jax, jax.numpy as jnp\n"
        "a = jnp.ones((3, 1, 2, 2, 8, 8, 8))\n"
        "jax.jit(lambda a, b: jnp.sum(a * b, axis=3))(a, a).block_until_ready()\n"
    )
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
        crashed = done.returncode < 0
    except subprocess.TimeoutExpired:
        crashed = True
    assert crashed == (jaxlib.__version__ in CRASHES)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=() if len(row.input.shape) == 5 else pytest.mark.slow)
        for row in LAYERS
        if isinstance(row.input, jax.ShapeDtypeStruct)
    ],
)
def test_no_program_of_a_layer_sums_over_an_array_of_seven_axes(row):
    layer = row.make()
    params, state = layer.init(KEY, row.input)

    def score(params, x):
        y, _ = layer.apply(params, state, x, train=True, key=KEY)
        return sum(jnp.sin(leaf.astype(jnp.float32)).sum() for leaf in jax.tree.leaves(y))

    each = jax.vmap(jax.grad(score), (None, 0))
    x = jax.ShapeDtypeStruct((2, *row.input.shape), row.input.dtype)
    text = jax.jit(each).lower(params, x).as_text()
    axes = [len(found.split("x")) for found in re.findall(r"reduce.*: \(tensor<([\dx]+)xf", text)]
    assert max(axes, default=0) < 7
    assert axes or not params


def pooled(*layers):
    return serial(*layers, fcnn.global_avg_pool, fcnn.dense(3))


@pytest.mark.parametrize(
    "model",
    [
        pooled(fcnn.conv(8), fcnn.relu),
        pooled(fcnn.conv(8), fcnn.batch_norm(), fcnn.relu),
        pooled(fcnn.max_pool(2), fcnn.conv(8), fcnn.relu),
        serial(fcnn.conv(8), fcnn.relu, fcnn.global_max_pool, fcnn.dense(3)),
    ],
    ids=repr,
)
def test_a_nan_that_the_compiler_loses_on_the_way_to_the_loss_is_noticed_by_the_step(model):
    """A maximum over large axes, or a rectifier before a mean, can lose it."""
    x = np.random.default_rng(0).normal(size=(4, 64, 64, 2)).astype(np.float32)
    x[1, 20, 30, 1] = np.nan
    optimizer = optax.sgd(0.1)
    ts = start(model, optimizer, KEY, x)
    before = jax.tree.map(np.array, (ts.params, ts.state))
    ts, found = make_step(model, optimizer=optimizer)(ts, {"x": x, "y": np.arange(4) % 3})
    assert not found["finite"]
    jax.tree.map(np.testing.assert_array_equal, (ts.params, ts.state), before)


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("shape", [(ROWS[1], 3), (8, 5000)], ids=str)
def test_a_loss_of_nan_is_nan_and_harms_no_other_example(name, shape):
    outputs, targets = outputs_and_targets(losses.named(name), shape)
    outputs[5, 2] = np.nan
    values = jax.jit(losses.named(name))(outputs, targets)
    assert np.flatnonzero(np.isnan(values)).tolist() == [5]


def outputs_and_targets(loss, shape):
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=shape).astype(np.float32)
    if losses.output_of(loss) == "softmax":
        return outputs, rng.integers(0, shape[-1], shape[0])
    return outputs, rng.integers(0, 2, shape).astype(np.float32)


LARGE = {  # layers on rows of three, and the shape of a row; others are compared with numpy's
    **{
        f"{name}, many rows": (layer, (3,))
        for name, layer in {
            "dense": serial(fcnn.dense(3), fcnn.relu, fcnn.dense(3)),
            "softmax": serial(fcnn.softmax),
            "log_softmax": serial(fcnn.log_softmax),
            "prelu": fcnn.prelu(),
            "normalize": fcnn.normalize((1, 2, 3), 2.0),
            "dropout": fcnn.dropout(0.5),
            "layer_scale": fcnn.layer_scale(0.5),
        }.items()
    },
    **{
        f"{name}, many sequences": (layer, (3, 3))
        for name, layer in {
            "attention": fcnn.attention(1),
            "attention, causal": fcnn.attention(3, causal=True),
            "lstm": fcnn.lstm(3),
            "gru": fcnn.gru(3, sequences=True),
            "squeeze_excite": fcnn.squeeze_excite(1),
            "local_response_norm": fcnn.local_response_norm(3, alpha=0.1),
            "global_response_norm": fcnn.global_response_norm(),
            "separable_conv": fcnn.separable_conv(3),
            "conv_transpose": fcnn.conv_transpose(3, 3, 2),
            "weight_standardized": fcnn.weight_standardized(fcnn.conv(3)),
            "blur_pool": fcnn.blur_pool(),
            "adaptive_max_pool": fcnn.adaptive_max_pool(2),
        }.items()
    },
}


def assert_close(found, expected, tolerance=1e-5):
    """Within a part of the largest number, or of one."""
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert np.abs(one - other).max() <= tolerance * max(np.abs(other).max(), 1)


@over_rows
@pytest.mark.parametrize("name", LARGE)
def test_a_layer_on_tens_of_thousands_of_rows_is_the_same_jitted_and_eager(name, rows):
    layer, shape = LARGE[name]
    x = np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)
    params, state = layer.init(KEY, x[:2])
    run = functools.partial(layer.apply, params, state, train=True, key=KEY)
    assert_close(jax.jit(run)(x), run(x), 1e-4)


@over_rows
@pytest.mark.parametrize("name", losses.names())
def test_a_loss_of_tens_of_thousands_of_rows_is_the_same_jitted_and_eager(name, rows):
    loss = losses.named(name)
    outputs, targets = outputs_and_targets(loss, (rows, 3))
    assert_close(jax.jit(loss)(outputs, targets), loss(outputs, targets))


@pytest.mark.slow
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.name)
def test_every_layer_is_the_same_jitted_and_eager_on_tens_of_thousands_of_examples(row, rows):
    layer, rng = row.make(), np.random.default_rng(0)

    def draw(like):
        shape = (rows, *like.shape[1:])
        if jnp.issubdtype(like.dtype, jnp.floating):
            return rng.normal(size=shape).astype(like.dtype)
        return rng.integers(0, 10, shape, like.dtype)

    params, state = layer.init(KEY, row.input)
    apply = functools.partial(layer.apply, train=True, key=KEY)
    x = jax.tree.map(draw, row.input)
    assert_close(jax.jit(apply)(params, state, x), apply(params, state, x), 1e-4)
