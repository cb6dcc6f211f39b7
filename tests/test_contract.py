"""What every layer promises, asked of every row of the catalogue.

The numbers of a row come from one compilation, which its tests share.
"""

import functools
import json
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, random

import fcnn
from fcnn.core import Layer, build, kind, registered, spec, trees

from .catalogue import IMAGE, ROWS, SEQUENCE, SLOW_MODELS, WORDS

KEY = random.key(0)
QUICKLY = {"xla_backend_optimization_level": 0}  # what is asked here is meaning, not speed
NAMES = ("kernel", "recurrent_kernel", "bias", "recurrent_bias", "scale")


def over(rows):
    """Parametrises a test by rows; deep models are left to the long run."""
    marked = [
        pytest.param(row, id=row.name, marks=pytest.mark.slow if row in SLOW_MODELS else ())
        for row in rows
    ]
    return pytest.mark.parametrize("row", marked)


every_row = over([*ROWS, *SLOW_MODELS])


class Case(NamedTuple):
    """A layer with values, and an input for it."""

    layer: Layer
    params: Any
    state: Any
    x: Any


def numbers(like):
    """An input of these shapes; integers stay below ten."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(rng.normal(size=leaf.shape), leaf.dtype)
        return jnp.asarray(rng.integers(0, 10, leaf.shape), leaf.dtype)

    return jax.tree.map(draw, like)


@functools.cache
def case(row):
    layer = row.make()
    x = numbers(row.input)
    return Case(layer, *layer.init(KEY, x), x)


@functools.cache
def outputs(row):
    """All that needs numbers, in one compiled function."""
    layer, params, state, x = case(row)
    of = (0, 1) if floating(x) else 0

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def run(params, state, x):
        def evaluate(x):
            return layer.apply(params, state, x)[0]

        def alone(example):
            return evaluate(jax.tree.map(lambda leaf: leaf[None], example))

        def loss(params, x, state, key):
            y, state = layer.apply(params, state, x, train=True, key=key)
            waves = (jnp.sin(leaf.astype(jnp.float32)).sum() for leaf in jax.tree.leaves(y))
            return sum(waves), state

        def step(state, key):
            gradients, state = jax.grad(loss, of, has_aux=True)(params, x, state, key)
            return state, gradients

        steps = lax.scan(step, state, random.split(KEY, 2))
        return {"y": evaluate(x), "alone": jax.vmap(alone)(x), "steps": steps}

    return run(params, state, x)


def shapes(row, *, train, key, dtype=None):
    """Shapes of the output and the next state; nothing is computed."""
    layer, params, state, x = case(row)
    x = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape, dtype if dtype and jnp.issubdtype(leaf.dtype, jnp.floating) else leaf.dtype
        ),
        spec(x),
    )
    apply = jax.jit(layer.apply, static_argnames="train")
    run = functools.partial(apply, train=train, key=key)
    return jax.eval_shape(run, params, state, x)


def assert_close(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for one, two in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        one, two = np.asarray(one, np.float64), np.asarray(two, np.float64)
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def floating(tree):
    return [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]


@every_row
def test_init_reads_only_shape_and_dtype(row):
    layer, params, state, _ = case(row)
    assert_equal(layer.init(KEY, row.input), (params, state))


@every_row
def test_parameters_and_state_are_nested_dicts_of_float32_with_the_agreed_names(row):
    _, params, state, _ = case(row)
    assert type(params) is type(state) is dict
    leaves = trees.flat(params)
    assert all(path.rpartition("/")[2] in NAMES for path in leaves), list(leaves)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((params, state)))
    with jax.enable_x64(True):
        wide = jax.eval_shape(row.make().init, KEY, row.input)
    assert spec(wide) == spec((params, state))


@every_row
def test_shapes_are_known_without_computing(row):
    layer, params, state, _ = case(row)
    assert jax.eval_shape(layer.init, KEY, row.input) == spec((params, state))
    assert fcnn.out_spec(layer, row.input) == spec(outputs(row)["y"])


@every_row
def test_the_output_shape_is_the_same_in_training_and_evaluation(row):
    assert shapes(row, train=True, key=KEY)[0] == shapes(row, train=False, key=None)[0]


@every_row
def test_the_state_keeps_its_structure_shapes_and_dtypes(row):
    for train, key in ((False, None), (True, KEY)):
        assert shapes(row, train=train, key=key)[1] == spec(case(row).state)


@every_row
def test_jit_computes_what_eager_computes(row):
    layer, params, state, x = case(row)
    y, after = layer.apply(params, state, x)
    if (
        row in SLOW_MODELS
    ):  # fresh values blow up with depth, to millions: numbers beside zero cancel
        scale = np.abs(y).max()
        np.testing.assert_allclose(outputs(row)["y"] / scale, y / scale, rtol=0, atol=3e-6)
    else:
        assert_close(outputs(row)["y"], y)
    assert_equal(after, state)


@every_row
def test_outputs_are_finite(row):
    for leaf in jax.tree.leaves(outputs(row)["y"]):
        assert np.isfinite(np.asarray(leaf, np.float64)).all()


@every_row
def test_vmap_over_single_examples_is_the_batch_so_none_sees_another(row):
    got = outputs(row)
    assert_close(got["alone"], jax.tree.map(lambda leaf: leaf[:, None], got["y"]))


@every_row
def test_steps_in_a_scan_carry_the_state_and_finite_gradients(row):
    _, params, state, x = case(row)
    after, gradients = outputs(row)["steps"]
    assert spec(after) == spec(state)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, gradients)))
    of = (params, x) if floating(x) else params
    assert spec(jax.tree.map(lambda leaf: leaf[0], gradients)) == spec(of)


@every_row
def test_half_precision_stays_under_strict_promotion(row):
    with jax.numpy_dtype_promotion("strict"):
        results = [shapes(row, train=t, key=KEY, dtype=jnp.bfloat16) for t in (False, True)]
    for y, state in results:
        assert state == spec(case(row).state)
        if row.keeps_dtype and floating(row.input):
            assert {leaf.dtype for leaf in floating(y)} == {jnp.dtype(jnp.bfloat16)}


@every_row
def test_double_precision_stays_where_it_is_enabled(row):
    with jax.enable_x64(True):
        results = [shapes(row, train=t, key=KEY, dtype=jnp.float64) for t in (False, True)]
    for y, state in results:
        assert state == spec(case(row).state)
        if row.keeps_dtype and floating(row.input):
            assert {leaf.dtype for leaf in floating(y)} == {jnp.dtype(jnp.float64)}


@over([row for row in [*ROWS, *SLOW_MODELS] if row.noisy])
def test_a_layer_that_draws_noise_names_itself_where_there_is_no_key(row):
    with pytest.raises(ValueError, match=r"^[\w/]+ needs a key to train: apply\("):
        shapes(row, train=True, key=None)


@over([row for row in [*ROWS, *SLOW_MODELS] if not row.noisy])
def test_a_layer_that_draws_no_noise_trains_without_a_key_as_with_one(row):
    assert shapes(row, train=True, key=None) == shapes(row, train=True, key=KEY)


WITHOUT_RECIPE = {"lazy", "wire", "stateless"}  # a private function is part of them

with_recipe = over([row for row in [*ROWS, *SLOW_MODELS] if row.name not in WITHOUT_RECIPE])


def test_only_layers_of_private_functions_have_no_recipe():
    without = {row.name for row in [*ROWS, *SLOW_MODELS] if row.make().recipe is None}
    assert without == WITHOUT_RECIPE


@with_recipe
def test_a_recipe_in_json_builds_the_same_layer(row):
    layer, params, state, x = case(row)
    again = build(json.loads(json.dumps(layer.recipe.to_json(), allow_nan=False)))
    assert_equal(again.init(KEY, row.input), (params, state))
    assert_equal(again.apply(params, state, x)[0], layer.apply(params, state, x)[0])
    assert again.recipe == layer.recipe


@with_recipe
def test_repr_is_the_code_that_makes_the_layer(row):
    layer = case(row).layer
    again = eval(repr(layer), dict(vars(fcnn)))  # noqa: S307
    assert again.recipe == layer.recipe


def test_every_row_has_a_name_of_its_own():
    names = [row.name for row in [*ROWS, *SLOW_MODELS]]
    assert len(set(names)) == len(names)


def test_every_constructor_has_a_row():
    """Of a family of models, one stands for all: they differ in numbers."""
    made = {n: m.__module__ for n, m in registered().items() if m.__module__.startswith("fcnn.")}
    there = {kind(row.make()) for row in [*ROWS, *SLOW_MODELS]}
    families = {made[name] for name in there & made.keys() if ".models." in made[name]}
    assert {name for name in made.keys() - there if made[name] not in families} == set()


def test_every_function_that_stands_as_a_layer_is_in_a_row():
    functions = {
        name
        for name, fn in registered("function").items()
        if not fn.__module__.startswith("fcnn")
        or fn.__module__.startswith(("fcnn.core", "fcnn.layers"))
        if fn.__module__ != "fcnn.layers.initializers"
    }
    text = " ".join(repr(row.make()) for row in ROWS)
    assert {name for name in functions if not re.search(rf"\b{name}\b", text)} == set()


COUNTED = {  # options that are positive integers
    "attention, heads": lambda n: fcnn.attention(n),
    "attention, features": lambda n: fcnn.attention(1, features=n),
    "conv, features": lambda n: fcnn.conv(n),
    "conv, groups": lambda n: fcnn.conv(2, groups=n),
    "conv, kernel": lambda n: fcnn.conv(2, n),
    "conv_transpose, stride": lambda n: fcnn.conv_transpose(2, 3, n),
    "dense": lambda n: fcnn.dense(n),
    "depthwise_conv, multiplier": lambda n: fcnn.depthwise_conv(multiplier=n),
    "embedding, vocabulary": lambda n: fcnn.embedding(n, 4),
    "embedding, features": lambda n: fcnn.embedding(10, n),
    "group_norm": lambda n: fcnn.group_norm(n),
    "gru": lambda n: fcnn.gru(n),
    "local_response_norm": lambda n: fcnn.local_response_norm(n),
    "lstm": lambda n: fcnn.lstm(n),
    "max_pool": lambda n: fcnn.max_pool(n),
    "pixel_shuffle": lambda n: fcnn.pixel_shuffle(n),
    "reshape": lambda n: fcnn.reshape(-1, n),
    "resize": lambda n: fcnn.resize(n),
    "squeeze_excite": lambda n: fcnn.squeeze_excite(features=n),
}
COUNTED_ON = {"attention": SEQUENCE, "gru": SEQUENCE, "lstm": SEQUENCE, "embedding": WORDS}


@pytest.mark.parametrize("name", COUNTED)
def test_positive_integers_may_be_numpys_and_are_never_floats_or_booleans(name):
    for refused in (0, -2, 2.0, np.float32(2), True, np.True_, "2", (2.0,)):
        with pytest.raises(ValueError, match="must be a positive integer"):
            COUNTED[name](refused)
    layer, same = COUNTED[name](np.int64(2)), COUNTED[name](2)
    assert layer.recipe.to_json() == same.recipe.to_json()
    x = numbers(COUNTED_ON.get(name.split(",")[0], IMAGE))
    x = x if floating(x) else x % 2  # an embedding of two words
    with jax.numpy_dtype_promotion("strict"):
        assert_equal(layer.apply(*layer.init(KEY, x), x)[0], same.apply(*same.init(KEY, x), x)[0])
