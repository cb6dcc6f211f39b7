import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import Layer, capture, nudge, remat, repeat, serial, visits, wire

from .parts import linear, noise

X = jnp.ones((2, 3))


def failing(x):
    raise ValueError("too much")


def test_an_error_names_the_path_the_kind_and_the_input():
    model = serial(stage=serial(linear(4), inner=serial(broken=failing)))
    with pytest.raises(ValueError, match="too much") as caught:
        model.init(jax.random.key(0), X)
    note = "in layer stage/inner/broken (failing, input float32[2,4])"
    assert [n for n in caught.value.__notes__ if n.startswith("in layer")] == [note]
    assert note in "".join(traceback.format_exception(caught.value))


def test_an_error_in_apply_names_the_same_path():
    model = serial(a=serial(linear(4), b=noise()))
    params, state = model.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="a/b needs a key") as caught:
        model.apply(params, state, X, train=True)
    assert caught.value.__notes__ == ["in layer a/b (noise, input float32[2,4])"]


def test_an_error_keeps_its_type():
    def wrong(x):
        return x @ jnp.ones((7, 7))

    with pytest.raises(TypeError) as caught:
        serial(linear(4), dot=wrong).init(jax.random.key(0), X)
    assert "in layer dot (wrong, input float32[2,4])" in caught.value.__notes__


def test_capture_returns_every_named_output():
    model = serial(linear(4), jnp.tanh, head=serial(linear(2)))
    params, state = model.init(jax.random.key(0), X)
    (y, _), outputs = capture(model.apply)(params, state, X)
    assert list(outputs) == ["linear1", "tanh1", "head/linear1", "head"]
    np.testing.assert_array_equal(outputs["head"], y)
    np.testing.assert_array_equal(outputs["tanh1"], jnp.tanh(outputs["linear1"]))


def test_capture_works_under_jit_and_leaves_nothing_behind():
    model = serial(linear(4), jnp.tanh)
    params, state = model.init(jax.random.key(0), X)
    (y, _), outputs = jax.jit(capture(model.apply))(params, state, X)
    np.testing.assert_allclose(outputs["tanh1"], y, rtol=1e-6)
    (z, _) = model.apply(params, state, X)
    np.testing.assert_allclose(y, z, rtol=1e-6)


def test_a_child_called_twice_is_captured_twice():
    model = wire(lambda f, x: f.a(f.a(x)), a=linear(3))
    params, state = model.init(jax.random.key(0), X)
    (y, _), outputs = capture(model.apply)(params, state, X)
    assert list(outputs) == ["a", "a@2"]
    np.testing.assert_array_equal(outputs["a@2"], y)


def test_what_runs_inside_repeat_and_remat_is_not_captured():
    model = serial(linear(3), repeat(serial(linear(3)), 2), remat(serial(linear(3))))
    params, state = model.init(jax.random.key(0), X)
    _, outputs = capture(model.apply)(params, state, X)
    assert list(outputs) == ["linear1", "repeat1", "remat1"]


def test_the_gradient_of_a_nudge_is_the_gradient_of_that_output():
    model = serial(linear(4), jnp.tanh, head=linear(2))
    params, state = model.init(jax.random.key(0), X)

    def score(params, state, x):
        return model.apply(params, state, x)[0][:, 0].sum()

    nudged = nudge(score, "tanh1")
    gradient = jax.grad(nudged)(jnp.zeros((2, 4)), params, state, X)
    expected = jnp.broadcast_to(params["head"]["kernel"][:, 0], (2, 4))
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_a_nudge_at_an_unknown_path_lists_the_paths():
    model = serial(linear(4), jnp.tanh)
    params, state = model.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="no output is called 'conv1'; there are linear1, tanh1"):
        nudge(model.apply, "conv1")(0.0, params, state, X)


def test_visits_tell_what_went_in_and_out():
    model = serial(linear(4), head=linear(2))
    params, state = model.init(jax.random.key(0), X)
    _, seen = visits(model.apply)(params, state, X)
    assert [visit.path for visit in seen] == ["linear1", "head"]
    assert seen[1].x.shape == (2, 4)
    assert seen[1].y.shape == (2, 2)
    assert seen[1].params is params["head"]


def test_names_reach_the_compiled_program():
    model = serial(stem=serial(mix=linear(4)))
    params, state = model.init(jax.random.key(0), X)
    text = jax.jit(model.apply).lower(params, state, X).as_text(debug_info=True)
    assert "stem/mix" in text


@pytest.mark.parametrize("wrap", [capture, visits, lambda fn: nudge(fn, "linear1")])
def test_a_jitted_function_is_refused(wrap):
    with pytest.raises(TypeError, match="takes the plain function"):
        wrap(jax.jit(serial(linear(4)).apply))


def test_a_refused_capture_says_what_to_write():
    with pytest.raises(TypeError, match=r"write jax.jit\(capture\(f\)\)"):
        capture(jax.jit(serial(linear(4)).apply))


@pytest.mark.parametrize("transform", [jax.jit, jax.checkpoint])
def test_what_runs_inside_a_jit_stays_inside_and_its_cache_stays_clean(transform):
    inner = serial(linear(4))
    model = serial(linear(3), inside=Layer(inner.init, transform(inner.apply)))
    params, state = model.init(jax.random.key(0), X)
    with pytest.raises(ValueError, match="'inside/linear1'; there are linear1, inside"):
        nudge(model.apply, "inside/linear1")(100.0, params, state, X)
    (y, _), first = capture(model.apply)(params, state, X)
    _, again = capture(model.apply)(params, state, X)
    assert list(first) == list(again) == ["linear1", "inside"]
    expected = X
    for kernel in (params["linear1"]["kernel"], params["inside"]["linear1"]["kernel"]):
        expected = expected @ kernel  # biases start at zero
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    np.testing.assert_allclose(model.apply(params, state, X)[0], expected, rtol=1e-5)


def test_a_child_inside_a_scan_or_vmap_of_the_forward_function_is_not_captured():
    def forward(f, x):
        x = jax.vmap(f.each)(f.first(x))
        return jax.lax.scan(lambda x, _: (f.again(x), None), x, length=2)[0]

    model = wire(forward, first=linear(3), each=linear(3), again=linear(3))
    params, state = model.init(jax.random.key(0), X)
    _, outputs = jax.jit(capture(model.apply))(params, state, X)
    assert list(outputs) == ["first"]


def test_captures_around_and_inside_a_nudge_see_what_is_added():
    model = serial(linear(4), jnp.tanh)
    params, state = model.init(jax.random.key(0), X)
    plain = capture(model.apply)(params, state, X)[1]["linear1"]
    around = capture(nudge(model.apply, "linear1"))(1.0, params, state, X)
    inside = nudge(capture(model.apply), "linear1")(1.0, params, state, X)
    for (y, _), outputs in (around, inside):
        np.testing.assert_allclose(outputs["linear1"], plain + 1, rtol=1e-6)
        np.testing.assert_allclose(y, jnp.tanh(plain + 1), rtol=1e-6)


def test_nudges_add_up():
    model = serial(linear(4), jnp.tanh)
    params, state = model.init(jax.random.key(0), X)
    twice = nudge(nudge(model.apply, "linear1"), "tanh1")  # the outer delta comes first
    y, _ = twice(10.0, 1.0, params, state, X)
    inner = capture(model.apply)(params, state, X)[1]["linear1"]
    np.testing.assert_allclose(y, jnp.tanh(inner + 1) + 10, rtol=1e-6)
