import jax
import jax.numpy as jnp
import numpy as np

from fcnn.core import Network, serial
from fcnn.core.network import start_network

from .parts import counter, linear

X = jnp.ones((2, 3))


def make():
    layer = serial(linear(4), counter())
    return start_network(layer, jax.random.key(0), X, classes=tuple("abcd"))


def test_a_network_gives_its_output_in_evaluation_mode():
    network = make()
    y, _ = network.layer.apply(network.params, network.state, X)
    np.testing.assert_array_equal(network(X), y)


def test_its_values_are_leaves_and_the_rest_is_static():
    network = make()
    assert len(jax.tree.leaves(network)) == 3
    doubled = jax.tree.map(lambda leaf: 2 * leaf, network)
    assert isinstance(doubled, Network)
    assert doubled.classes == network.classes
    np.testing.assert_allclose(doubled(X), 2 * network(X), rtol=1e-6)


def test_it_passes_through_jit_grad_and_vmap():
    network = make()
    np.testing.assert_allclose(jax.jit(lambda n, x: n(x))(network, X), network(X), rtol=1e-6)
    gradient = jax.grad(lambda n: n(X).sum(), allow_int=True)(network)
    assert gradient.params["linear1"]["bias"].shape == (4,)
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), network)
    assert jax.vmap(lambda n: n(X))(pair).shape == (2, 2, 4)


def test_replace_changes_only_what_is_named():
    network = make()
    renamed = network.replace(classes=("w", "x", "y", "z"))
    assert renamed.classes == ("w", "x", "y", "z")
    assert renamed.params is network.params


def test_repr_shows_the_code_the_size_and_the_classes():
    assert repr(make()) == "<network serial(linear(4), counter()), 16 parameters, 4 classes>"
