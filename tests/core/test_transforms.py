import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import cast, frozen, remat, repeat, serial, trees, up_to

from .parts import counter, linear, noise

X = jnp.ones((2, 3))
KEY = jax.random.key(0)


def test_repeat_equals_the_copies_in_a_row():
    layer = repeat(serial(linear(3), jnp.tanh), 4)
    params, state = layer.init(KEY, X)
    y, _ = layer.apply(params, state, X)
    x = X
    for i in range(4):
        x = jnp.tanh(x @ params["linear1"]["kernel"][i] + params["linear1"]["bias"][i])
    np.testing.assert_allclose(y, x, rtol=1e-5)
    assert params["linear1"]["kernel"].shape == (4, 3, 3)


def test_repeated_copies_have_values_state_and_noise_of_their_own():
    layer = repeat(serial(linear(3), counter(), noise()), 3)
    params, state = layer.init(KEY, X)
    kernels = params["linear1"]["kernel"]
    assert not np.allclose(kernels[0], kernels[1])
    y, after = layer.apply(params, state, X, train=True, key=KEY)
    np.testing.assert_array_equal(after["counter1"]["calls"], [1, 1, 1])
    assert not np.allclose(y, layer.apply(params, state, X)[0])


def test_repeat_refuses_a_body_that_changes_the_shape():
    with pytest.raises(ValueError, match=r"float32\[2,3\] became float32\[2,4\]"):
        repeat(linear(4), 2).init(KEY, X)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_repeat_refuses_a_count_below_one(n):
    with pytest.raises(ValueError, match="n must be a positive integer"):
        repeat(linear(3), n)


def test_remat_changes_no_value_and_no_gradient():
    plain, again = serial(linear(3), jnp.tanh), remat(serial(linear(3), jnp.tanh))
    params, state = plain.init(KEY, X)

    def loss(layer):
        return lambda params: layer.apply(params, state, X)[0].sum()

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
        jax.value_and_grad(loss(plain))(params),
        jax.value_and_grad(loss(again))(params),
    )


def test_frozen_has_no_gradient_and_stays_in_evaluation_mode():
    layer = frozen(serial(linear(3), counter(), noise()))
    params, state = layer.init(KEY, X)

    def loss(params):
        y, after = layer.apply(params, state, X, train=True)
        return y.sum(), after

    (_, after), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    assert after["counter1"]["calls"] == 0
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradient))
    assert trees.count(gradient) == 12


def test_cast_sets_the_precision_of_what_follows():
    layer = serial(cast("bfloat16"), linear(3), cast(jnp.float32))
    params, state = layer.init(KEY, X)
    assert params["linear1"]["kernel"].dtype == jnp.float32
    y, _ = layer.apply(params, state, X)
    assert y.dtype == jnp.float32
    assert y[0, 0] == y[0, 0].astype(jnp.bfloat16).astype(jnp.float32)


def test_cast_refuses_what_is_no_dtype():
    with pytest.raises(TypeError, match="float33"):
        cast("float33")


def test_plain_functions_can_be_transformed():
    for layer in (repeat(jnp.tanh, 1), remat(jnp.tanh), frozen(jnp.tanh)):
        params, state = layer.init(KEY, X)
        assert (params, state) == ({}, {})
        np.testing.assert_allclose(layer.apply(params, state, X)[0], jnp.tanh(X), rtol=1e-6)


@pytest.mark.parametrize("transform", [remat, frozen, lambda body: repeat(body, 2)])
def test_a_constructor_that_was_not_called_cannot_be_transformed(transform):
    with pytest.raises(TypeError, match="has to be called"):
        transform(linear)


def test_a_count_may_be_an_integer_of_numpy():
    layer = repeat(linear(3), n=np.int64(2))
    assert layer.init(KEY, X)[0]["kernel"].shape == (2, 3, 3)
    assert repr(layer) == "repeat(linear(3), n=2)"


def test_up_to_counts_paths_from_its_own_layer_wherever_it_stands():
    body = serial(linear(3), jnp.tanh, linear(2))
    cut = up_to(body, "tanh1")
    params, state = body.init(KEY, X)
    expected, _ = cut.apply(params, state, X)
    for outer in (serial(inner=cut), serial(a=serial(b=cut), c=jnp.tanh)):
        nested, _ = outer.init(KEY, X)
        nested = jax.tree.unflatten(jax.tree.structure(nested), jax.tree.leaves(params))
        y, _ = outer.apply(nested, state, X)
        np.testing.assert_allclose(y, expected if "inner" in nested else jnp.tanh(expected))
    with pytest.raises(ValueError, match="there are linear1, tanh1, linear2"):
        serial(inner=up_to(body, "tanh2")).init(KEY, X)
