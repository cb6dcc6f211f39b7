import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.layers import initializers

NAMES = ["truncated_normal", "uniform", "he_normal", "glorot_uniform", "zeros", "torch"]
SHAPES = [(1,), (7,), (1023,), (1024,), (1025,), (3, 3, 5, 41), (1 << 16, 1), (70_001, 2), (0, 4)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_draws_are_the_same_bits_however_they_are_made(name, shape, dtype):
    fn, key = initializers.initializer(name), random.key(5)
    eager = fn(key, shape, dtype)
    assert eager.shape == shape
    assert eager.dtype == dtype
    placed = fn(jax.device_put(key, jax.devices()[0]), shape, dtype)
    jitted = jax.jit(lambda k: fn(k, shape, dtype))(key)
    known = jax.jit(lambda: fn(key, shape, dtype))()
    mapped = jax.vmap(lambda k: fn(k, shape, dtype))(random.split(key, 2))
    assert eager.tobytes() == placed.tobytes() == known.tobytes()
    assert eager.tobytes() == jitted.tobytes()
    assert fn(random.split(key, 2)[1], shape, dtype).tobytes() == mapped[1].tobytes()


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg", "threefry2x32"])
def test_generators(impl):
    key = random.key(3, impl=impl)
    want = 0.01 * random.normal(key, (12,))
    np.testing.assert_array_equal(initializers.normal(key, (3, 4)), want.reshape(3, 4))


def test_donated():
    a = initializers.normal(random.key(0), (64, 64))
    b = np.array(a)
    c = jax.jit(lambda a: a + 1, donate_argnums=0)(a)
    np.testing.assert_allclose(c, b + 1, atol=1e-6)
    with jax.threefry_partitionable(False):
        key = random.key(0)
        want = 0.01 * random.normal(key, (12,))
        np.testing.assert_array_equal(initializers.normal(key, (12,)), want)
