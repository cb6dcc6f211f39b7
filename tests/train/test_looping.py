import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

import fcnn
from fcnn import Layer, batch_norm, dense, dropout, flatten, serial
from fcnn.data import batches, order
from fcnn.train import looping, make_step, start
from fcnn.train.looping import fits, looped

from .parts import assert_equal, bands, line, small

KEY = jax.random.key(0)
ADAM = optax.adam(1e-2)


def wrapped(data):
    """The same examples, to be read batch by batch."""

    class Lazy:
        classes = data.classes

        def __len__(self):
            return len(data)

        def __getitem__(self, indices):
            return data[indices]

    return Lazy()


def noise(key, image):
    return image + 0.1 * jax.random.normal(key, image.shape)


@pytest.mark.parametrize("n", [5, 16, 37])
@pytest.mark.parametrize("size", [1, 8, 16])
def test_the_batches_on_the_device_are_those_of_the_host(n, size):
    data = bands(n)
    data = {"x": data.x, "y": data.y, "weight": np.arange(n, dtype=np.float32)}
    columns = jax.tree.map(jnp.asarray, data)
    rows = jnp.asarray(order(n, seed=1, epoch=2), jnp.int32)
    for number, batch in enumerate(batches(tuple(data.values()), size, seed=1, epoch=2)):
        assert_equal(looping._batch(size, columns, rows, 2, number), batch)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"augment": noise, "penalty": fcnn.optimizers.l2(1e-2)},
        {"class_weight": {"top": 2.0}, "validation": bands(21, seed=1)},
        {"trainable": ".*dense1/.*", "metrics": ["accuracy", "cross_entropy"]},
        {"batch_size": 50},
        {"average": "ema", "sharpness": 0.05, "accumulate": 2, "validation": bands(21, seed=1)},
    ],
    ids=["plain", "augment", "weights", "trainable", "one batch", "averaged"],
)
def test_a_loop_on_the_device_gives_what_step_by_step_gives(options):
    data = bands(37)
    weight = np.linspace(0, 2, 37, dtype=np.float32)
    data = fcnn.data.arrays(data.x, data.y, weight=weight, classes=data.classes)
    model = serial(flatten, dense(8), batch_norm(), dropout(0.3), dense(3))
    usual = {"progress": False, "epochs": 3, "batch_size": 8, "optimizer": ADAM, "seed": 7}
    a, one = fcnn.fit(model, data, **usual | options)
    b, two = fcnn.fit(model, wrapped(data), **usual | options)
    near = {"rtol": 1e-5, "atol": 1e-6}
    jax.tree.map(
        lambda p, q: np.testing.assert_allclose(p, q, **near),
        (a.params, a.state), (b.params, b.state),
    )  # fmt: skip
    assert one.rows[0].keys() == two.rows[0].keys()
    for name in one.rows[0].keys() - {"seconds", "rate", "waited"}:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-5)
    assert one.best_epoch == two.best_epoch


def test_no_result_depends_on_how_many_steps_a_call_takes(monkeypatch):
    def run(seconds):
        monkeypatch.setattr(looping, "SECONDS", seconds)
        ts, calls = start(model, ADAM, KEY, data["x"]), []
        loop = looped(step, ts, data, 4, donate=True)
        for epoch in range(2):
            rows = order(37, seed=0, epoch=epoch)
            under_way = loop.begin(ts, rows, epoch)
            while taken := under_way.advance():
                calls.append(taken)
            ts = under_way.carry
        return (ts.params, ts.opt_state, under_way.found), calls

    model, data = small(), {"x": bands(37).x, "y": bands(37).y}
    step = make_step(model, optimizer=ADAM)
    (one, short), (many, long) = run(0), run(1e9)
    assert short == [1] * 20
    assert long == [1, 9, 10]
    assert_equal(one, many)


def test_the_step_that_was_not_finite_is_named():
    x, y = line(40)
    x[order(40, seed=0, epoch=0)[25]] = np.inf  # in the fourth batch of eight
    for data in ((x, y), wrapped(fcnn.data.arrays(x, y))):
        with pytest.raises(FloatingPointError, match="epoch 1, step 4"):
            fcnn.fit(
                serial(dense(1)), data, loss="squared_error", batch_size=8, check=False,
                progress=False,
            )  # fmt: skip


def test_only_arrays_that_leave_room_are_put_on_the_device(monkeypatch):
    data = bands(12)
    assert fits(data)
    assert not fits(fcnn.data.as_dataset(wrapped(data)))
    monkeypatch.setattr(looping, "ROOM", data.x.nbytes)
    assert not fits(data)


def convolution(layout):
    def apply(params, state, x, *, train=False, key=None):
        return lax.conv_general_dilated(
            x, params["kernel"], (1, 1), "SAME", dimension_numbers=layout
        ), state

    return Layer(lambda key, x: ({"kernel": jnp.ones((3, 3, 1, 2))}, {}), apply)


def test_a_step_that_loops_would_slow_down_is_taken_alone():
    """The kernel gradient of lax's own convolution is one."""
    model = serial(convolution(("NHWC", "HWIO", "NHWC")), flatten, dense(3))
    step = make_step(model, optimizer=ADAM)
    data = {"x": bands(12).x, "y": bands(12).y}
    ts = start(model, ADAM, KEY, data["x"])
    there = jax.default_backend() == "cpu"
    assert (looped(step, ts, data, 4) is None) == there

    def look(network, batch):
        return network, {"y": model.apply(*network, batch["x"])[0]}

    assert looped(look, (ts.params, ts.state), data, 4) is not None


def test_a_carry_that_changes_its_shape_is_not_looped():
    def step(carry, batch):
        return jnp.concatenate([carry, carry]), {"loss": carry.sum()}

    assert looped(step, jnp.ones(1), {"x": np.ones(4), "y": np.ones(4)}, 2) is None


@pytest.mark.parametrize("offset", [0, 1])  # numpy aligns whole arrays, and JAX can share these
def test_what_is_done_to_the_arrays_during_a_run_is_not_seen(offset):
    data = bands(32)
    room = np.zeros(data.x.size + 16, data.x.dtype)
    start_at = (-room.ctypes.data // room.itemsize) % 16 + offset
    x = room[start_at : start_at + data.x.size].reshape(data.x.shape)

    def fitted(callbacks):
        x[:] = data.x
        options = {"epochs": 3, "batch_size": 8, "callbacks": callbacks, "progress": False}
        return fcnn.fit(small(), (x, data.y), optimizer=ADAM, **options)[1]["loss"]

    def wipe(_):
        x[:] = 0

    assert fitted([wipe]) == fitted([])
