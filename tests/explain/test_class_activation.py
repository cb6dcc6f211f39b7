import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import cast, serial, wire
from fcnn.core.network import start_network
from fcnn.explain import (
    grad_cam,
    grad_cam_plus_plus,
    guided_backprop,
    guided_grad_cam,
    layer_cam,
    score_cam,
)
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.normalization import batch_norm
from fcnn.layers.reshaping import flatten

BODY = serial(conv(4, 3, 2), batch_norm(), jax.nn.relu, conv(6))
HEAD = serial(jnp.tanh, flatten, dense(3))
MODEL = serial(body=BODY, head=HEAD)
X = random.uniform(random.key(0), (5, 8, 8, 1))


@pytest.fixture(scope="module")
def network():
    return start_network(MODEL, random.key(1), X, input=jax.ShapeDtypeStruct((8, 8, 1), "float32"))


def cut_in_two(network, x, target):
    """The feature map of ``BODY``, and the gradient of the target's output by it."""
    features, _ = BODY.apply(network.params["body"], network.state.get("body", {}), x)

    def head(a):
        return HEAD.apply(network.params["head"], {}, a[None])[0][0]

    jacobian = np.asarray(jax.vmap(jax.jacrev(head))(features))
    return np.asarray(features), jacobian[np.arange(len(x)), target]


def grad_cam_by_hand(features, slope):
    maps = np.zeros(features.shape[:3])
    for i, channel in np.ndindex(len(features), features.shape[-1]):
        maps[i] += slope[i, :, :, channel].mean() * features[i, :, :, channel]
    return np.maximum(maps, 0)


def grad_cam_plus_plus_by_hand(features, slope):
    maps = np.zeros(features.shape[:3])
    for i, channel in np.ndindex(len(features), features.shape[-1]):
        a, g = features[i, :, :, channel], slope[i, :, :, channel]
        alpha = g**2 / (2 * g**2 + a.sum() * g**3)
        maps[i] += (alpha * np.maximum(g, 0)).sum() * a
    return np.maximum(maps, 0)


def layer_cam_by_hand(features, slope):
    return np.maximum((np.maximum(slope, 0) * features).sum(-1), 0)


@pytest.mark.parametrize(
    ("method", "by_hand"),
    [
        (grad_cam, grad_cam_by_hand),
        (grad_cam_plus_plus, grad_cam_plus_plus_by_hand),
        (layer_cam, layer_cam_by_hand),
    ],
)
def test_maps_equal_the_formula_on_a_network_cut_in_two(network, method, by_hand):
    target = np.array([0, 1, 2, 1, 0])
    maps = method(network, X, target, path="body", resize=False, batch_size=2)
    assert maps.dtype == np.float32
    assert (maps > 0).any()
    truth = by_hand(*cut_in_two(network, X, target))
    np.testing.assert_allclose(maps, truth, rtol=1e-4, atol=1e-6)


def test_score_cam_equals_its_formula_channel_by_channel(network):
    target = np.array([0, 1, 2, 1, 0])
    features, _ = cut_in_two(network, X, target)
    scores = np.zeros((6, 5))
    for channel in range(6):
        for i, x in enumerate(np.asarray(X)):
            mask = np.asarray(jax.image.resize(features[i, :, :, channel], (8, 8), "linear"))
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            scores[channel, i] = network((x * mask[..., None])[None])[0, target[i]]
    weights = np.exp(scores) / np.exp(scores).sum(0)
    truth = np.maximum(np.einsum("cn,nhwc->nhw", weights, features), 0)
    maps = score_cam(network, X, target, path="body", resize=False, batch_size=2)
    np.testing.assert_allclose(maps, truth, rtol=1e-4, atol=1e-6)
    assert score_cam(network, X, target, path="body").shape == (5, 8, 8)


