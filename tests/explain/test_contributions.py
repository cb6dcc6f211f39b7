import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax, random

from fcnn.core import serial, wire
from fcnn.core.network import start_network
from fcnn.explain import completeness_gap, deep_lift, gradient_x_input
from fcnn.layers import conv, dense, flatten, max_pool, relu, silu, tanh

from ..catalogue import IMAGE, LAYERS, SEQUENCE, VECTOR, VOLUME

X = np.asarray(random.normal(random.key(0), (3, 2, 2, 3)))
ACTIVATIONS = {
    "relu": (relu, lambda z: np.maximum(z, 0)),
    "tanh": (tanh, np.tanh),
    "silu": (silu, lambda z: z / (1 + np.exp(-z))),
}


def started(model, x=X):
    return start_network(model, random.key(1), x)


def values(*cells):
    """One example, a row of cells."""
    return np.array(cells, np.float32)[None, :, None]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_maps_equal_the_rescale_rule_in_numpy(name):
    act, f = ACTIVATIONS[name]
    model = serial(flatten, dense(7), act, dense(6), act, dense(4), head=dense(3))
    network = started(model)
    layers = [network.params[key] for key in ("dense1", "dense2", "dense3", "head")]
    kernels = [np.asarray(layer["kernel"], np.float64) for layer in layers]
    x, r = X.reshape(3, -1).astype(np.float64), np.full((3, 12), 0.3)
    multipliers = np.broadcast_to(np.eye(12), (3, 12, 12))
    start = x - r
    for kernel, bends in zip(kernels, (True, True, False, False), strict=True):
        x, r, multipliers = x @ kernel, r @ kernel, multipliers @ kernel
        if bends:
            ratio = (f(x) - f(r)) / (x - r)
            x, r, multipliers = f(x), f(r), multipliers * ratio[:, None]
    target = [2, 0, 1]
    truth = [start[i] * multipliers[i, :, t] for i, t in enumerate(target)]
    maps = deep_lift(network, X, target, baseline=0.3, channels=True)
    np.testing.assert_allclose(maps, np.reshape(truth, X.shape), rtol=1e-4, atol=1e-6)
    slopes = gradient_x_input(network, X, target, channels=True) * (X - 0.3) / X
    assert not np.allclose(maps, slopes, rtol=1e-2)


def in_a_wire(f, x):
    return silu(f.conv(x))


def by_hand(f, x):
    y = f.conv(x)
    return y * (1 / (1 + jnp.exp(-y)))


@pytest.mark.parametrize(
    "forward",
    [
        in_a_wire,
        pytest.param(by_hand, marks=pytest.mark.slow),
        pytest.param(lambda f, x: jax.jit(silu)(f.conv(x)), marks=pytest.mark.slow),
    ],
)
def test_an_activation_is_one_however_it_is_written(forward):
    def maps(body):
        return deep_lift(started(serial(body=body, flatten=flatten, dense=dense(2))), X, 1)

    truth = maps(serial(conv=conv(4), silu=silu))
    np.testing.assert_allclose(maps(wire(forward, conv=conv(4))), truth, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("x", "r", "parts"),
    [
        ((3, 1, 0, 2), (0, 2, 0, 0), (1, 0, 0, 0)),  # 3 - 2, which the first brought
        ((1, 0, 0, 0), (0, 5, 0, 0), (0, -4, 0, 0)),  # 1 - 5, which the second took away
        ((4, 0, 0, 0), (1, 3, 0, 0), (1, 0, 0, 0)),
        ((2, 2, 1, 0), (2, 0, 1, 0), (0, 0, 0, 0)),
    ],
)
@pytest.mark.parametrize("pool", [max_pool(4), lambda x: x.max(1, keepdims=True)])
def test_the_change_of_a_maximum_goes_to_those_that_had_it(pool, x, r, parts):
    network = started(serial(pool=pool, flatten=flatten), values(*x))
    maps = deep_lift(network, values(*x), 0, baseline=values(*r)[0])
    np.testing.assert_allclose(maps, [parts], atol=1e-6)


