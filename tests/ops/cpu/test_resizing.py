"""Resampling on CPUs against products with the matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import ops


def draw(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(16, 12), (4, 3), (8, 18), (10, 6), (7, 31), (24, 2)])
def test_outputs_and_gradients_equal_products_with_matrices(method, size):
    x = draw(0, 2, 8, 6, 3)

    @jax.jit
    def both(x):
        y, pull = jax.vjp(lambda x: ops.resize(x, size, method), x)
        return y, pull(jnp.cos(y))[0]

    fast = both(x)
    with ops.lowering("native"):
        native = both(x)
    for one, other in zip(fast, native, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 3])
def test_vmap_and_tangents_agree_with_each_example(rank):
    x, t = draw(0, 3, 2, *(6, 4, 3)[:rank], 2), draw(1, 3, 2, *(6, 4, 3)[:rank], 2)
    resize = lambda x: ops.resize(x, (12, 8, 6)[:rank], "bilinear")  # noqa: E731
    ys, dys = jax.jit(jax.vmap(lambda x, t: jax.jvp(resize, (x,), (t,))))(x, t)
    for i in range(3):
        np.testing.assert_allclose(ys[i], resize(x[i]), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(dys[i], resize(t[i]), rtol=1e-6, atol=1e-6)
