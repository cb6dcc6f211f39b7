import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import explain
from fcnn.core import Network, cast, serial
from fcnn.core.network import start_network
from fcnn.explain import feature_ablation, occlusion
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.reshaping import flatten

MODEL = serial(conv(3), jnp.tanh, flatten, dense(3))
X = np.asarray(random.uniform(random.key(0), (3, 7, 6, 2)))


@pytest.fixture(scope="module")
def network():
    return start_network(MODEL, random.key(1), X, input=jax.ShapeDtypeStruct((7, 6, 2), "float32"))


def falls(network, x, target, hidden, baseline):
    """What hiding positions ``[m, h, w]`` takes from an output, one picture after another."""
    pictures = [x] + [np.where(mask[..., None], baseline, x) for mask in hidden]
    outputs = np.asarray(network(jnp.asarray(pictures, jnp.float32)), np.float64)[:, target]
    return outputs[0] - outputs[1:]


def by_hand(network, x, target, window, stride, baseline=0.0):
    """A loop over windows; the last ones are cut off at the end."""
    masks = []
    rows = range(0, x.shape[0] - window[0] + stride[0], stride[0])
    columns = range(0, x.shape[1] - window[1] + stride[1], stride[1])
    for i in rows:
        for j in columns:
            mask = np.zeros(x.shape[:2], bool)
            mask[i : i + window[0], j : j + window[1]] = True
            masks.append(mask)
    drops = falls(network, x, target, masks, baseline)
    return sum(d * m for d, m in zip(drops, masks, strict=True)) / sum(np.int64(m) for m in masks)


@pytest.mark.parametrize(
    ("window", "stride"),
    [
        ((3, 2), (2, 2)),
        *(
            pytest.param(*sides, marks=pytest.mark.slow)
            for sides in [((3, 3), (1, 1)), ((2, 4), (2, 1)), ((7, 6), (1, 1))]
        ),
    ],
)
def test_occlusion_equals_a_plain_loop(network, window, stride):
    target = [2, 0, 1]
    maps = occlusion(network, X, target, window=window, stride=stride, batch_size=16)
    assert maps.dtype == np.float32
    for x, t, found in zip(X, target, maps, strict=True):
        np.testing.assert_allclose(
            found, by_hand(network, x, t, window, stride), rtol=1e-4, atol=1e-6
        )


