"""Derivatives of every layer, model and loss in float64, in both modes and of both orders.

What ``jax.test_util.check_grads`` asks in a dozen programs is asked here in one: along a direction
drawn at random, slopes and the change of the gradient are those of central differences, whether
computed forwards or backwards; the long run adds the other two modes of the second order. A kink
within a step of an input would show as an error; none drawn here meets one.
"""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, random

from fcnn import losses, ops

from ..catalogue import LAYERS, MODELS, SLOW_MODELS

KEY = random.key(0)
STEP = 1e-6
QUICKLY = {"xla_backend_optimization_level": 0}  # what is asked here is meaning, not speed

WITHOUT = {
    "cast": "computes in float16",
    "cast, there and back": "computes in bfloat16",
    "frozen": "gives its parameters no gradient on purpose",
    "normalize, pixels": "takes integers and has no parameters",
    "rescale, pixels": "takes integers and has no parameters",
}


def over(rows):
    """Parametrises a test by rows; models and variants of layers are left to the long run."""
    marked = [
        pytest.param(
            row,
            id=row.name,
            marks=() if row in LAYERS and "," not in row.name else pytest.mark.slow,
        )
        for row in rows
        if row.name not in WITHOUT
    ]
    return pytest.mark.parametrize("row", marked)


def moving(tree):
    """The same tree with None in place of what has no derivative."""
    return jax.tree.map(lambda x: x if jnp.issubdtype(x.dtype, jnp.floating) else None, tree)


def drawn(like, seed):
    """Numbers of these shapes, integers below ten."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return rng.normal(size=leaf.shape)
        return rng.integers(0, 10, leaf.shape)

    return jax.tree.map(draw, like)


def dot(a, b):
    return sum(jnp.vdot(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def differences(f, x, v, thorough):
    """By name, twice the same of a number ``f(x)``: from derivatives, and from differences."""
    both = jax.value_and_grad(f)
    steps = STEP * jnp.array([1.0, -1.0])
    points = jax.tree.map(lambda x, v: x + jnp.multiply.outer(steps, v), x, v)
    ahead_behind = lax.map(both, points)
    slope, bend = jax.tree.map(lambda found: (found[0] - found[1]) / (2 * STEP), ahead_behind)
    (_, gradient), (forwards, over) = jax.jvp(both, (x,), (v,))
    found = {
        "forwards": (forwards, slope),
        "backwards": (dot(gradient, v), slope),
        "forwards over backwards": (over, bend),
    }
    if thorough:
        back = jax.grad(lambda x: dot(jax.grad(f)(x), v))(x)
        twice = jax.jvp(lambda x: jax.jvp(f, (x,), (v,))[1], (x,), (v,))[1]
        found["backwards over backwards"] = back, bend
        found["forwards over forwards"] = twice, dot(bend, v)
    return found, gradient


def assert_close(found, expected, tolerance):
    """Within a tolerance of the largest number, or of one."""
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        scale = max(np.abs(other).max(initial=0), 1)
        assert np.abs(one - other).max(initial=0) <= tolerance * scale


def check(f, x, thorough=False):
    """The derivatives of the number ``f(x)``; the gradient also against lax's own operations."""
    v = drawn(jax.eval_shape(lambda x: x, x), 1)

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def run(x, v):
        with ops.lowering("native"):
            native = jax.grad(f)(x)
        return differences(f, x, v, thorough), native

    (found, gradient), native = run(x, v)
    for name, (one, other) in found.items():
        assert_close(one, other, 1e-5 if "over" in name else 1e-6)
    assert_close(gradient, native, 1e-10)


thoroughly = pytest.mark.parametrize(
    "thorough",
    [pytest.param(False, id="quick"), pytest.param(True, id="all", marks=pytest.mark.slow)],
)


@thoroughly
@over([*LAYERS, *MODELS, *SLOW_MODELS])
def test_derivatives_of_a_layer_in_training_are_those_of_differences(row, thorough):
    layer = row.make()
    with jax.enable_x64(True):
        x = drawn(row.input, zlib.crc32(row.name.encode()))
        params, state = drawn(jax.eval_shape(layer.init, KEY, row.input), 2)
        whole = (params, jax.tree.map(jnp.asarray, x))

        def f(parts):
            params, x = jax.tree.map(
                lambda part, all: all if part is None else part,
                parts,
                whole,
                is_leaf=lambda part: part is None,
            )
            y, _ = layer.apply(params, state, x, train=True, key=KEY)
            weights = drawn(jax.eval_shape(lambda y: y, y), 3)
            return dot(moving(y), moving(weights))

        check(f, moving(whole), thorough)


@thoroughly
@pytest.mark.parametrize("name", losses.names())
def test_derivatives_of_a_loss_are_those_of_differences(name, thorough):
    loss, rng = losses.named(name), np.random.default_rng(0)
    with jax.enable_x64(True):
        outputs = rng.normal(size=(6, 5))
        if losses.output_of(loss) == "softmax":
            targets = rng.integers(0, 5, 6)
        else:
            targets = rng.integers(0, 2, (6, 5)) + 0.5 * (losses.output_of(loss) != "sigmoid")
        weights = rng.normal(size=6)
        check(lambda y: jnp.vdot(loss(y, targets), weights), jnp.asarray(outputs), thorough)


def test_a_wrong_derivative_is_noticed():
    @jax.custom_jvp
    def square(x):
        return x**2

    square.defjvp(lambda primals, tangents: (square(*primals), 2.0001 * primals[0] * tangents[0]))
    with jax.enable_x64(True), pytest.raises(AssertionError):
        check(lambda x: square(x).sum(), jnp.ones(3))
