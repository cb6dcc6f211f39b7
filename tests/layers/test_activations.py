import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import Layer, build, registered, serial
from fcnn.layers import activations
from fcnn.layers.activations import activation, prelu

KEY = random.key(0)
NO_ACTIVATIONS = {
    *("initializers", "identity", "one_hot", "standardize", "dot_product_attention"),
    *("logsumexp", "logmeanexp", "log1mexp"),
    *("scaled_dot_general", "scaled_matmul", "get_scaled_dot_general_config"),
}
NAMES = sorted({n for n in dir(jax.nn) if not n.startswith("_")} - NO_ACTIVATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_of_jax_stands_as_a_layer_and_has_a_recipe(name):
    fn = getattr(activations, name)
    assert fn is getattr(jax.nn, name)
    model = build(serial(fn).recipe.to_json())
    x = jnp.linspace(-3, 3, 8).reshape(2, 4)
    np.testing.assert_array_equal(model.apply({}, {}, x)[0], fn(x))
    assert registered("function")[fn.__name__] is fn


@pytest.mark.parametrize(
    ("fn", "options", "torch_name"),
    [
        (activations.leaky_relu, {"negative_slope": 0.2}, "leaky_relu"),
        (activations.gelu, {"approximate": False}, "gelu"),
        (activations.elu, {"alpha": 0.5}, "elu"),
    ],
)
def test_an_activation_with_options_is_a_layer_of_its_own(fn, options, torch_name):
    layer = activation(fn, **options)
    (option,) = (f"{name}={value}" for name, value in options.items())
    assert repr(layer) == f"activation({fn.__name__}, {option})"
    x = np.linspace(-3, 3, 12, dtype="f4").reshape(3, 4)
    y = build(layer.recipe.to_json()).apply({}, {}, x)[0]
    np.testing.assert_allclose(y, fn(x, **options), rtol=1e-6)
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    options = {} if torch_name == "gelu" else options
    expected = getattr(torch.nn.functional, torch_name)(torch.tensor(x), **options)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_exact_gelu_is_x_times_the_normal_distribution():
    x = np.linspace(-4, 4, 17, dtype="f4")
    y, _ = activation(activations.gelu, approximate=False).apply({}, {}, x)
    expected = [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x.tolist()]
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


def test_options_that_a_function_does_not_have_are_refused():
    with pytest.raises(TypeError, match="leaky_relu: got an unexpected keyword argument 'slope'"):
        activation(activations.leaky_relu, slope=0.2)


@pytest.mark.parametrize("shared", [False, True])
def test_prelu_learns_the_slope_of_its_negative_side(shared):
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("f4")
    layer = prelu(0.1, shared=shared)
    params, state = layer.init(KEY, x)
    assert jax.tree.map(jnp.shape, params) == {"scale": (1 if shared else 3,)}
    scale = np.array([0.1] if shared else [0.1, -0.2, 0.3], "f4")

    def loss(params):
        return (layer.apply(params, state, x)[0] ** 2).sum()

    negative = np.minimum(x, 0)
    y, _ = layer.apply({"scale": scale}, state, x)
    np.testing.assert_allclose(y, np.maximum(x, 0) + scale * negative, rtol=1e-6)
    gradient = (2 * scale * negative**2).sum((0, 1), keepdims=shared).sum(-1 if shared else ())
    np.testing.assert_allclose(
        jax.grad(loss)({"scale": jnp.asarray(scale)})["scale"], np.ravel(gradient), rtol=1e-4
    )


def test_prelu_computes_in_the_dtype_of_its_input():
    x = jnp.ones((2, 3), "bfloat16")
    with jax.numpy_dtype_promotion("strict"):
        params, _ = prelu().init(KEY, x)
        assert prelu().apply(params, {}, x)[0].dtype == "bfloat16"
    assert params["scale"].dtype == "float32"
    assert isinstance(prelu(), Layer)
