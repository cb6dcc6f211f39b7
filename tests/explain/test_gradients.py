import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import Network, cast, serial
from fcnn.core.network import start_network
from fcnn.explain import saliency
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.normalization import batch_norm
from fcnn.layers.regularization import dropout
from fcnn.layers.reshaping import flatten

MODEL = serial(conv(3), batch_norm(), jnp.tanh, dropout(0.5), flatten, dense(3))
X = np.asarray(random.uniform(random.key(0), (5, 6, 6, 2)))


@pytest.fixture(scope="module")
def network():
    return start_network(MODEL, random.key(1), X, input=jax.ShapeDtypeStruct((6, 6, 2), "float32"))


def slopes(network, x, target, step=1e-5):
    """Central differences of the target's output, for each pixel and channel of one example."""
    moved = step * np.eye(x.size).reshape(-1, *x.shape)
    run = jax.jit(network.layer.apply)
    up = np.asarray(run(network.params, network.state, x + moved)[0])[:, target]
    down = np.asarray(run(network.params, network.state, x - moved)[0])[:, target]
    return ((up - down) / (2 * step)).reshape(x.shape)


def test_saliency_equals_finite_differences_in_float64():
    with jax.enable_x64(True):
        x = np.random.default_rng(0).uniform(size=(2, 6, 6, 2))
        network = start_network(MODEL, random.key(1), x)
        network = network.replace(
            params=jax.tree.map(lambda p: p.astype("float64"), network.params)
        )
        maps = saliency(network, x, 1)
        truth = [np.abs(slopes(network, example, 1)).max(-1) for example in x]
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, truth, rtol=1e-5, atol=1e-9)


def test_the_predicted_class_is_explained_by_default(network):
    predicted = np.asarray(network(X).argmax(-1))
    np.testing.assert_allclose(saliency(network, X), saliency(network, X, predicted), rtol=1e-5)


def test_each_example_can_have_its_own_target(network):
    targets = [0, 2, 1, 0, 2]
    each = [saliency(network, X[i : i + 1], t)[0] for i, t in enumerate(targets)]
    np.testing.assert_allclose(saliency(network, X, targets), each, rtol=1e-5)
    assert not np.allclose(saliency(network, X, 0), saliency(network, X, 1))


def test_any_number_of_examples_gives_the_same_maps_and_compiles_once(network):
    sizes = []

    def counted(x):
        sizes.append(len(x))
        return x

    model = serial(count=counted, net=network.layer)
    counting = Network(model, {"net": network.params}, {"net": network.state})
    whole = saliency(network, X)
    for n in (1, 2, 3, 4, 5):
        np.testing.assert_allclose(saliency(counting, X[:n], batch_size=2), whole[:n], rtol=1e-5)
    assert sizes.count(2) == 1


def test_no_examples_give_no_maps(network):
    assert saliency(network, X[:0]).shape == (0, 6, 6)


def test_lists_integers_and_wide_floats_are_inputs(network):
    np.testing.assert_array_equal(saliency(network, X.tolist()), saliency(network, X))
    np.testing.assert_array_equal(saliency(network, np.float64(X)), saliency(network, X))
    pixels = np.arange(72, dtype=np.uint8).reshape(1, 6, 6, 2)
    np.testing.assert_array_equal(saliency(network, pixels), saliency(network, np.float32(pixels)))


def test_maps_of_half_precision_are_float32(network):
    half = start_network(serial(cast("bfloat16"), conv(2), flatten, dense(2)), random.key(0), X)
    assert saliency(half, X).dtype == np.float32
    assert saliency(network, jnp.bfloat16(X)).dtype == np.float32


def test_signals_have_maps_of_their_own_rank():
    x = random.normal(random.key(0), (2, 9, 3))
    assert saliency(
        start_network(serial(conv(2), flatten, dense(2)), random.key(1), x), x
    ).shape == (2, 9)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (X[0], r"takes inputs \[n, 6, 6, 2\], got \[6, 6, 2\]; for one example write x\[None\]"),
        (X[0, 0], r"expected images \[n, height, width, channels\], got \[6, 2\]"),
        (X[..., :1], r"takes inputs \[n, 6, 6, 2\], got \[5, 6, 6, 1\]"),
    ],
)
def test_inputs_of_the_wrong_shape_are_refused(network, x, text):
    with pytest.raises(ValueError, match=text):
        saliency(network, x)


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        (3, ValueError, "no output 3; the network has 3"),
        (-1, ValueError, "no output -1"),
        ([0, 1], ValueError, "one for each of 5 examples"),
        (0.5, TypeError, "an integer"),
        (True, TypeError, "an integer"),
        ("cat", TypeError, "an integer"),
    ],
)
def test_targets_that_are_no_outputs_are_refused(network, target, error, text):
    with pytest.raises(error, match=text):
        saliency(network, X, target)


def test_only_outputs_with_one_number_for_a_class_can_be_explained():
    with pytest.raises(ValueError, match=r"\[n, classes\] are explained, got float32\[1,6,6,4\]"):
        saliency(start_network(conv(4), random.key(0), X), X)


@pytest.mark.parametrize("size", [0, 2.0])
def test_a_batch_has_a_positive_size(network, size):
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        saliency(network, X, batch_size=size)


def test_strict_promotion_of_dtypes_passes(network):
    with jax.numpy_dtype_promotion("strict"):
        assert saliency(network, X[:2], [0, 1]).shape == (2, 6, 6)
