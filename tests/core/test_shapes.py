import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import Layer, out_spec, repeat, serial, spec

from .parts import linear, noise


def test_spec_takes_arrays_of_all_kinds_and_numbers():
    found = spec({"a": np.zeros((2, 3)), "b": jnp.zeros(2, jnp.bfloat16), "c": 1.5})
    assert found["a"] == jax.ShapeDtypeStruct((2, 3), jnp.float32)
    assert found["b"].dtype == jnp.bfloat16
    assert found["c"].shape == ()


def test_out_spec_computes_nothing():
    ran = []

    def note(x):
        jax.debug.callback(lambda: ran.append(1))
        return x

    x = jax.ShapeDtypeStruct((1000, 1000, 1000), jnp.float32)  # 4 GB, were it there
    y = out_spec(serial(linear(4), note, noise(), repeat(linear(4), 3)), x)
    assert y.shape == (1000, 1000, 4)
    assert not ran


def test_spec_keeps_keys_as_they_are():
    keys = jax.random.split(jax.random.key(0), 3)
    assert spec(keys) == jax.ShapeDtypeStruct((3,), keys.dtype)
    draw = serial(lambda key: jax.random.fold_in(key, 1), lambda key: jax.random.normal(key, (5,)))
    assert out_spec(draw, keys[0]).shape == (5,)


def test_out_spec_follows_the_settings_that_decide_dtypes():
    def halves(x):
        return x.astype(float) / 2

    layer = serial(halves)
    x = jax.ShapeDtypeStruct((2,), jnp.int32)
    assert out_spec(layer, x).dtype == jnp.float32
    with jax.enable_x64(True):
        assert out_spec(layer, x).dtype == jnp.float64
    mixed = serial(lambda x: x + x.astype(jnp.bfloat16))
    x = jax.ShapeDtypeStruct((2,), jnp.float32)
    assert out_spec(mixed, x).dtype == jnp.float32
    with (
        jax.numpy_dtype_promotion("strict"),
        pytest.raises(ValueError, match="no available implicit"),
    ):
        out_spec(mixed, x)


def test_out_spec_can_ask_for_parameters_made_for_another_input():
    x, wide = (jax.ShapeDtypeStruct((2, n), jnp.float32) for n in (3, 5))
    batch = jax.ShapeDtypeStruct((7, 3), jnp.float32)
    assert out_spec(linear(4), batch, made_for=x).shape == (7, 4)
    with pytest.raises(TypeError, match="dot_general"):
        out_spec(linear(4), wide, made_for=x)


def test_a_layer_that_shares_a_function_of_another_gives_what_it_gives_itself():
    body = serial(linear(3), linear(4))
    x = jnp.ones((5, 2))

    def narrow(params, state, x, **options):
        y, state = body.apply(params, state, x, **options)
        return y[:, :2], state

    @functools.wraps(body.apply)
    def twice(params, state, x, **options):
        y, state = body.apply(params, state, x, **options)
        return jnp.concatenate([y, y], -1), state

    assert out_spec(body, x).shape == (5, 4)
    assert out_spec(Layer(body.init, narrow), x).shape == (5, 2)
    assert out_spec(Layer(body.init, twice), x).shape == (5, 8)
