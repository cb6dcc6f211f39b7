import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import concat, identity, lazy, parallel, residual, serial

from .parts import linear

X = jnp.arange(6.0).reshape(2, 3)
KEY = jax.random.key(0)


def run(layer, x=X):
    params, state = layer.init(KEY, x)
    return params, layer.apply(params, state, x)[0]


def test_unnamed_layers_are_numbered_by_kind():
    params, _ = run(serial(linear(4), jnp.tanh, linear(5), head=linear(2)))
    assert list(params) == ["linear1", "linear2", "head"]


def test_serial_runs_in_the_order_given():
    _, y = run(serial(lambda x: x + 1, lambda x: x * 10))
    np.testing.assert_array_equal(y, (X + 1) * 10)


def test_two_layers_cannot_have_one_name():
    with pytest.raises(ValueError, match="two layers are called linear1"):
        serial(linear(4), linear1=linear(4))


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="no layers given"):
        serial()


def test_the_position_of_what_is_no_layer_is_said():
    with pytest.raises(TypeError, match="layer 2 of 2: expected a layer or a function"):
        serial(linear(3), "relu")


def test_parallel_gives_each_layer_its_own_input():
    _, (a, b) = run(parallel(identity, lambda x: -x), (X, X))
    np.testing.assert_array_equal(a, X)
    np.testing.assert_array_equal(b, -X)


def test_parallel_counts_its_inputs():
    with pytest.raises(ValueError, match="parallel has 2 layers and needs as many inputs, got 3"):
        run(parallel(identity, identity), (X, X, X))
    with pytest.raises(ValueError, match="got one array"):
        run(parallel(identity, identity), X)


def test_residual_adds_its_input():
    params, y = run(residual(linear(3)))
    body = X @ params["body"]["kernel"] + params["body"]["bias"]
    np.testing.assert_allclose(y, body + X, rtol=1e-5)


def test_residual_never_broadcasts():
    with pytest.raises(ValueError, match=r"gives \(2, 1\) and its skip \(2, 3\)"):
        run(residual(linear(1)))


def test_concat_joins_along_the_last_axis():
    _, y = run(concat(identity, lambda x: 2 * x))
    np.testing.assert_array_equal(y, np.concatenate([X, 2 * X], -1))
    _, y = run(concat(identity, identity, axis=0))
    assert y.shape == (4, 3)


def test_lazy_chooses_by_the_shape_of_the_input():
    layer = lazy(lambda x: identity if x.shape[-1] == 3 else linear(3))
    params, y = run(layer)
    assert params == {}
    np.testing.assert_array_equal(y, X)
    params, y = run(layer, jnp.ones((2, 5)))
    assert y.shape == (2, 3)
    assert set(params) == {"kernel", "bias"}
