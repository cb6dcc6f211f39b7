"""Data that is larger than memory is streamed through little of it, and a step that is larger says
what would fit.
"""

import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import Layer, dense, serial
from fcnn.store.checkpoints import checkpoint_steps
from fcnn.train import OutOfMemoryError, memory

from .parts import assert_equal

STREAMED = """
import resource, sys
import numpy as np, optax, fcnn

EXAMPLE, N = 128 * 128, 4 * {room} // (128 * 128)

class Made:
    shape, dtype = (N, 128, 128, 1), np.dtype(np.uint8)
    def __len__(self):
        return N
    def take(self, rows, axis=0):
        raise NotImplementedError
    def __getitem__(self, rows):
        x = np.empty((len(rows), EXAMPLE), np.uint8)
        x[:] = np.arange(EXAMPLE) * (rows[:, None] % 7)
        return x.reshape(-1, 128, 128, 1)

def limited(room):
    used = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmData")]
    most = resource.getrlimit(resource.RLIMIT_DATA)[1]
    limit = most if room is None else 1024 * used[0] + room
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))

def fitted(x):
    limited(None)  # compilation takes memory that has nothing to do with the data
    model = fcnn.serial(fcnn.rescale(1 / 255), fcnn.avg_pool(16), fcnn.flatten, fcnn.dense(7))
    data = fcnn.data.Dataset(x, (np.arange(N) % 7).astype(np.int32))
    fcnn.fit(model, data, epochs=2, batch_size=64, validation=data, optimizer=optax.sgd(0.1),
             callbacks=[lambda moment: limited({room})], progress=False, workers={workers})

fcnn.train.looping.ROOM = 0
for x in (Made(), np.memmap(sys.argv[1], np.uint8, "r", shape=Made.shape)):
    fitted(x)
try:
    np.ones(Made.shape, np.uint8)
except MemoryError:
    print("streamed")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
@pytest.mark.parametrize("workers", [0, 2])
def test_data_four_times_larger_than_the_memory_allowed_is_streamed(workers, tmp_path):
    """The limit is on memory that cannot be given back, which a mapped file is not. The C library's
    heaps for single threads, which keep what they once had, would blur it: one heap serves all.
    """
    room = 2**27  # threads that start later have stacks of 8 MB, which count
    with open(tmp_path / "x.bin", "wb") as file:
        file.truncate(4 * room)
    done = subprocess.run(
        [sys.executable, "-c", STREAMED.format(room=room, workers=workers), tmp_path / "x.bin"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )
    assert done.stdout == "streamed\n", done.stderr[-3000:]


def wide(count):
    """A layer that makes a square matrix of each example, and multiplies it by itself: three such
    matrices, of 4 * count bytes each, are held for an example.
    """
    side = 2 ** (count.bit_length() // 2)

    def apply(params, state, x, *, train=False, key=None):
        y = jnp.repeat(x[:, :1], count, axis=1).reshape(len(x), side, -1)
        return jnp.sin(y @ y.swapaxes(1, 2)).sum(axis=(1, 2))[:, None], state

    return Layer(lambda key, x: ({}, {}), apply)


def examples(n):
    return np.ones((n, 3), np.float32), np.arange(n) % 2


def too_large(count, n=4096, **options):
    """The error of a fit that does not fit, and its model."""
    model = serial(dense(4), wide(count), dense(2))
    options = {"batch_size": n, "epochs": 1, "progress": False, "check": False, **options}
    with pytest.raises(OutOfMemoryError) as caught:
        fcnn.fit(model, options.pop("data", examples(n)), optimizer=optax.adam(1e-3), **options)
    return caught.value, model


def planned(model, size):
    """Bytes of a step of this size, with all that it is given, as XLA plans it."""
    optimizer = optax.adam(1e-3)
    x, y = examples(1)
    ts = fcnn.train.start(model, optimizer, jax.random.key(0), x)
    shapes = {"x": (x, (3,)), "y": (y.astype(np.int32), ())}
    batch = {name: jax.ShapeDtypeStruct((size, *s), a.dtype) for name, (a, s) in shapes.items()}
    step = fcnn.train.make_step(model, optimizer=optimizer)
    plan = step.lower(ts, batch).compile().memory_analysis()
    return plan.temp_size_in_bytes + plan.argument_size_in_bytes + plan.output_size_in_bytes


KINDS = {"in memory": 2**29, "read along the way": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_size_that_fits_is_named(kind, monkeypatch):
    """An example takes 12 GiB: of 4096 there is no room anywhere."""
    monkeypatch.setattr(fcnn.train.looping, "ROOM", KINDS[kind])
    monkeypatch.setattr(memory, "available", lambda: 200 * 2**30)
    error, model = too_large(2**30)
    assert error.batch_size == 4096
    assert f"batch_size={error.fits} should fit" in str(error)
    for words in ("batch_size=4096 needs about", "parameters", "optimizer", "activations"):
        assert words in str(error)
    assert re.search(r"there are 214\.7 GB", str(error))
    assert error.fits == 16
    assert planned(model, 16) <= 200 * 2**30 < planned(model, 17)
    told = float(re.search(r"needs about ([\d.]+) TB", str(error))[1])
    assert told == pytest.approx(planned(model, 4096) / 1e12, rel=0.01)
    params = 4 * (3 * 4 + 4 + 1 * 2 + 2)
    assert f"parameters {params} bytes" in str(error)
    held = int(re.search(r"optimizer and the state hold (\d+) bytes", str(error))[1])
    assert 2 * params <= held <= 2 * params + 32


def test_nor_may_one_example_fit():
    """On this machine, whatever it has."""
    count = 2**30
    while 4 * count < 2 * memory.available():
        count *= 2
    error, model = too_large(count, n=2**43 // count)
    assert error.fits is None
    assert "Not even one example fits" in str(error)
    assert planned(model, 1) > memory.available()


def test_streams_and_networks_are_told_as_well(monkeypatch):
    """A stream may be used up; and the network that one began with keeps its values."""
    monkeypatch.setattr(memory, "available", lambda: 200 * 2**30)
    error, model = too_large(2**30, data=iter([examples(4096)]))
    assert f"batch_size={error.fits} should fit" in str(error)
    params, state = model.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3), np.float32))
    network = fcnn.Network(model, params, state)
    before = jax.tree.map(np.array, network.params)
    with pytest.raises(OutOfMemoryError):
        fcnn.fit(network, examples(4096), batch_size=4096, epochs=1, progress=False, check=False)
    assert_equal(network.params, before)


def test_a_checkpoint_from_before_is_still_there(tmp_path, monkeypatch):
    """The run goes on with a batch size that fits only in another folder: it would be another."""
    small = serial(dense(4), wide(2), dense(2))
    options = {"epochs": 1, "progress": False, "batch_size": 4096, "check": False}
    fcnn.fit(small, examples(4096), checkpoint=tmp_path, **options)
    with pytest.warns(UserWarning, match="other steps"), pytest.raises(OutOfMemoryError):
        fcnn.fit(
            serial(dense(4), wide(2**30), dense(2)),
            examples(4096),
            checkpoint=tmp_path,
            **options | {"epochs": 2},
        )
    assert checkpoint_steps(tmp_path) == [1]
