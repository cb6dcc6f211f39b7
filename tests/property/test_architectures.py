"""Networks nobody thought of: put together at random, they work as a whole or are refused in words.

Chains of layers for a random input in one or two dimensions, nested in residual, concatenated and
repeated blocks. What is drawn need not fit together: then a ValueError names the layer.
"""

import json
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fcnn
from fcnn import store
from fcnn.core import build, kind

QUICKLY = {"xla_backend_optimization_level": 0}  # what is asked here is meaning, not speed
PADDINGS = st.sampled_from(["same", "same", "same", "valid", 0, 1])
SMALL = st.integers(1, 3)
features = st.integers(1, 4)


def plain():
    """Layers that take an input with space in it, with options that suit many inputs."""
    window = {"padding": PADDINGS, "stride": st.integers(1, 2)}
    conv = {"features": features, "kernel": SMALL, "dilation": st.integers(1, 2), **window}
    pool = st.fixed_dictionaries({"window": SMALL, "ceil": st.booleans(), **window})
    return st.one_of(
        st.fixed_dictionaries({**conv, "bias": st.booleans()}).map(lambda o: fcnn.conv(**o)),
        st.fixed_dictionaries(conv).map(lambda o: fcnn.separable_conv(**o)),
        st.fixed_dictionaries({"kernel": SMALL, **window}).map(
            lambda o: fcnn.depthwise_conv(**o, multiplier=2)
        ),
        st.builds(fcnn.conv, st.just(4), st.just(1), groups=st.sampled_from([1, 2, 4])),
        st.builds(fcnn.conv_transpose, features, SMALL, st.integers(1, 2)),
        pool.map(lambda o: fcnn.max_pool(**o)),
        pool.map(lambda o: fcnn.avg_pool(**o)),
        st.builds(fcnn.adaptive_avg_pool, SMALL),
        st.builds(fcnn.zero_pad, st.integers(0, 1)),
        st.builds(fcnn.crop, st.integers(0, 1)),
        st.builds(fcnn.group_norm, st.sampled_from([1, 1, 2])),
        st.just(fcnn.squeeze_excite(2)),
        st.just(fcnn.instance_norm()),
        st.sampled_from([fcnn.global_avg_pool, fcnn.global_max_pool]),
    )


def anywhere():
    """Layers that take any input of floating numbers."""
    return st.one_of(
        st.sampled_from([fcnn.relu, fcnn.gelu, fcnn.tanh, fcnn.identity, fcnn.flatten]),
        st.sampled_from([fcnn.layer_norm(), fcnn.rms_norm(), fcnn.prelu(), fcnn.batch_norm()]),
        st.builds(fcnn.dropout, st.sampled_from([0.0, 0.5])),
        st.builds(fcnn.dense, features),
        st.builds(fcnn.cast, st.sampled_from(["bfloat16", "float32"])),
    )


def keeping():
    """Layers whose output is like their input, for blocks that add or repeat."""
    return st.one_of(
        st.sampled_from([fcnn.relu, fcnn.layer_norm(), fcnn.batch_norm(), fcnn.dropout(0.5)]),
        st.builds(fcnn.depthwise_conv, SMALL),
    )


def chain(of, most=3):
    return st.lists(of, min_size=1, max_size=most).map(lambda layers: fcnn.serial(*layers))


def widening():
    """Layers that keep space and may change the channels, for blocks side by side."""
    return st.builds(fcnn.conv, features, SMALL) | keeping() | st.just(fcnn.identity)


def blocks():
    """Layers of layers."""
    return st.one_of(
        st.builds(fcnn.residual, chain(keeping())),
        st.builds(fcnn.residual, chain(plain(), 1), chain(plain(), 1)),
        st.lists(chain(widening(), 2), min_size=2, max_size=3).map(lambda all: fcnn.concat(*all)),
        st.builds(fcnn.repeat, chain(keeping(), 2), st.integers(1, 3)),
        st.builds(fcnn.remat, chain(plain() | anywhere(), 2)),
        st.builds(fcnn.frozen, chain(plain() | anywhere(), 2)),
    )


def networks():
    body = st.lists(plain() | anywhere() | blocks(), min_size=1, max_size=4)
    head = st.lists(st.sampled_from([fcnn.flatten, fcnn.dense(3)]), max_size=2)
    return st.builds(lambda body, head: fcnn.serial(*body, *head), body, head)


def inputs():
    sides = st.lists(st.integers(1, 7), min_size=1, max_size=2)
    shape = st.tuples(st.just(2), sides, st.sampled_from([1, 2, 4, 4]))
    return shape.map(lambda s: jax.ShapeDtypeStruct((s[0], *s[1], s[2]), "float32"))


@st.composite
def cases(draw):
    """A network and the shapes of its input; one in five is two networks in parallel."""
    if draw(st.integers(0, 4)):
        return draw(networks()), draw(inputs())
    pair = draw(networks()), draw(networks())
    return fcnn.parallel(*pair), (draw(inputs()), draw(inputs()))


