"""What perturbs and asks again equals captum's, which can ask any function."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import explain
from fcnn.core import serial
from fcnn.core.network import start_network
from fcnn.explain import check
from fcnn.explain.check.moving import moves
from fcnn.explain.surrogates import drawn
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    attr = pytest.importorskip("captum.attr")
    metrics = pytest.importorskip("captum.metrics")
    linear = pytest.importorskip("captum._utils.models.linear_model")

pytestmark = pytest.mark.filterwarnings("ignore")  # captum says what it costs

X = np.asarray(random.uniform(random.key(0), (3, 8, 7, 2)))
TARGET = np.array([2, 0, 1])
SEGMENTS = np.indices((8, 7)).sum(0) // 2 % 5
SIZE = (X.max((1, 2, 3)) - X.min((1, 2, 3))).reshape(-1, 1, 1, 1)


@pytest.fixture(scope="module")
def network():
    return start_network(serial(conv(3), jnp.tanh, flatten, dense(3)), random.key(1), X)


@pytest.fixture(scope="module")
def forward(network):
    return lambda x: torch.tensor(np.asarray(network(to_nhwc(x))))


def to_nhwc(x):
    return np.moveaxis(x.detach().numpy(), 1, -1).astype(np.float32)


def to_nchw(x):
    return torch.tensor(np.moveaxis(np.asarray(x, np.float32), -1, 1))


def inputs():
    return to_nchw(X), {"target": torch.tensor(TARGET)}


@pytest.mark.parametrize(("window", "stride"), [((3, 2), (2, 2)), ((4, 4), (1, 3))])
def test_occlusion_equals_captums(network, forward, window, stride):
    x, options = inputs()
    truth = attr.Occlusion(forward).attribute(
        x, sliding_window_shapes=(2, *window), strides=(2, *stride), baselines=0.3, **options
    )
    found = explain.occlusion(network, X, TARGET, window=window, stride=stride, baseline=0.3)
    np.testing.assert_allclose(found, to_nhwc(truth)[..., 0], atol=1e-5)


def test_ablation_equals_captums(network, forward):
    x, options = inputs()
    mask = torch.tensor(SEGMENTS)[None, None]
    truth = attr.FeatureAblation(forward).attribute(x, feature_mask=mask, **options)
    found = explain.feature_ablation(network, X, TARGET, segments=SEGMENTS)
    np.testing.assert_allclose(found, to_nhwc(truth)[..., 0], atol=1e-5)


def test_shapley_values_equal_captums(network, forward):
    x, options = inputs()
    mask = torch.tensor(SEGMENTS)[None, None]
    truth = attr.ShapleyValues(forward).attribute(x, feature_mask=mask, **options)
    found = explain.kernel_shap(network, X, TARGET, segments=SEGMENTS)
    size = np.bincount(SEGMENTS.flat)[SEGMENTS]
    np.testing.assert_allclose(found * size, to_nhwc(truth)[..., 0], atol=1e-5)


@pytest.mark.slow
def test_lime_equals_captums_on_the_same_draws(network, forward):
    kept = drawn(5, 40, 0)
    found = explain.lime(network, X, TARGET, segments=SEGMENTS, samples=40)
    for i in range(3):
        rows = iter(kept)

        def similarity(original, perturbed, interpretable, **_):
            distance = 1 - torch.cosine_similarity(
                torch.ones_like(interpretable, dtype=float), interpretable.to(float)
            )
            return torch.exp(-(distance**2) / (2 * 0.25**2))

        method = attr.Lime(
            forward,
            interpretable_model=linear.SkLearnRidge(alpha=1.0),
            similarity_func=similarity,
            perturb_func=lambda *_, rows=rows, **__: torch.tensor(next(rows)[None]).float(),
        )
        truth = method.attribute(
            to_nchw(X[i : i + 1]),
            target=int(TARGET[i]),
            feature_mask=torch.tensor(SEGMENTS)[None, None],
            n_samples=40,
        )
        np.testing.assert_allclose(found[i], to_nhwc(truth)[0, ..., 0], atol=1e-4)


@pytest.mark.parametrize("scaled", [True, False])
def test_infidelity_equals_captums_on_the_same_draws(network, forward, scaled):
    maps = explain.gradient_x_input(network, X, TARGET, channels=True)
    found = check.infidelity(network, X, maps, TARGET, samples=9, scaled=scaled)
    draws = iter(
        moves(np.random.Generator(np.random.Philox(0)).standard_normal, X.shape[1:], 0.1, 9)
    )

    def perturb(x):
        noise = to_nchw(SIZE * next(draws))
        return noise, x - noise

    x, options = inputs()
    truth = metrics.infidelity(
        forward, perturb, x, to_nchw(maps), n_perturb_samples=9, max_examples_per_batch=3,
        normalize=scaled, **options,
    )  # fmt: skip
    np.testing.assert_allclose(found.values, truth.numpy(), rtol=1e-3, atol=1e-7)


def test_sensitivity_equals_captums_on_the_same_draws(network):
    found = check.sensitivity(network, X, explain.saliency, TARGET, samples=4)
    rng = np.random.Generator(np.random.Philox(0))
    draws = iter(moves(lambda shape: rng.uniform(-1, 1, shape), X.shape[1:], 0.02, 4))

    def method(x, **_):
        x = x[0] if isinstance(x, tuple) else x
        maps = explain.saliency(network, to_nhwc(x), TARGET)
        return (torch.tensor(maps)[:, None],)

    truth = metrics.sensitivity_max(
        method,
        to_nchw(X),
        perturb_func=lambda x, *_: x + to_nchw(SIZE * next(draws)),
        n_perturb_samples=4,
        max_examples_per_batch=3,
    )
    np.testing.assert_allclose(found.values, truth.numpy(), rtol=1e-3)
