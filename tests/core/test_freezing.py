import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import Layer, partly_frozen, remat, repeat, serial, trees
from fcnn.layers import batch_norm

from .parts import counter, linear, noise

X = jnp.asarray(np.random.default_rng(0).normal(2, 3, (8, 3)), jnp.float32)
KEY = jax.random.key(0)


def part():
    return serial(linear(3), batch_norm(), noise(), counter())


def trained(layer, pattern, **options):
    """Output, next state and gradients in training of what the pattern matches."""
    params, state = layer.init(KEY, X)

    def loss(params):
        y, after = partly_frozen(layer, pattern).apply(params, state, X, train=True, **options)
        return (y**2).sum(), (y, after)

    gradient, (y, after) = jax.grad(loss, has_aux=True)(params)
    return params, state, gradient, y, after


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_what_is_frozen_runs_as_in_evaluation_and_the_rest_in_training():
    stem, head = part(), serial(linear(2), batch_norm(), counter())
    params, state, gradient, y, after = trained(serial(stem=stem, head=head), "head/.*")
    between, _ = stem.apply(params["stem"], state["stem"], X)  # no key: its noise is off
    expected, moved = head.apply(params["head"], state["head"], between, train=True)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    assert_equal(after["stem"], state["stem"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after["head"], moved)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient["stem"]))
    assert all(leaf.any() for leaf in jax.tree.leaves(gradient["head"]["linear1"]["kernel"]))


def test_structures_stay_those_of_plain_dicts():
    params, state, gradient, _, after = trained(serial(stem=part(), head=linear(2)), "head/.*")
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_a_part_without_values_is_as_the_part_that_it_is_in():
    layer = serial(stem=serial(linear(3), noise()), noise=noise(), head=linear(2))
    with pytest.raises(ValueError, match=r"^noise needs a key"):
        trained(layer, "head/.*")


def test_a_layer_that_is_trained_in_part_moves_its_statistics():
    _, state, gradient, _, after = trained(serial(norm=batch_norm()), ".*scale")
    assert (after["norm"]["mean"] != state["norm"]["mean"]).all()
    assert gradient["norm"]["scale"].any()
    assert not gradient["norm"]["bias"].any()


def test_a_layer_with_nothing_but_state_follows_its_own_path():
    norm = batch_norm(scale=False, bias=False)
    layer = serial(stem=serial(norm=norm), head=serial(linear=linear(2), norm=norm))
    _, state, _, _, after = trained(layer, "head/.*")
    assert_equal(after["stem"], state["stem"])
    assert (after["head"]["norm"]["mean"] != state["head"]["norm"]["mean"]).all()


@pytest.mark.parametrize(
    "transform", [remat, lambda body: repeat(body, 2)], ids=["remat", "repeat"]
)
def test_what_is_inside_a_transformation_is_frozen_with_it(transform):
    body = transform(serial(linear(3), batch_norm(), counter()))
    params, state, gradient, y, after = trained(serial(stem=body, head=linear(2)), "head/.*")
    stem, _ = body.apply(params["stem"], state["stem"], X)
    head = params["head"]
    np.testing.assert_allclose(y, stem @ head["kernel"] + head["bias"], rtol=1e-4, atol=1e-5)
    assert_equal(after["stem"], state["stem"])
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient["stem"]))


def test_paths_reach_into_the_parts_of_a_layer_of_ones_own():
    """Which hands parameters on by itself, so that no scope knows of it."""
    inside = serial(norm=batch_norm(), more=linear(3))

    def init(key, x):
        params, state = inside.init(key, x)
        return {"mine": params}, {"mine": state}

    def apply(params, state, x, *, train=False, key=None):
        y, after = inside.apply(params["mine"], state["mine"], x, train=train, key=key)
        return y, {"mine": after}

    layer = serial(own=Layer(init, apply))
    params, state, _, y, after = trained(layer, "own/mine/more/.*")
    normed, _ = batch_norm().apply(params["own"]["mine"]["norm"], state["own"]["mine"]["norm"], X)
    more = params["own"]["mine"]["more"]
    np.testing.assert_allclose(y, normed @ more["kernel"] + more["bias"], rtol=1e-5, atol=1e-5)
    assert_equal(after, state)


def test_the_state_of_what_is_frozen_stays_even_where_nothing_tells_it_to():
    def apply(params, state, x, *, train=False, key=None):
        return x * params["old"]["scale"] * params["new"]["scale"], jax.tree.map(
            jnp.add, state, state
        )

    def init(key, x):
        values = {name: {"scale": jnp.ones(3)} for name in ("old", "new")}
        return values, jax.tree.map(jnp.copy, values)

    _, _, _, _, after = trained(Layer(init, apply), "new/.*")
    assert (after["old"]["scale"] == 1).all()
    assert (after["new"]["scale"] == 2).all()


def test_evaluation_is_evaluation():
    layer = serial(stem=part(), head=linear(2))
    params, state = layer.init(KEY, X)
    y, after = partly_frozen(layer, "head/.*").apply(params, state, X)
    assert_equal((y, after), layer.apply(params, state, X))


def test_all_that_is_trained_is_the_layer_itself():
    layer = linear(3)
    assert partly_frozen(layer, ".*") is layer


def test_no_gradient_is_computed_before_the_first_layer_that_is_trained():
    layer = serial(**{f"layer{i}": serial(linear(64), jnp.tanh) for i in range(6)}, head=linear(4))
    x = jnp.ones((256, 64))
    params, state = layer.init(KEY, x)

    def flops(pattern):
        part = partly_frozen(layer, pattern)

        def loss(params):
            return part.apply(params, state, x, train=True)[0].sum()

        return jax.jit(jax.grad(loss)).lower(params).compile().cost_analysis()["flops"]

    forward = 6 * 2 * 256 * 64 * 64
    assert flops("head/.*") < 1.3 * forward
    assert flops("(layer5|head)/.*") < 1.7 * forward
    assert flops(".*") > 2.5 * forward


def test_frozen_values_have_the_paths_of_others():
    seen = []

    def apply(params, state, x, *, train=False, key=None):
        seen.append(list(trees.flat(params)))
        return x @ params["inner"]["kernel"], state

    own = Layer(lambda key, x: ({"inner": {"kernel": jnp.eye(3)}}, {}), apply)
    trained(serial(own=own, head=linear(2)), "head/.*")
    assert seen[-1] == ["inner/kernel"]
