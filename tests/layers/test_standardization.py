"""Standardised kernels against the formula in float64 numpy, and against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import build, serial, trees
from fcnn.layers import conv, dense, depthwise_conv, flatten, group_norm, gru, relu
from fcnn.layers.standardization import weight_standardized

KEY = jax.random.key(0)


def numbers(*shape, seed=0, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, shape).astype(np.float32)


def standardized(kernel, eps=1e-6):
    kernel = np.float64(kernel)
    axes = tuple(range(kernel.ndim - 1))
    centred = kernel - kernel.mean(axes, keepdims=True)
    return (centred / np.sqrt((centred**2).mean(axes, keepdims=True) + eps)).astype(np.float32)


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (conv(5), (2, 4, 4, 3)),
        (conv(4, 3, 2, groups=2), (2, 6, 4)),
        (depthwise_conv(3), (2, 4, 4, 3)),
        (dense(5), (2, 6)),
        (serial(conv(4), group_norm(2), relu, flatten, head=dense(3)), (2, 4, 4, 3)),
    ],
)
def test_it_is_the_body_on_kernels_of_mean_zero_and_variance_one(body, shape):
    layer, x = weight_standardized(body, eps=1e-3), numbers(*shape)
    params, state = layer.init(KEY, x)
    jax.tree.map(np.testing.assert_array_equal, params, body.init(KEY, x)[0])
    params = jax.tree.map(lambda p: numbers(*p.shape, seed=p.size, mean=2.0), params)
    by_hand = trees.nested(
        {
            path: standardized(leaf, 1e-3) if path.endswith("kernel") else leaf
            for path, leaf in trees.flat(params).items()
        }
    )
    expected, _ = body.apply(by_hand, state, x)
    np.testing.assert_allclose(layer.apply(params, state, x)[0], expected, rtol=1e-4, atol=1e-4)


def test_only_leaves_called_kernel_are_standardised():
    layer, x = weight_standardized(gru(3)), numbers(2, 4, 5)
    params, state = layer.init(KEY, x)
    by_hand = {**params, "kernel": standardized(params["kernel"])}
    assert {"recurrent_kernel", "bias"} < params.keys()
    expected, _ = gru(3).apply(by_hand, state, x)
    np.testing.assert_allclose(layer.apply(params, state, x)[0], expected, rtol=1e-5, atol=1e-5)


def test_scale_and_offset_of_a_kernel_do_not_matter():
    layer, x = weight_standardized(conv(4)), numbers(2, 5, 5, 3)
    params, state = layer.init(KEY, x)
    moved = {**params, "kernel": 5 * params["kernel"] + 3}
    y, z = (layer.apply(p, state, x)[0] for p in (params, moved))
    np.testing.assert_allclose(y, z, atol=1e-3)


def test_a_constant_kernel_has_finite_gradients():
    layer, x = weight_standardized(conv(4)), numbers(2, 5, 5, 3)
    params = {"kernel": jnp.ones((3, 3, 3, 4)), "bias": jnp.zeros(4)}
    gradients = jax.grad(lambda p: layer.apply(p, {}, x)[0].sum())(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_a_feature_of_one_weight_is_refused():
    model = serial(stem=weight_standardized(serial(conv(4, 1))))
    with pytest.raises(ValueError, match="stem: the features of conv1/kernel have one weight each"):
        model.init(KEY, numbers(2, 4, 4, 1))
    model.init(KEY, numbers(2, 4, 4, 2))


def test_options_that_suit_no_layer_are_refused():
    with pytest.raises(ValueError, match="eps keeps a division away from zero"):
        weight_standardized(conv(4), eps=0)
    with pytest.raises(TypeError, match="conv makes layers and has to be called"):
        weight_standardized(conv)


def test_the_recipe_holds_the_body():
    layer = weight_standardized(conv(4, bias=False), eps=1e-3)
    assert repr(layer) == "weight_standardized(conv(4, bias=False), eps=0.001)"
    assert build(layer.recipe.to_json()).recipe == layer.recipe


def test_outputs_and_gradients_equal_torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    functions = torch.nn.functional
    layer = weight_standardized(conv(6, 3, padding=1))
    x, w = numbers(2, 5, 5, 4), numbers(2, 5, 5, 6)
    params, state = layer.init(KEY, x)
    kernel = np.asarray(params["kernel"]).transpose(3, 2, 0, 1).copy()
    tk = torch.tensor(kernel, requires_grad=True)
    flat = functions.batch_norm(tk.reshape(1, 6, -1), None, None, training=True, eps=1e-6)
    ty = functions.conv2d(torch.tensor(x.transpose(0, 3, 1, 2)), flat.reshape_as(tk), padding=1)
    (ty * torch.tensor(w.transpose(0, 3, 1, 2))).sum().backward()
    y, pull = jax.vjp(lambda p: layer.apply(p, state, x)[0], params)
    np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 3, 1), atol=1e-4)
    gradient = pull(jnp.asarray(w))[0]["kernel"]
    np.testing.assert_allclose(gradient, tk.grad.numpy().transpose(2, 3, 1, 0), atol=2e-3)
