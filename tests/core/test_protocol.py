import jax
import jax.numpy as jnp
import pytest

from fcnn.core import Layer, as_layer, kind, pure, stateless

from .parts import counter, linear


def test_a_layer_unpacks_into_its_two_functions():
    init, apply = linear(3)
    params, state = init(jax.random.key(0), jnp.ones((2, 4)))
    y, state = apply(params, state, jnp.ones((2, 4)))
    assert y.shape == (2, 3)
    assert state == {}


def test_apply_can_be_jitted_with_train_static():
    layer = counter()
    params, state = layer.init(jax.random.key(0), jnp.ones(3))
    apply = jax.jit(layer.apply, static_argnames="train")
    _, state = apply(params, state, jnp.ones(3), train=True)
    _, state = apply(params, state, jnp.ones(3), train=False)
    assert state["calls"] == 1


def test_a_lifted_function_has_no_parameters_and_keeps_its_name():
    layer = pure(jnp.tanh)
    assert layer.init(jax.random.key(0), jnp.ones(2)) == ({}, {})
    assert kind(layer) == "tanh"


def test_kinds_are_the_names_of_the_functions_that_made_them():
    def gated(features):
        def apply(params, x):
            return x

        return stateless(lambda key, x: {}, apply)

    assert kind(gated(3)) == "gated"
    assert kind(linear(3)) == "linear"
    assert kind(as_layer(lambda x: x)) == "lambda"


def test_a_dict_of_layers_is_no_tree_of_functions():
    layers = {"a": linear(1)}
    assert jax.tree.leaves(layers) == [layers["a"]]


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="expected a layer or a function x -> y, got int"):
        as_layer(3)


def test_a_constructor_that_was_not_called_is_refused():
    with pytest.raises(TypeError, match=r"has to be called: linear\(...\)"):
        as_layer(linear)


def test_layers_are_immutable():
    with pytest.raises(AttributeError):
        linear(3).init = None


def test_repr_of_a_bare_pair_names_its_kind():
    assert repr(Layer(lambda key, x: ({}, {}), counter().apply)) == "<layer counter>"
