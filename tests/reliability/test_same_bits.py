"""The same seed gives the same bits, in processes that differ in all that should not matter."""

import hashlib
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from fcnn import augment
from fcnn.data import batches

TRAINED = """
import hashlib, os, sys
cores, workers = map(int, sys.argv[1:])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
import jax, numpy as np, fcnn

class Read:
    classes = ("a", "b", "c")
    rng = np.random.default_rng(0)
    x, y = rng.random((37, 8, 8, 3), np.float32), np.arange(37) % 3
    def __len__(self):
        return len(self.x)
    def __getitem__(self, rows):
        return self.x[rows], self.y[rows]

model = fcnn.serial(
    fcnn.conv(4), fcnn.batch_norm(), fcnn.relu, fcnn.dropout(0.3), fcnn.global_avg_pool,
    head=fcnn.dense(3),
)
network, history = fcnn.fit(
    model, Read(), optimizer="adam", epochs=2, batch_size=8, augment="flip-crop", seed=7,
    workers=workers, progress=False,
)
found = {**fcnn.trees.flat(network.params), **fcnn.trees.flat(network.state)}
sha = hashlib.sha256(np.float64(history["loss"]).tobytes())
for path, leaf in sorted(found.items()):
    sha.update(path.encode() + np.asarray(leaf).tobytes())
print(sha.hexdigest())
"""

PROCESSES = [  # PYTHONHASHSEED, cores, threads that read data
    ("0", 1, 0),
    ("1", 2, 1),
    ("random", 2, 2),
    ("random", 1, 4),
    *[(seed, cores, workers) for seed, cores in (("0", 2), ("1", 1)) for workers in (0, 2, 4)],
]


@pytest.mark.parametrize("count", [4, pytest.param(10, marks=pytest.mark.slow)])
def test_processes_that_differ_in_hashes_cores_and_threads_train_the_same_bits(count):
    def begun(hashes, cores, workers):
        return subprocess.Popen(
            [sys.executable, "-c", TRAINED, str(cores), str(workers)],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    found = set()
    for first in range(0, count, 2):  # two at a time
        for child in [begun(*options) for options in PROCESSES[first : first + 2]]:
            out, err = child.communicate(timeout=300)
            assert child.returncode == 0, err
            found.add(out.strip())
    assert len(found) == 1
    assert len(found.pop()) == 64


def test_an_augmented_batch_is_pinned():
    """Flips and crops move pixels and compute nothing, so their bits are those of any machine."""
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    batch = next(iter(batches((x, np.arange(20)), 16, seed=3, epoch=2)))
    look = jax.jit(lambda key, batch: augment.on_batch(augment.recipe("flip-crop"), key, batch))
    seen = np.asarray(look(jax.random.key(3), batch)["x"])
    assert (seen != batch["x"]).any()
    assert hashlib.sha256(seen.tobytes()).hexdigest() == (
        "8d725fc9ec69680f3438a395852e851facf3815c8e844c85edf93958bd240b90"
    )
