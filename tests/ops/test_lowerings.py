"""The programs chosen for a platform against lax's own, on shapes drawn at random."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import ops
from fcnn.layers.normalization import batch_norm, layer_norm
from fcnn.ops.cpu import pieces

QUICK, ALL = 10, 240
SEEDS = [*range(QUICK), *(pytest.param(s, marks=pytest.mark.slow) for s in range(QUICK, ALL))]
# relative to the largest number of an array
BOUND = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 2e-2}


def sizes(rng, rank, most=(40, 13, 6)):
    return tuple(int(n) for n in rng.integers(1, most[rank - 1], rank))


def windows(rng, size):
    """Options of a window that fits: odd ones are as likely as usual ones."""
    window = tuple(int(rng.choice([1, 2, 3, 3, 3, 4, 5, 7])) for _ in size)
    dilation = tuple(int(rng.choice([1, 1, 1, 2, 3])) for _ in size)
    stride = tuple(int(rng.choice([1, 1, 2, 2, 3, 4])) for _ in size)
    if rng.random() < 0.6:  # as most layers have it: alike in all dimensions
        window, dilation, stride = ((sides[0],) * len(size) for sides in (window, dilation, stride))
    padding = "same"
    if rng.random() < 0.5:
        padding = []
        for n, k, d in zip(size, window, dilation, strict=True):
            before, after = (int(p) for p in rng.integers(0, k * d + 1, 2))
            padding.append((before, after + max(0, (k - 1) * d + 1 - n - before - after)))
    return window, {"stride": stride, "dilation": dilation, "padding": padding}


def channels(rng):
    """Channels, features and groups: dense, depthwise with a multiplier, or in between."""
    match rng.choice(["dense", "dense", "depthwise", "grouped"]):
        case "dense":
            c, d = (int(n) for n in rng.choice([1, 2, 3, 4, 5, 8, 17, 32], 2))
            return c, d, 1
        case "depthwise":
            c = int(rng.choice([2, 3, 8, 17]))
            return c, c * int(rng.choice([1, 1, 2, 3])), c
        case _:
            groups = int(rng.choice([2, 3, 4, 8]))
            c, d = (groups * int(n) for n in rng.choice([2, 3, 4], 2))
            return c, d, groups


def arrays(rng, dtype, *shapes):
    return [jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes]


def agree(f, dtype, *operands):
    """``f`` and its gradients in one program each way, within the bound of the dtype."""

    def both(*operands):
        y, pull = jax.vjp(f, *operands)
        weights = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape).astype(y.dtype)
        return y, pull(weights)

    fast = jax.jit(both)(*operands)
    with ops.lowering("native"):
        native = jax.jit(both)(*operands)
    for one, other in zip(jax.tree.leaves(fast), jax.tree.leaves(native), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype == dtype
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        scale = max(np.abs(other).max(initial=0), 1e-30)
        assert np.abs(one - other).max(initial=0) <= BOUND[dtype] * scale


def draw(seed, salt):
    """A generator, a rank and a dtype for a case."""
    rng = np.random.default_rng([seed, salt])
    rank = int(rng.choice([1, 2, 2, 2, 3]))
    return rng, rank, str(rng.choice(["float32", "float32", "float64", "bfloat16"]))


@pytest.fixture(autouse=True)
def cache(request, monkeypatch):
    """A cache so small that loops over parts of a batch are needed, but for every third case."""
    size = (1_000, 20_000, pieces.CACHE)[request.node.callspec.params["seed"] % 3]
    monkeypatch.setattr(pieces, "CACHE", size)


@pytest.mark.parametrize("seed", SEEDS)
def test_convolutions(seed):
    rng, rank, dtype = draw(seed, 1)
    size, n = sizes(rng, rank), int(rng.integers(1, 8))
    window, options = windows(rng, size)
    c, d, groups = channels(rng)
    with jax.enable_x64(True):
        x, kernel = arrays(rng, dtype, (n, *size, c), (*window, c // groups, d))
        agree(lambda x, k: ops.conv(x, k, groups=groups, **options), dtype, x, kernel)


@pytest.mark.parametrize("seed", SEEDS)
def test_transposed_convolutions(seed):
    rng, rank, dtype = draw(seed, 2)
    size, n = sizes(rng, rank), int(rng.integers(1, 8))
    window, options = windows(rng, size)
    options["padding"] = "same" if rng.random() < 0.5 else 0
    c, d, groups = channels(rng)
    with jax.enable_x64(True):
        x, kernel = arrays(rng, dtype, (n, *size, d), (*window, c // groups, d))
        if options["padding"] == 0:
            options["output_padding"] = tuple(int(rng.integers(0, s)) for s in options["stride"])
        agree(lambda x, k: ops.conv_transpose(x, k, groups=groups, **options), dtype, x, kernel)


@pytest.mark.parametrize("seed", SEEDS)
def test_pools(seed):
    rng, rank, dtype = draw(seed, 3)
    size, n, c = sizes(rng, rank), int(rng.integers(1, 8)), int(rng.integers(1, 20))
    window = tuple(int(rng.integers(1, min(m, 5) + 1)) for m in size)
    options = {
        "stride": None if rng.random() < 0.3 else tuple(int(s) for s in rng.integers(1, 4, rank)),
        "padding": "same" if rng.random() < 0.3 else tuple(int(rng.integers(k)) for k in window),
        "ceil": bool(rng.random() < 0.3),
    }
    if options["padding"] == "same":
        del options["ceil"]
    with jax.enable_x64(True):
        (x,) = arrays(rng, dtype, (n, *size, c))
        ties = jnp.round(x)  # the first of equals gets the gradient
        for values in (x, ties):
            agree(lambda x: ops.max_pool(x, window, **options), dtype, values)
        agree(lambda x: ops.avg_pool(x, window, **options), dtype, x)


@pytest.mark.parametrize("seed", SEEDS)
def test_resizing(seed):
    rng, rank, dtype = draw(seed, 4)
    size, n, c = sizes(rng, rank), int(rng.integers(1, 6)), int(rng.integers(1, 20))
    if rng.random() < 0.5:
        target = tuple(m * int(rng.integers(1, 4)) for m in size)
    else:
        target = tuple(int(m) for m in rng.integers(1, 14, rank))
    with jax.enable_x64(True):
        (x,) = arrays(rng, dtype, (n, *size, c))
        for method in ("nearest", "bilinear", "bicubic"):
            agree(lambda x, method=method: ops.resize(x, target, method), dtype, x)


@pytest.mark.parametrize("seed", SEEDS)
def test_normalisation(seed):
    rng, rank, dtype = draw(seed, 5)
    if dtype == "bfloat16":
        dtype = "float32"
    size, n, c = sizes(rng, rank), int(rng.integers(2, 9)), int(rng.integers(2, 40))
    with jax.enable_x64(True):
        (x,) = arrays(rng, dtype, (n, *size, c))
        for norm in (batch_norm(), layer_norm()):
            params, state = jax.tree.map(
                lambda leaf: leaf.astype(dtype), norm.init(jax.random.key(0), x)
            )

            def f(x, params, norm=norm, state=state):
                return norm.apply(params, state, x, train=True)[0]

            y, pull = jax.jit(lambda x, p: jax.vjp(f, x, p))(x, params)
            axes = tuple(range(x.ndim - 1)) if norm.recipe.name == "batch_norm" else (-1,)
            ct = np.cos(np.arange(x.size)).reshape(x.shape)
            dx, dparams = pull(jnp.asarray(ct, dtype))
            for one, other in zip((y, dx), normalised(x, ct, axes), strict=True):
                worst = np.abs(np.asarray(one, np.float64) - other).max()
                # few values in a mean make its quotient ill-conditioned
                assert worst <= BOUND[dtype] * max(np.abs(other).max(), 1) * 20
            sums = ct.reshape(-1, c).sum(0)
            np.testing.assert_allclose(
                dparams["bias"], sums, rtol=1e-4, atol=BOUND[dtype] * math.sqrt(x.size) * 10
            )


def normalised(x, ct, axes, eps=1e-5):
    """The normal form and its gradient, in float64."""
    x = np.asarray(x, np.float64)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    y = (x - mean) / np.sqrt(var + eps)
    mean_of = lambda v: v.mean(axes, keepdims=True)  # noqa: E731
    return y, (ct - mean_of(ct) - y * mean_of(ct * y)) / np.sqrt(var + eps)
