import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn.core import build
from fcnn.layers import initializers
from fcnn.layers.convolution import conv, conv_transpose, depthwise_conv
from fcnn.layers.linear import dense

KEY = random.key(0)
X = jax.ShapeDtypeStruct((1, 8, 8, 4), "float32")


@pytest.mark.parametrize(
    "name",
    [
        *("he_normal", "he_uniform", "glorot_normal", "glorot_uniform"),
        *("lecun_normal", "lecun_uniform", "orthogonal"),
    ],
)
def test_numbers_are_those_of_jax(name):
    expected = getattr(jax.nn.initializers, name)()(KEY, (3, 2, 4, 6))
    ours = initializers.initializer(name)(KEY, (3, 2, 4, 6))
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["truncated_normal", "normal", "uniform"])
def test_variance_scaling_has_the_variance_it_says(mode, distribution):
    shape = (3, 3, 20, 90)
    fan = {"fan_in": 180, "fan_out": 810, "fan_avg": 495}[mode]
    draw = initializers.initializer(("variance_scaling", 2.0, mode, distribution))
    w = np.asarray(draw(KEY, shape), np.float64)
    assert abs(w.mean()) < 4 * math.sqrt(2 / fan / w.size)
    np.testing.assert_allclose(w.var(), 2 / fan, rtol=0.05)


def test_simple_ones_draw_what_they_say():
    draw = lambda choice: np.asarray(initializers.initializer(choice)(KEY, (50, 80)))  # noqa: E731
    assert (draw("zeros") == 0).all()
    assert (draw("ones") == 1).all()
    assert (draw(("constant", 0.5)) == 0.5).all()
    np.testing.assert_allclose(draw(("normal", 0.2)).std(), 0.2, rtol=0.05)
    cut = draw(("truncated_normal", 0.2))
    assert abs(cut).max() <= 0.4
    np.testing.assert_allclose(cut.std(), 0.2 * 0.8796, rtol=0.05)
    box = draw(("uniform", 0.3))
    assert -0.3 <= box.min() < -0.29
    assert 0.29 < box.max() <= 0.3


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (2, 3, 20), (6, 6)])
def test_orthogonal_has_columns_or_rows_at_right_angles(shape):
    w = np.asarray(initializers.orthogonal(KEY, shape)).reshape(-1, shape[-1])
    small = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 3, (2, 4)])
def test_identity_lets_the_channels_pass(kernel):
    layer = conv(4, kernel, kernel_init="identity", bias=False)
    params, state = layer.init(KEY, X)
    x = random.normal(KEY, X.shape)
    np.testing.assert_allclose(layer.apply(params, state, x)[0], x, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "fan"),
    [
        (lambda **how: dense(100, **how), 4),
        (lambda **how: conv(100, 3, **how), 36),
        (lambda **how: conv(100, 3, groups=2, **how), 18),
        (lambda **how: depthwise_conv(3, multiplier=30, **how), 9),
        (lambda **how: conv_transpose(100, 3, groups=2, **how), 450),
    ],
    ids=["dense", "conv", "groups", "depthwise", "transposed"],
)
def test_torch_draws_kernel_and_bias_within_the_fan_of_the_kernel(make, fan):
    params, _ = make(kernel_init="torch", bias_init="torch").init(KEY, X)
    bound = 1 / math.sqrt(fan)
    for leaf in params.values():
        assert 0.9 * bound < abs(leaf).max() <= bound
    assert params["bias"][:4].tolist() != params["kernel"].ravel()[:4].tolist()


def test_torch_itself_has_the_same_bounds():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module, fan in (
            (torch.nn.Conv2d(4, 100, 3, groups=2), 18),
            (torch.nn.ConvTranspose2d(4, 100, 3, groups=2), 450),
        ):
            for leaf in (module.weight, module.bias):
                assert 0.9 / math.sqrt(fan) < leaf.abs().max() <= 1 / math.sqrt(fan)


def test_keras_is_glorot_uniform_and_the_default_is_he_uniform():
    same = [conv(6, kernel_init=name) for name in ("keras", "glorot_uniform")]
    a, b = (layer.init(KEY, X)[0]["kernel"] for layer in same)
    np.testing.assert_array_equal(a, b)
    kernel_key, _ = random.split(KEY)
    kernel = conv(6).init(KEY, X)[0]["kernel"]
    np.testing.assert_array_equal(kernel, initializers.he_uniform(kernel_key, (3, 3, 4, 6)))
    kernel = dense(6).init(KEY, X)[0]["kernel"]
    np.testing.assert_array_equal(kernel, initializers.he_uniform(kernel_key, (4, 6)))


def test_a_recipe_holds_a_name_a_name_with_numbers_and_a_function():
    layer = conv(4, 3, kernel_init=initializers.he_normal, bias_init=("constant", 0.5))
    text = "conv(4, 3, kernel_init=initializers.he_normal, bias_init=('constant', 0.5))"
    assert repr(layer) == text
    again = build(layer.recipe.to_json())
    for a, b in zip(*(jax.tree.leaves(made.init(KEY, X)) for made in (layer, again)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_function_of_ones_own_serves_as_well():
    layer = dense(3, kernel_init=lambda key, shape, dtype: jnp.full(shape, 7, dtype))
    assert (layer.init(KEY, X)[0]["kernel"] == 7).all()
    assert layer.recipe is None


def test_what_is_no_initializer_is_refused_when_the_layer_is_made():
    with pytest.raises(ValueError, match="no initializer is called 'he'; there are zeros, ones"):
        conv(4, kernel_init="he")
    with pytest.raises(ValueError, match="no initializer is called 'nil'"):
        dense(4, bias_init=("nil", 3))
    with pytest.raises(TypeError, match=r"an initializer is a name, .* got 3"):
        dense(4, kernel_init=3)
    with pytest.raises(ValueError, match="no mode is called 'fan'; there are fan_in, fan_out"):
        dense(4, kernel_init=("variance_scaling", 1.0, "fan")).init(KEY, X)
    with pytest.raises(ValueError, match="no distribution is called 'cauchy'"):
        dense(4, kernel_init=("variance_scaling", 1.0, "fan_in", "cauchy")).init(KEY, X)