def test_guided_grad_cam_is_the_product_of_both(network):
    maps = guided_grad_cam(network, X, 2, path="body/conv2", channels=True)
    details = guided_backprop(network, X, 2, channels=True)
    truth = details * grad_cam(network, X, 2, path="body/conv2")[..., None]
    np.testing.assert_allclose(maps, truth, atol=1e-6)
    summed = guided_grad_cam(network, X, 2, path="body/conv2")
    np.testing.assert_allclose(summed, truth.sum(-1), atol=1e-6)


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        (grad_cam, (9, 2)),
        pytest.param(score_cam, (9, 2), marks=pytest.mark.slow),
        pytest.param(grad_cam_plus_plus, (4, 6, 5, 2), marks=pytest.mark.slow),
    ],
)
def test_signals_and_volumes_have_maps_of_their_own_rank(method, shape):
    x = random.normal(random.key(0), (2, *shape))
    network = start_network(serial(conv(3, 3, 2), jax.nn.relu, flatten, dense(2)), random.key(1), x)
    maps = method(network, x)
    assert maps.shape == (2, *shape[:-1])
    assert np.isfinite(maps).all()


def test_maps_are_resized_bilinearly_to_the_input(network):
    small = grad_cam(network, X, 1, path="body", resize=False)
    large = grad_cam(network, X, 1, path="body")
    assert large.shape == (5, 8, 8)
    places = (np.arange(8) + 0.5) / 2 - 0.5
    weights = np.stack([np.interp(places, range(4), unit) for unit in np.eye(4)], 1)
    truth = np.einsum("ih,nhw,jw->nij", weights, small, weights)
    np.testing.assert_allclose(large, truth, rtol=1e-4, atol=1e-6)


def test_by_default_the_last_map_with_several_positions_is_explained():
    def mean(x):
        return x.mean((1, 2), keepdims=True)

    model = serial(conv(4), jax.nn.relu, conv(4), mean, flatten, dense(3))
    network = start_network(model, random.key(0), X)
    expected = grad_cam(network, X, path="conv2")
    np.testing.assert_allclose(grad_cam(network, X), expected, atol=1e-6)


@pytest.mark.slow
def test_the_predicted_class_is_explained_by_default(network):
    predicted = np.asarray(network(X).argmax(-1))
    np.testing.assert_allclose(grad_cam(network, X), grad_cam(network, X, predicted), atol=1e-6)


def test_an_inner_layer_of_a_composite_can_be_explained(network):
    assert grad_cam(network, X, path="body/conv1", resize=False).shape == (5, 4, 4)
    inner, whole = (grad_cam(network, X, path=path) for path in ("body/conv2", "body"))
    np.testing.assert_allclose(inner, whole, atol=1e-6)


def test_any_number_of_examples_gives_the_same_maps(network):
    whole = grad_cam(network, X, path="body")
    for n in (0, 1, 3):
        np.testing.assert_allclose(
            grad_cam(network, X[:n], path="body", batch_size=2), whole[:n], atol=1e-5
        )


def test_an_unknown_path_lists_the_feature_maps(network):
    with pytest.raises(
        ValueError, match=r"'conv9' is not the name of a feature map; there are body/conv1, .*body"
    ):
        grad_cam(network, X, path="conv9")
    with pytest.raises(ValueError, match="'head/dense1' is not the name"):
        grad_cam(network, X, path="head/dense1")


def test_a_layer_that_is_called_twice_has_no_map_of_its_own():
    def forward(f, x):
        return f.head(f.after(f.conv(f.conv(x))))

    net = wire(forward, conv=conv(1), after=jnp.tanh, head=serial(flatten, dense(2)))
    with pytest.raises(ValueError, match=r"there are after$"):
        grad_cam(start_network(net, random.key(0), X), X, path="conv")


def test_a_network_without_feature_maps_is_refused():
    with pytest.raises(ValueError, match="no layer has a feature map; there are none"):
        grad_cam(start_network(serial(flatten, dense(2)), random.key(0), X), X)


def test_inputs_of_the_wrong_shape_are_refused(network):
    with pytest.raises(ValueError, match=r"takes inputs \[n, 8, 8, 1\], got \[8, 8, 1\]"):
        grad_cam(network, X[0])


def test_strict_promotion_of_dtypes_passes(network):
    with jax.numpy_dtype_promotion("strict"):
        assert grad_cam(network, X[:2], [0, 1], path="body/relu1").shape == (2, 8, 8)


@pytest.mark.slow
def test_maps_of_half_precision_are_float32():
    model = serial(cast("bfloat16"), conv(4), jax.nn.relu, flatten, dense(3))
    maps = grad_cam(start_network(model, random.key(0), X), X)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
