import jax
import numpy as np
import pytest

from fcnn.ops import native
from fcnn.ops.cpu import grouped
from fcnn.ops.geometry import geometry


@pytest.mark.parametrize("groups", [3, 8])
@pytest.mark.parametrize(("channels", "features"), [(1, 2), (4, 4), (20, 9)])
@pytest.mark.parametrize(
    "axes",
    [
        {"size": (9,), "window": (3,), "stride": (2,), "dilation": (1,), "before": (1,)},
        {"size": (5, 7), "window": (1, 1), "stride": (1, 1), "dilation": (1, 1), "before": (0, 0)},
        {"size": (7, 8), "window": (3, 2), "stride": (1, 2), "dilation": (2, 1), "before": (2, 0)},
    ],
)
def test_equals_lax(groups, channels, features, axes):
    count = tuple(
        (n + b - (k - 1) * d - 1) // s + 1 for n, k, s, d, b in zip(*axes.values(), strict=True)
    )
    at = geometry(**axes, count=count, groups=groups)
    random = np.random.default_rng(0)
    x = random.standard_normal((3, *at.size, groups * channels))
    kernel = random.standard_normal((*at.window, channels, groups * features))
    g = random.standard_normal((3, *count, groups * features))
    for name, pair in (
        ("output", (x, kernel)),
        ("input_gradient", (g, kernel)),
        ("kernel_gradient", (x, g)),
    ):
        with jax.enable_x64(True):
            want = np.asarray(getattr(native, name)(*pair, at))
            for dtype, bound in ((np.float64, 1e-12), (np.float32, 1e-5)):
                run = jax.jit(getattr(grouped, name), static_argnums=2)
                got = np.asarray(run(*(a.astype(dtype) for a in pair), at))
                assert got.shape == want.shape
                assert np.abs(got - want).max() <= bound * np.abs(want).max()
