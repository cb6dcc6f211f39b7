import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import Network, cast, serial
from fcnn.core.network import start_network
from fcnn.explain import gradient_x_input, saliency, smooth_grad, var_grad
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


@pytest.mark.slow
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


def squares():
    """Half the sum of squares of the pixels, and a sum of all: gradients ``x`` and 1."""

    def outputs(x):
        return jnp.stack([(x**2).sum((1, 2, 3)) / 2, x.sum((1, 2, 3))], -1)

    return start_network(serial(outputs), random.key(0), X)


def test_gradient_x_input_is_signed_and_summed_over_channels(network):
    def outputs(x):
        return network.layer.apply(network.params, network.state, x)[0]

    targets = np.array([0, 2, 1, 0, 2])
    jacobian = np.asarray(jax.jacrev(outputs)(X))  # [n, classes, n, h, w, c]
    truth = np.stack([jacobian[i, t, i] * X[i] for i, t in enumerate(targets)])
    maps = gradient_x_input(network, X, targets, channels=True)
    np.testing.assert_allclose(maps, truth, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient_x_input(network, X, targets), truth.sum(-1), atol=1e-5)


def test_noise_moves_the_gradient_as_its_formula_says():
    spread = 0.2 * (X.max((1, 2, 3), keepdims=True) - X.min((1, 2, 3), keepdims=True))
    options = {"noise": 0.2, "samples": 400, "channels": True}
    network = squares()
    mean, squared = (smooth_grad(network, X, 0, squared=s, **options) for s in (False, True))
    variance = var_grad(network, X, 0, **options)
    np.testing.assert_allclose(mean, X, atol=5 * spread.max() / 20)  # five standard errors
    np.testing.assert_allclose((variance / spread**2).mean(), 1, atol=0.02)
    np.testing.assert_allclose(squared, mean**2 + variance, rtol=1e-4)
    np.testing.assert_allclose(smooth_grad(network, X, 0, **options | {"noise": 0}), X, rtol=1e-5)


@pytest.mark.slow
def test_the_error_of_smooth_grad_falls_with_the_root_of_the_samples():
    network = squares()

    def error(samples):
        maps = smooth_grad(network, X, 0, samples=samples, channels=True)
        return np.sqrt(((maps - X) ** 2).mean())

    assert 8 < error(4) / error(400) < 12.5


@pytest.mark.slow
def test_a_straight_output_has_no_variance():
    network = squares()
    np.testing.assert_allclose(smooth_grad(network, X, 1), np.full((5, 6, 6), 2), rtol=1e-6)
    np.testing.assert_allclose(var_grad(network, X, 1), np.zeros((5, 6, 6)), atol=1e-10)


def test_an_example_has_the_same_noise_in_any_batch(network):
    whole = smooth_grad(network, X, samples=3, batch_size=2)
    for n in (1, 2, 3):
        maps = smooth_grad(network, X[:n], samples=3, batch_size=2)
        np.testing.assert_allclose(maps, whole[:n], atol=1e-6)
    np.testing.assert_allclose(smooth_grad(network, X, samples=3), whole, atol=1e-6)
    assert not np.allclose(smooth_grad(network, X, samples=3, seed=1, batch_size=2), whole)
    empty = smooth_grad(network, X[:0], samples=3, channels=True, batch_size=2)
    assert empty.shape == (0, 6, 6, 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"samples": 0}, "samples must be a positive integer"),
        ({"noise": -0.1}, "noise must be a number from 0 up, got -0.1"),
        ({"noise": float("nan")}, "noise must be a number from 0 up"),
    ],
)
def test_options_of_the_noise_are_checked(network, options, text):
    with pytest.raises(ValueError, match=text):
        smooth_grad(network, X, **options)


@pytest.mark.slow
def test_noise_passes_strict_promotion_and_half_precision(network):
    with jax.numpy_dtype_promotion("strict"):
        maps = smooth_grad(network, X[:2], [0, 1], samples=2, noise=0)
    half = smooth_grad(network, jnp.bfloat16(X[:2]), [0, 1], samples=2, noise=0)
    np.testing.assert_allclose(half, maps, atol=0.05 * np.abs(maps).max())
