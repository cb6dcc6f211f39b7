"""Every method finds the one thing that decides, in pictures made so that it is known.

Pictures are noise of dim colours. In half of them there is a small bright square somewhere, and the
class is whether there is. A network that tells them apart looks at the square, so what it says for
"there" has to come from there. It is a detector: a score for each position, of which the largest
counts. A score reads five by five pixels, so the pixels that decide reach as far as two beside the
square, which counts with a margin of two; of the picture that is a sixth.
"""

import numpy as np
import pytest
from optax import adam

from fcnn import explain
from fcnn.core import serial
from fcnn.explain import check
from fcnn.layers.activations import relu
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.pooling import global_max_pool
from fcnn.train import evaluate, fit

SIDE, SQUARE, MARGIN = 24, 6, 2
MODEL = serial(
    conv(8), relu, conv(8), relu, conv(1, 1), relu, global_max_pool, dense(1)
)  # fmt: skip
METHODS = (
    "saliency",
    "gradient_x_input",
    "smooth_grad",
    "var_grad",
    "integrated_gradients",
    "guided_backprop",
    "deconvnet",
    "deep_lift",
    "grad_cam",
    "grad_cam_plus_plus",
    "score_cam",
    "layer_cam",
    "guided_grad_cam",
    "occlusion",
    "feature_ablation",
    "lime",
    "kernel_shap",
)
QUICK = {"saliency", "guided_backprop", "grad_cam", "occlusion"}


def pictures(n, seed):
    """Pictures, whether there is a square, and where it would be."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 0.4, (n, SIDE, SIDE, 3)).astype(np.float32)
    y = rng.permutation(np.arange(n) % 2)
    corners = rng.integers(MARGIN, SIDE - SQUARE - MARGIN + 1, (n, 2))
    rows, columns = np.indices((SIDE, SIDE))
    far = np.stack([rows, columns], -1) - corners[:, None, None]
    inside = ((far >= 0) & (far < SQUARE)).all(-1)
    near = ((far >= -MARGIN) & (far < SQUARE + MARGIN)).all(-1)
    bright = rng.uniform(0.7, 1, (n, 1, 1, 3)).astype(np.float32)
    there = inside & (y == 1)[:, None, None]
    return np.where(there[..., None], bright, x), y, near


@pytest.fixture(scope="module")
def trained():
    x, y, _ = pictures(512, 1)
    network, _ = fit(
        MODEL, (x, y), loss="binary_cross_entropy", optimizer=adam(1e-2), epochs=8, seed=1,
        progress=False,
    )  # fmt: skip
    x, y, near = pictures(64, 2)
    assert evaluate(network, (x, y)).accuracy == 1
    there = np.flatnonzero(y == 1)[:8]
    return network, x[there], near[there]


def share(maps, near):
    """The part of the positive values that lies on the square, for each map."""
    positive = np.maximum(maps, 0)
    return (positive * near).sum((1, 2)) / positive.sum((1, 2))


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS],
)
def test_the_square_has_four_fifths_of_every_map(trained, name):
    network, x, near = trained
    maps = getattr(explain, name)(network, x, 0)
    assert share(maps, near).mean() >= 0.8


def test_chance_finds_no_square(trained):
    network, x, near = trained
    assert share(check.random_maps(network, x), near).max() < 0.25


def edges(network, x, target=None):
    """A map that shows the square, too, but asks no network."""
    return np.abs(np.gradient(x, axis=(1, 2))).sum((0, -1))


def test_an_edge_detector_finds_the_square_and_the_sanity_test_finds_it_out(trained):
    network, x, near = trained
    assert share(edges(network, x), near).mean() > share(np.ones(near.shape), near).mean()
    assert not check.randomisation(network, x, edges).passed


@pytest.mark.parametrize("name", ["saliency", pytest.param("grad_cam", marks=pytest.mark.slow)])
def test_maps_that_follow_the_network_pass_the_sanity_test(trained, name):
    network, x, _ = trained
    assert check.randomisation(network, x, getattr(explain, name)).passed
