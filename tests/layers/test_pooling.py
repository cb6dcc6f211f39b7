import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import ops
from fcnn.core import build, out_spec, serial
from fcnn.layers.pooling import (
    adaptive_avg_pool,
    adaptive_max_pool,
    avg_pool,
    blur_pool,
    global_avg_pool,
    global_max_pool,
    max_pool,
)

KEY = random.key(0)
X = np.random.default_rng(0).standard_normal((2, 7, 6, 3)).astype("f4")


def run(layer, x):
    params, state = layer.init(KEY, x)
    assert (params, state) == ({}, {})
    y, state = layer.apply(params, state, x)
    assert state == {}
    return y


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (max_pool(3, 2, 1, ceil=True), lambda: ops.max_pool(X, 3, 2, 1, ceil=True)),
        (avg_pool((3, 2), padding="same"), lambda: ops.avg_pool(X, (3, 2), padding="same")),
        (
            avg_pool(3, 2, 1, count_padding=True, ceil=True),
            lambda: ops.avg_pool(X, 3, 2, 1, count_padding=True, ceil=True),
        ),
        (adaptive_avg_pool((3, 2)), lambda: ops.adaptive_avg_pool(X, (3, 2))),
        (adaptive_max_pool(4), lambda: ops.adaptive_max_pool(X, 4)),
        (blur_pool(4, 3), lambda: ops.blur_pool(X, 4, 3)),
    ],
    ids=["max", "avg", "counted", "adaptive_avg", "adaptive_max", "blur"],
)
def test_layers_pass_their_options_to_the_operation(layer, expected):
    np.testing.assert_array_equal(run(layer, X), expected())
    again = build(layer.recipe.to_json())
    assert repr(again) == repr(layer)
    np.testing.assert_array_equal(run(again, X), expected())


@pytest.mark.parametrize("size", [(5,), (5, 4), (3, 4, 2)])
def test_global_pools_take_all_of_space(size):
    x = np.random.default_rng(0).standard_normal((2, *size, 3)).astype("f4")
    model = serial(global_avg_pool)
    assert repr(model) == "serial(global_avg_pool)"
    space = tuple(range(1, 1 + len(size)))
    np.testing.assert_allclose(run(model, x), x.mean(space), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(global_max_pool(x), x.max(space))


@pytest.mark.parametrize("rows", [32_769, 40_001])
def test_global_pools_of_large_odd_numbers_of_rows_of_three_are_right(rows):
    x = np.random.default_rng(0).standard_normal((rows, 3, 3)).astype("f4")
    means, maxima = jax.jit(lambda x: (global_avg_pool(jax.nn.relu(x)), global_max_pool(x)))(x)
    np.testing.assert_allclose(means, np.maximum(x.astype("f8"), 0).mean(1), rtol=1e-5)
    np.testing.assert_array_equal(maxima, x.max(1))


def test_a_mean_over_bfloat16_is_computed_in_float32():
    x = jnp.full((1, 40, 40, 2), 1.5, "bfloat16")
    with jax.numpy_dtype_promotion("strict"):
        y = global_avg_pool(x)
    assert y.dtype == "bfloat16"
    assert (y == 1.5).all()


@pytest.mark.parametrize("pool", [max_pool, avg_pool])
def test_a_window_that_does_not_fit_is_refused_by_init_and_apply(pool):
    x = jnp.ones((2, 2, 2, 1))
    model = serial(pool1=pool(2), pool2=pool(2))
    for refuse in (lambda: model.init(KEY, x), lambda: model.apply({}, {}, x)):
        with pytest.raises(ValueError, match=r"^pool2: window 2x2 does not fit its input 1x1"):
            refuse()
    with pytest.raises(ValueError, match="_pool: window 3x3 does not fit its input 2x2"):
        pool(3).init(KEY, x)


def test_blurred_pooling_moves_with_its_input_more_than_plain_pooling():
    """The share of a shift by one cell that the coarse maps cannot explain."""
    x = np.random.default_rng(1).standard_normal((4, 32, 32, 3)).astype("f4")

    def change(layer):
        means = [run(layer, np.roll(x, shift, 1)).mean((1, 2)) for shift in (0, 1)]
        return abs(means[0] - means[1]).mean()

    blurred = serial(max_pool(2, 1, "same"), blur_pool(3))
    assert change(blurred) < 0.5 * change(max_pool(2))


def test_inputs_and_options_that_cannot_work_are_refused():
    flat = jnp.ones((2, 3))
    for fn in (global_avg_pool, global_max_pool):
        with pytest.raises(ValueError, match=f"{fn.__name__}1 needs an input"):
            serial(fn).init(KEY, flat)
    for make in (max_pool, avg_pool, adaptive_avg_pool, adaptive_max_pool, blur_pool):
        with pytest.raises(ValueError, match="needs an input"):
            make(2).init(KEY, flat)
    for layer in (avg_pool(2), adaptive_avg_pool(1), blur_pool()):
        with pytest.raises(TypeError, match="computes in floating point"):
            layer.init(KEY, jnp.ones((2, 4, 4, 1), "uint8"))
    assert out_spec(max_pool(2), jnp.ones((2, 4, 4, 1), "uint8")).dtype == "uint8"
    for make in (max_pool, avg_pool, adaptive_avg_pool, adaptive_max_pool, blur_pool):
        with pytest.raises(ValueError, match="must be a positive integer"):
            make(0)
    for make in (max_pool, avg_pool):
        with pytest.raises(ValueError, match="stride must be a positive integer"):
            make(2, 0)
        with pytest.raises(ValueError, match="padding must be"):
            make(2, padding="SAME")
