import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, random

from fcnn.core import remat, repeat, serial, wire
from fcnn.core.network import start_network
from fcnn.explain import deconvnet, gradient_x_input, guided_backprop
from fcnn.layers import conv, dense, flatten, hard_swish, relu, relu6, silu, tanh

X = np.asarray(random.normal(random.key(0), (3, 2, 2, 3)))


def started(model, key=1):
    return start_network(model, random.key(key), X)


def by_hand(network, x, target, guided):
    """Layer by layer in numpy: flatten, dense, relu, dense, tanh, dense, relu, dense."""
    layers = [network.params[f"dense{i}"] for i in (1, 2, 3, 4)]
    kernels = [np.asarray(layer["kernel"], np.float64) for layer in layers]
    biases = [np.asarray(layer["bias"], np.float64) for layer in layers]
    y = x.reshape(len(x), -1).astype(np.float64)
    inputs = []
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        inputs.append(y @ kernel + bias)
        y = [lambda z: np.maximum(z, 0), np.tanh, lambda z: np.maximum(z, 0), lambda z: z][i](
            inputs[i]
        )
    g = np.zeros_like(inputs[3])
    g[np.arange(len(x)), target] = 1
    for i in (3, 2, 1, 0):
        if i in (0, 2):
            g = np.maximum(g, 0) * (inputs[i] > 0 if guided else 1)
        elif i == 1:
            g = g * (1 - np.tanh(inputs[i]) ** 2)
        g = g @ kernels[i].T
    return g.reshape(x.shape)


@pytest.mark.parametrize(("method", "guided"), [(guided_backprop, True), (deconvnet, False)])
def test_maps_equal_the_rules_of_the_papers_in_numpy(method, guided):
    model = serial(flatten, dense(7), relu, dense(6), tanh, dense(5), relu, dense(4))
    network = started(model)
    target = np.array([3, 0, 2])
    truth = by_hand(network, X, target, guided)
    maps = method(network, X, target, channels=True)
    np.testing.assert_allclose(maps, truth, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(method(network, X, target), truth.sum(-1), rtol=1e-4, atol=1e-6)
    assert not np.allclose(maps, gradient_x_input(network, X, target, channels=True) / X)


def called(f, x):
    return relu(f.conv(x))


def compared(f, x):
    return jnp.maximum(0.0, f.conv(x))


def doubled(f, x):
    y = relu(jnp.stack([f.conv(x), f.conv(x)]))
    return y.mean(0)


BODIES = {
    "a layer": lambda: serial(conv=conv(3), relu=relu),
    "called in a wire": lambda: wire(called, conv=conv(3)),
    "written as a maximum": lambda: wire(compared, conv=conv(3)),
    "in a function that is jitted": lambda: serial(conv=conv(3), relu=jax.jit(lambda x: relu(x))),
    "mapped": lambda: serial(conv=conv(3), relu=jax.vmap(relu)),
    "on an array with more axes": lambda: wire(doubled, conv=conv(3)),
    "computed again": lambda: remat(serial(conv=conv(3), relu=relu)),
    "capped": lambda: serial(conv=conv(3), relu=lambda x: relu6(x / 100) * 100),
}


@functools.cache
def guided_through(way):
    model = serial(body=BODIES[way](), conv=conv(3), relu=relu, flatten=flatten, dense=dense(2))
    return guided_backprop(started(model), X, 1)


@pytest.mark.parametrize("way", [*BODIES][1:])
def test_a_relu_is_found_however_it_is_written(way):
    maps, truth = guided_through(way), guided_through("a layer")
    np.testing.assert_allclose(maps, truth, rtol=1e-4, atol=1e-6)


def test_relus_in_a_repeated_body_are_found():
    looped = started(serial(body=repeat(serial(conv=conv(3), relu=relu), 2), f=flatten, d=dense(2)))
    parts = [jax.tree.map(lambda leaf, i=i: leaf[i], looped.params["body"]) for i in (0, 1)]
    body = serial(a=serial(conv=conv(3), relu=relu), b=serial(conv=conv(3), relu=relu))
    plain = started(serial(body=body, f=flatten, d=dense(2)))
    plain = plain.replace(
        params={"body": dict(zip("ab", parts, strict=True)), "d": looped.params["d"]}
    )
    np.testing.assert_allclose(
        guided_backprop(looped, X, 0), guided_backprop(plain, X, 0), atol=1e-6
    )


@pytest.mark.slow
def test_other_activations_keep_their_gradient():
    model = serial(conv(3), hard_swish, conv(3), silu, conv(3), relu, flatten, dense(2))
    network = started(model)
    head = network.layer.apply

    def logits(x):
        return head(network.params, network.state, x)[0][:, 1].sum()

    def until_relu(x):
        names = ("conv1", "conv2", "conv3")
        for name, act in zip(names, (hard_swish, silu, lambda y: y), strict=True):
            x = act(conv(3).apply(network.params[name], {}, x)[0])
        return x

    y, back = jax.vjp(until_relu, X)
    kernel = network.params["dense1"]["kernel"][:, 1].reshape(y.shape[1:])
    (truth,) = back(jnp.where(y > 0, jnp.maximum(jnp.broadcast_to(kernel, y.shape), 0), 0))
    maps = guided_backprop(network, X, 1, channels=True)
    np.testing.assert_allclose(maps, truth, rtol=1e-4, atol=1e-6)
    assert not np.allclose(maps, jax.grad(logits)(X))


@pytest.mark.parametrize("act", [tanh, hard_swish, silu])
def test_a_network_without_relu_is_refused(act):
    network = started(serial(conv(3), act, flatten, dense(2)))
    with pytest.raises(ValueError, match="the network has no relu"):
        guided_backprop(network, X)


def test_a_relu_that_cannot_be_reached_is_refused_by_its_place():
    def looped(x):
        return lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, relu(s[1])), (0, x))[1]

    network = started(serial(conv(3), loop=looped, flatten=flatten, d=dense(2)))
    with pytest.raises(ValueError, match=r"a relu inside while in loop cannot get another"):
        guided_backprop(network, X)


def test_any_number_of_examples_and_strict_promotion():
    network = started(serial(conv(3), relu, flatten, dense(2)))
    with jax.numpy_dtype_promotion("strict"):
        whole = guided_backprop(network, X, [0, 1, 1])
    for n in (0, 1, 3):
        maps = guided_backprop(network, X[:n], [0, 1, 1][:n], batch_size=2)
        np.testing.assert_allclose(maps, whole[:n], atol=1e-6)