def test_the_baseline_is_a_number_a_colour_or_pictures(network):
    options = {"window": 3, "stride": 2, "batch_size": 16}
    for baseline in (0.5, np.array([0.2, 0.9]), X.mean((1, 2), keepdims=True), X[::-1]):
        maps = occlusion(network, X, 1, baseline=baseline, **options)
        each = np.broadcast_to(baseline, X.shape)
        truth = [by_hand(network, x, 1, (3, 3), (2, 2), f) for x, f in zip(X, each, strict=True)]
        np.testing.assert_allclose(maps, truth, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(occlusion(network, X, 1, baseline=X, **options), 0)


def test_by_default_windows_are_an_eighth_of_the_input_and_overlap_by_half():
    x = random.uniform(random.key(0), (1, 16, 32, 1))
    network = start_network(serial(flatten, dense(2)), random.key(1), x)
    found = occlusion(network, x, 0, window=(2, 4), stride=(1, 2))
    np.testing.assert_array_equal(occlusion(network, x, 0), found)


def test_ablation_gives_each_segment_what_hiding_it_takes(network):
    segments = np.stack([np.arange(42).reshape(7, 6) // 9 * 5 - 3 + i for i in range(3)])
    target = [2, 0, 1]
    maps = feature_ablation(network, X, target, segments=segments, baseline=0.3, batch_size=16)
    for x, t, parts, found in zip(X, target, segments, maps, strict=True):
        masks = np.stack([parts == label for label in np.unique(parts)])
        truth = np.tensordot(falls(network, x, t, masks, 0.3), masks, 1)
        np.testing.assert_allclose(found, truth, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_maps_of_a_linear_network_are_its_weights_times_the_input():
    x = random.normal(random.key(0), (2, 4, 5, 2))
    network = start_network(serial(flatten, dense(3)), random.key(1), x)
    kernel = np.asarray(network.params["dense1"]["kernel"]).reshape(4, 5, 2, 3)
    truth = (kernel[..., 1] * x).sum(-1)
    for found in (
        occlusion(network, x, 1, window=1, stride=1),
        feature_ablation(network, x, 1, segments=np.arange(20).reshape(4, 5)),
    ):
        np.testing.assert_allclose(found, truth, atol=1e-5)


@pytest.mark.slow
def test_the_predicted_class_is_explained_by_default(network):
    predicted = np.asarray(network(X).argmax(-1))
    for method in (occlusion, feature_ablation):
        options = {} if method is occlusion else {"segments": 6}
        np.testing.assert_array_equal(
            method(network, X, **options), method(network, X, predicted, **options)
        )


def test_all_windows_and_numbers_of_examples_share_one_program(network):
    traced = []

    def counted(x):
        traced.append(x.shape)
        return x

    model = serial(count=counted, net=network.layer)
    counting = Network(model, {"net": network.params}, {})
    occlusion(counting, X, window=3, batch_size=8)
    programs = traced.count((8, 7, 6, 2))
    assert programs == 2  # the outputs as they are, and all windows
    for n, window, stride, baseline in ((1, 2, 1, 0.0), (2, 5, 3, 1.0), (3, (7, 1), 1, 0.5)):
        occlusion(counting, X[:n], window=window, stride=stride, baseline=baseline, batch_size=8)
    assert traced.count((8, 7, 6, 2)) == programs


def test_any_number_of_examples_gives_the_same_maps(network):
    whole = occlusion(network, X, 1, window=3, batch_size=16)
    for n in (0, 1, 2):
        np.testing.assert_allclose(
            occlusion(network, X[:n], 1, window=3, batch_size=16), whole[:n], atol=1e-6
        )
    assert feature_ablation(network, X[:0], 1).shape == (0, 7, 6)


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        (feature_ablation, (2, 9, 3)),
        pytest.param(occlusion, (2, 4, 3, 5, 2), marks=pytest.mark.slow),
    ],
)
def test_signals_and_volumes_have_maps_of_their_own_rank(method, shape):
    x = random.normal(random.key(0), shape)
    network = start_network(serial(flatten, dense(2)), random.key(1), x)
    assert method(network, x).shape == shape[:-1]


@pytest.mark.slow
def test_maps_of_half_precision_are_float32():
    half = start_network(serial(cast("bfloat16"), flatten, dense(2)), random.key(0), X)
    assert occlusion(half, X).dtype == feature_ablation(half, X).dtype == np.float32
    assert occlusion(half, jnp.bfloat16(X)).dtype == np.float32


def test_strict_promotion_of_dtypes_passes(network):
    with jax.numpy_dtype_promotion("strict"):
        assert occlusion(network, X, [0, 1, 2]).shape == (3, 7, 6)
        assert feature_ablation(network, X, [0, 1, 2], segments=4).shape == (3, 7, 6)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"window": 8}, r"a window of 8 does not fit an input of \[7, 6\]"),
        ({"window": 0}, "window must be a positive integer"),
        ({"window": (3, 3, 3)}, "has 3 entries and the input 2 spatial dimensions"),
        ({"window": 2, "stride": 3}, "a stride of 3 leaves gaps between windows of 2"),
        (
            {"baseline": [0, 0, 0]},
            r"one input \[7, 6, 2\], or one for each of 3 examples, got shape \[3\]",
        ),
        ({"target": 3}, "no output 3; the network has 3"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
    ],
)
def test_options_that_suit_no_input_are_refused(network, options, text):
    with pytest.raises(ValueError, match=text):
        occlusion(network, X, **options)


@pytest.mark.parametrize(
    ("segments", "error", "text"),
    [
        (0, ValueError, "count must be a positive integer, got 0"),
        (np.zeros((7, 6)), TypeError, "integers"),
        (np.zeros((6, 7), int), ValueError, r"the shape \[7, 6\], or \[3, 7, 6\] .* got \[6, 7\]"),
    ],
)
def test_segments_that_suit_no_input_are_refused(network, segments, error, text):
    with pytest.raises(error, match=text):
        feature_ablation(network, X, segments=segments)


@pytest.mark.parametrize(
    "method", ["occlusion", "feature_ablation", "lime", "kernel_shap", "deep_lift"]
)
def test_every_method_refuses_a_baseline_of_another_shape_alike(network, method):
    with pytest.raises(ValueError, match=r"a baseline is a number, .* got shape \[3\]"):
        getattr(explain, method)(network, X, 0, baseline=[0, 0, 0])
