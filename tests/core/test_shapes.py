import jax
import jax.numpy as jnp
import numpy as np

from fcnn.core import out_spec, repeat, serial, spec

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