def test_the_change_of_a_minimum_goes_to_those_that_had_it():
    network = started(serial(lambda x: x.min(1)), values(3, 1, 2))
    maps = deep_lift(network, values(3, 1, 2), 0, baseline=values(4, 5, 6)[0])
    np.testing.assert_allclose(maps, [[0, -3, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("combine", "parts"),
    [
        (lambda a, b: a * b, (1 * 2.5, 3 * 1.5)),  # each change times the mean of the other
        (lambda a, b: a / b, (1 * (1 + 1 / 4) / 2, (1 / 4 - 1) * 1.5)),
    ],
)
def test_the_factors_of_a_product_share_its_change(combine, parts):
    x = values(2, 4)
    network = started(serial(lambda x: combine(x[:, :1, 0], x[:, 1:, 0])), x)
    maps = deep_lift(network, x, 0, baseline=1.0)
    np.testing.assert_allclose(maps, [parts], rtol=1e-5)


def test_what_equals_the_baseline_gets_nothing_and_the_rest_is_finite():
    network = started(serial(conv(4), tanh, max_pool(2), flatten, dense(2)))
    np.testing.assert_array_equal(deep_lift(network, X, baseline=X), np.zeros((3, 2, 2)))
    half = np.where(np.arange(3) == 1, 0, X)
    maps = deep_lift(network, half, 0, channels=True)
    assert np.isfinite(maps).all()
    np.testing.assert_array_equal(maps[..., 1], 0)
    np.testing.assert_allclose(completeness_gap(network, half, maps, 0), 0, atol=1e-5)


def rows_for(shape):
    """Rows of the catalogue for this input; those for vectors see each pixel of a picture."""
    shapes = (shape, VECTOR) if shape is IMAGE else (shape,)
    return [row for row in LAYERS if row.input in shapes and "vectors" not in row.name]


def side_by_side(rows):
    """A network with one output for each layer, some sum of what the layer computes."""

    def forward(f, x):
        outputs = [run(x).astype(jnp.float32).reshape(len(x), -1) for run in vars(f).values()]
        sums = [y @ np.linspace(-1, 2, y.shape[1], dtype=np.float32) for y in outputs]
        return jnp.stack(sums, -1)

    layers = {row.name.replace("/", " "): row.make() for row in rows}
    return wire(forward, **layers)


@pytest.mark.parametrize(
    ("shape", "every"),
    [
        pytest.param(IMAGE, 9, id="images", marks=pytest.mark.slow),
        pytest.param(VOLUME, 1, id="volumes"),
        pytest.param(IMAGE, 1, id="all images", marks=pytest.mark.slow),
        pytest.param(SEQUENCE, 1, id="sequences", marks=pytest.mark.slow),
    ],
)
def test_maps_of_every_layer_of_the_catalogue_add_up(shape, every):
    rows = rows_for(shape)[::every]
    x = np.random.default_rng(0).normal(size=shape.shape).astype(np.float32)
    network = started(side_by_side(rows), x)
    changes = np.asarray(network(x) - network(np.full_like(x, 0.25)))
    missed = {}
    for i, row in enumerate(rows):
        maps = deep_lift(network, x, i, baseline=0.25)
        gap = completeness_gap(network, x, maps, i, baseline=0.25)
        near = 0.03 if "cast" in row.name else 1e-3
        if not (np.abs(gap) <= near * (1 + np.abs(changes[:, i]))).all():
            missed[row.name] = (gap, changes[:, i])
    assert not missed


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda x: jnp.sort(x, 1), "no rule for sort in odd"),
        (lambda x: jnp.where(x > x.mean(), x, 0), "no rule for gt in odd"),
        (lambda x: jnp.where(x > 0, x[:, ::-1], 0), "a choice that the input decides in odd"),
        (
            lambda x: lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * 2), (0, x))[1],
            "no rule for while in odd",
        ),
    ],
)
def test_what_has_no_rule_is_refused_by_its_place(layer, text):
    network = started(serial(conv(2), odd=layer, flatten=flatten, dense=dense(2)))
    with pytest.raises(ValueError, match=text):
        deep_lift(network, X)


def test_any_number_of_examples_strict_promotion_and_half_precision():
    network = started(serial(conv(3), silu, max_pool(2), flatten, dense(2)))
    with jax.numpy_dtype_promotion("strict"):
        whole = deep_lift(network, X, [0, 1, 1])
    for n in (0, 1, 3):
        maps = deep_lift(network, X[:n], [0, 1, 1][:n], batch_size=2)
        np.testing.assert_allclose(maps, whole[:n], atol=1e-6)
    half = deep_lift(network, jnp.bfloat16(X), [0, 1, 1])
    np.testing.assert_allclose(half, whole, atol=0.05 * np.abs(whole).max())


def test_signals_and_a_network_blind_to_its_input():
    x = np.asarray(random.normal(random.key(0), (2, 9, 3)))
    network = started(serial(conv(2), relu, flatten, dense(2)), x)
    assert deep_lift(network, x).shape == (2, 9)
    blind = started(serial(lambda x: jnp.ones((len(x), 2))), x)
    np.testing.assert_array_equal(deep_lift(blind, x, 1), np.zeros((2, 9)))
