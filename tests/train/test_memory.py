"""Data that is larger than memory is streamed through little of it."""

import os
import subprocess
import sys

import pytest

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
    room = 2**26
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
