import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import Layer, out_spec, serial, trees, wire

from .parts import counter, linear, noise

X = jnp.ones((2, 3))
KEY = jax.random.key(0)


def test_parameters_have_the_names_of_the_children():
    model = wire(lambda f, x: f.second(f.first(x)), first=linear(4), second=linear(5))
    params, state = model.init(KEY, X)
    shapes = jax.tree.map(jnp.shape, params)
    assert shapes == {
        "first": {"kernel": (3, 4), "bias": (4,)},
        "second": {"kernel": (4, 5), "bias": (5,)},
    }
    assert state == {}


def test_children_without_parameters_leave_no_trace():
    params, state = serial(jnp.tanh, serial(jnp.tanh)).init(KEY, X)
    assert (params, state) == ({}, {})


def test_init_reads_only_shapes():
    model = serial(linear(4), linear(5))
    spec = jax.ShapeDtypeStruct(X.shape, X.dtype)
    for a, b in zip(*(jax.tree.leaves(model.init(KEY, x)) for x in (X, spec)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_adding_a_parameterless_layer_changes_no_parameter():
    plain, _ = serial(linear(4), linear(5)).init(KEY, X)
    more, _ = serial(jnp.tanh, linear(4), noise(), jnp.tanh, linear(5), noise()).init(KEY, X)
    assert jax.tree.structure(plain) == jax.tree.structure(more)
    jax.tree.map(np.testing.assert_array_equal, plain, more)


def test_adding_a_random_layer_changes_no_other_mask():
    alone = serial(a=noise()).apply({}, {}, X, train=True, key=KEY)[0] - X
    other = serial(b=noise()).apply({}, {}, X, train=True, key=KEY)[0] - X
    both = serial(b=noise(), a=noise()).apply({}, {}, X, train=True, key=KEY)[0] - X
    np.testing.assert_allclose(both, alone + other, rtol=1e-5)
    assert not np.allclose(alone, other)


def test_siblings_draw_different_values():
    params, _ = serial(linear(3), linear(3)).init(KEY, X)
    assert not np.allclose(params["linear1"]["kernel"], params["linear2"]["kernel"])


def test_a_child_called_twice_shares_parameters_and_draws_new_noise():
    model = wire(lambda f, x: (f.noise(x), f.noise(x)), noise=noise())
    (a, b), _ = model.apply({}, {}, X, train=True, key=KEY)
    assert not np.allclose(a, b)
    twice = wire(lambda f, x: f.a(f.a(x)), a=linear(3))
    params, _state = twice.init(KEY, X)
    assert trees.count(params) == 12


def test_state_is_handed_from_call_to_call_and_keeps_its_structure():
    model = wire(lambda f, x: f.count(f.mix(f.count(x))), count=counter(), mix=linear(3))
    params, state = model.init(KEY, X)
    _, after = model.apply(params, state, X, train=True)
    assert after["count"]["calls"] == 2
    assert jax.tree.structure(after) == jax.tree.structure(state)
    _, still = model.apply(params, after, X)
    assert still["count"]["calls"] == 2
    assert state["count"]["calls"] == 0


def test_state_can_be_carried_by_scan():
    model = serial(counter(), linear(3), counter())
    params, state = model.init(KEY, X)

    def step(state, _):
        return model.apply(params, state, X, train=True)[1], None

    state, _ = jax.lax.scan(step, state, length=5)
    assert state["counter2"]["calls"] == 5


def test_an_idle_child_is_an_error():
    model = wire(lambda f, x: f.used(x), used=linear(3), forgotten=linear(3))
    with pytest.raises(ValueError, match="never calls forgotten"):
        model.init(KEY, X)


def test_a_child_that_is_no_layer_is_named():
    with pytest.raises(TypeError, match="head: expected a layer or a function x -> y, got int"):
        wire(lambda f, x: x, head=3)


def test_a_name_with_a_slash_is_refused():
    with pytest.raises(ValueError, match="cannot hold a slash"):
        wire(lambda f, x: x, **{"a/b": linear(3)})


def test_inputs_and_outputs_may_be_trees():
    model = wire(lambda f, x: {"sum": f.a(x["left"]) + f.b(x["right"])}, a=linear(4), b=linear(4))
    x = {"left": X, "right": jnp.ones((2, 5))}
    params, state = model.init(KEY, x)
    assert model.apply(params, state, x)[0]["sum"].shape == (2, 4)
    assert out_spec(model, x)["sum"].shape == (2, 4)


def test_wired_networks_can_be_differentiated_twice():
    model = serial(linear(4), jnp.tanh, linear(1))
    params, state = model.init(KEY, X)

    def loss(params):
        return model.apply(params, state, X)[0].sum()

    hessian = jax.hessian(loss)(params)
    assert np.isfinite(hessian["linear1"]["kernel"]["linear1"]["kernel"]).all()


def test_parameters_can_be_sixteen_deep():
    model = linear(3)
    for _ in range(16):
        model = serial(a=model)
    params, state = model.init(KEY, X)
    assert next(iter(trees.flat(params))) == "a/" * 16 + "bias"
    assert model.apply(params, state, X)[0].shape == (2, 3)


def test_a_second_call_is_checked_with_the_parameters_of_the_first():
    model = serial(stem=wire(lambda f, x: f.a(f.a(x)), a=linear(4)))
    with pytest.raises(TypeError) as caught:
        model.init(KEY, X)
    assert "in layer stem/a (linear, input float32[2,4])" in caught.value.__notes__


def test_a_second_call_may_have_another_batch():
    model = wire(lambda f, x: f.a(x).sum() + f.a(x[:1]).sum(), a=linear(4))
    params, state = model.init(KEY, X)
    y, _ = model.apply(params, state, X)
    np.testing.assert_allclose(y, 3 * (X[0] @ params["a"]["kernel"]).sum(), rtol=1e-5)


@pytest.mark.parametrize("transform", [jax.vmap, jax.jit, jax.checkpoint])
def test_a_state_cannot_be_updated_inside_a_transformation(transform):
    model = wire(lambda f, x: transform(f.count)(x), count=counter())
    params, state = model.init(KEY, X)
    with pytest.raises(ValueError, match="count updates its state: call it from the forward"):
        model.apply(params, state, X, train=True)


def test_a_child_that_only_reads_its_state_may_run_inside_a_transformation():
    def shift():
        def apply(params, state, x, *, train=False, key=None):
            return x + state["mean"], state

        return Layer(lambda key, x: ({}, {"mean": jnp.full(x.shape[-1], 2.0)}), apply)

    model = wire(lambda f, x: jax.jit(jax.vmap(f.shift))(x), shift=shift())
    params, state = model.init(KEY, X)
    y, after = model.apply(params, state, X, train=True)
    np.testing.assert_array_equal(y, X + 2)
    assert after["shift"]["mean"] is state["shift"]["mean"]


def test_an_unknown_child_lists_the_children():
    model = wire(lambda f, x: f.secnd(f.first(x)), first=linear(3), second=linear(3))
    with pytest.raises(AttributeError, match="no child is called 'secnd'; there are first, second"):
        model.init(KEY, X)