def said(error):
    return "\n".join([str(error), *getattr(error, "__notes__", [])])


def made(layer, like):
    """First values; None where the network is refused, in words that name the layer."""
    try:
        return layer.init(jax.random.key(0), like)
    except ValueError as refusal:
        words = said(refusal)
    assert "in layer " in words, words
    return None


def equal_bits(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("count", [50, pytest.param(200, marks=pytest.mark.slow)])
def test_any_network_works_as_a_whole_or_is_refused_by_name(count, tmp_path):
    seen = Counter()

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def check(case):
        layer, like = case
        first = made(layer, like)
        seen["works" if first else "refused"] += 1
        if first is None:
            return
        params, state = first
        seen.update({kind(visit.layer) for visit in visited(layer, params, state, like)})
        x = jax.tree.map(lambda s: np.linspace(-1, 1, s.size, dtype="f4").reshape(s.shape), like)

        program = lowered(layer, params, state, x)
        y = program.compile()(params, state, x)
        expected = fcnn.out_spec(layer, like)
        assert jax.tree.map(lambda a: (a.shape, a.dtype), y) == jax.tree.map(
            lambda a: (a.shape, a.dtype), expected
        )
        assert all(np.isfinite(np.asarray(a, np.float32)).all() for a in jax.tree.leaves(y))

        after = next_state(layer, params, state, like)
        assert after == jax.tree.map(lambda a: (a.shape, a.dtype), state)

        rebuilt = build(json.loads(json.dumps(layer.recipe.to_json())))
        assert rebuilt.recipe == layer.recipe
        equal_bits(rebuilt.init(jax.random.key(0), like), first)
        assert lowered(rebuilt, params, state, x).as_text() == program.as_text()

        example = None if isinstance(like, tuple) else jax.ShapeDtypeStruct(like.shape[1:], "f4")
        store.save(tmp_path / "n.fcnn", fcnn.Network(layer, params, state, input=example))
        loaded = store.load(tmp_path / "n.fcnn")
        equal_bits((loaded.params, loaded.state), first)
        assert loaded.layer.recipe == layer.recipe

    check()
    print(f"{seen['works']} networks work and {seen['refused']} are refused; {dict(seen)}")
    assert seen["works"] > count / 3
    assert seen["refused"] > count / 20


@pytest.mark.parametrize("other", [fcnn.max_pool(2), fcnn.flatten])
def test_branches_that_cannot_be_joined_are_refused_by_name(other):
    layer = fcnn.serial(fcnn.concat(fcnn.conv(4), other))
    assert made(layer, jax.ShapeDtypeStruct((1, 4, 4, 2), jnp.float32)) is None


def lowered(layer, params, state, x):
    run = jax.jit(lambda p, s, x: layer.apply(p, s, x)[0], compiler_options=QUICKLY)
    return run.lower(params, state, x)


def visited(layer, params, state, like):
    """The calls of all named children, as they are traced."""
    seen = []

    def run(params, state, x):
        _, visits = fcnn.core.scoping.visits(layer.apply)(params, state, x)
        seen.extend(visits)

    jax.eval_shape(run, params, state, like)
    return seen


def next_state(layer, params, state, like):
    """Shapes and dtypes of the state after a step of training."""

    def run(params, state, x, key):
        return layer.apply(params, state, x, train=True, key=key)[1]

    after = jax.eval_shape(run, params, state, like, jax.random.key(1))
    return jax.tree.map(lambda a: (a.shape, a.dtype), after)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: fcnn.serial(fcnn.conv(4, 5, padding="valid")), (1, 3, 3, 1)),
        (lambda: fcnn.serial(fcnn.max_pool(4)), (1, 3, 3, 1)),
        (lambda: fcnn.serial(fcnn.flatten, fcnn.conv(4)), (1, 3, 3, 1)),
        (lambda: fcnn.serial(fcnn.flatten, fcnn.global_avg_pool), (1, 3, 3, 1)),
        (lambda: fcnn.serial(fcnn.group_norm(3)), (1, 3, 3, 4)),
        (lambda: fcnn.serial(fcnn.conv(4, groups=4)), (1, 3, 3, 2)),
        (lambda: fcnn.serial(fcnn.residual(fcnn.conv(4))), (1, 3, 3, 2)),
        (lambda: fcnn.serial(fcnn.crop(2)), (1, 3, 3, 2)),
        (lambda: fcnn.serial(fcnn.reshape(5)), (1, 3, 3, 2)),
        (lambda: fcnn.serial(fcnn.repeat(fcnn.conv(4), 2)), (1, 3, 3, 2)),
        (lambda: fcnn.serial(fcnn.parallel(fcnn.relu, fcnn.relu)), (1, 3, 3, 2)),
        (lambda: fcnn.serial(fcnn.concat(fcnn.relu, fcnn.relu, axis=7)), (1, 4, 4, 2)),
    ],
)
def test_what_cannot_fit_is_refused_by_name(layer, shape):
    layer = layer()
    assert made(layer, jax.ShapeDtypeStruct(shape, jnp.float32)) is None
