"""Pooling on CPUs against lax's own, and under the transformations of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import ops
from fcnn.ops.cpu import cells


def draw(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def gradients(pool, x):
    y, pull = jax.vjp(pool, x)
    return y, pull(jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape))[0]


@pytest.mark.parametrize("seed", range(20))
def test_pools_with_ties_and_any_window_equal_laxs_own(seed):
    rng = np.random.default_rng(seed)
    rank = int(rng.integers(1, 4))
    window = [int(k) for k in rng.integers(1, 12 if rank == 2 else 5, rank)]
    stride = [int(s) for s in rng.integers(1, 4, rank)]
    pads = [tuple(int(p) for p in rng.integers(0, k, 2)) for k in window]
    size = [max(k - sum(p), 1) + int(rng.integers(0, 5)) for k, p in zip(window, pads, strict=True)]
    x = jnp.asarray(rng.integers(-3, 4, (2, *size, 3)), jnp.float32)
    for pool in (ops.max_pool, ops.avg_pool):
        run = jax.jit(
            lambda x, pool=pool: gradients(
                lambda x: pool(x, window, stride, pads, ceil=bool(seed % 2)), x
            )
        )
        fast = run(x)
        with ops.lowering("native"):
            native = run(x)
        for one, other in zip(fast, native, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_tangents_vmap_scan_and_the_transpose_belong_together():
    x, t = draw(0, 4, 2, 7, 6, 3), draw(1, 4, 2, 7, 6, 3)
    pool = lambda x: ops.max_pool(x, 3, 2, 1)  # noqa: E731
    each = [gradients(pool, one) for one in x]
    ys, dxs = jax.jit(jax.vmap(lambda x: gradients(pool, x)))(x)
    _, (scanned, dscanned) = jax.lax.scan(lambda c, x: (c, gradients(pool, x)), None, x)
    for i, (y, dx) in enumerate(each):
        for one in (ys[i], scanned[i]):
            np.testing.assert_array_equal(one, y)
        for one in (dxs[i], dscanned[i]):
            np.testing.assert_allclose(one, dx, rtol=1e-6)
    y, dy = jax.jvp(pool, (x[0],), (t[0],))
    g = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
    np.testing.assert_allclose((dy * g).sum(), (each[0][1] * t[0]).sum(), rtol=1e-5)


def test_a_window_with_a_nan_is_nan_and_the_others_keep_their_gradient():
    x = draw(0, 1, 6, 1).at[0, 0, 0].set(jnp.nan)
    y, dx = gradients(lambda x: ops.max_pool(x, 2), x)
    np.testing.assert_array_equal(jnp.isnan(y[0, :, 0]), [True, False, False])
    np.testing.assert_allclose(dx[0, 2:].sum(), np.cos(1) + np.cos(2), rtol=1e-6)


def test_gradients_of_bfloat16_are_summed_in_float32():
    x = jnp.zeros((1, 257, 1), "bfloat16").at[0, 32].set(1)
    dx = jax.grad(lambda x: ops.max_pool(x, 33, 1, 16).astype("float32").sum())(x)
    assert dx.dtype == "bfloat16"
    assert dx[0, 32, 0] == 33


@pytest.mark.parametrize("first", [-4, -1, 0, 2, 9])
def test_cells_outside_have_the_value_that_is_given(first):
    x = jnp.arange(1.0, 6.0).reshape(1, 5, 1)
    view = cells.cells(x, [first], [2], [4], -1.0)[0, :, 0]
    places = [first + 2 * i for i in range(4)]
    np.testing.assert_array_equal(view, [i + 1 if 0 <= i < 5 else -1 for i in places])
