"""A small run that child processes train, and what their checkpoints must hold at each step.

A child is Python with some code; all share a folder of compiled programs, so that only the first
one compiles.
"""

import functools
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import optax

import fcnn
from fcnn import batch_norm, conv, dense, dropout, flatten, relu, serial
from fcnn.core import trees
from fcnn.store.checkpoints import checkpoint_paths, read_checkpoint

ROOT = Path(__file__).parents[2]
KINDS = ["in memory", "read along the way"]
TIMES = {"seconds", "rate", "waited"}
EXAMPLES, BATCH, EPOCHS = 45, 8, 12  # the last batch of an epoch is ragged
OF_EPOCH = -(-EXAMPLES // BATCH)
STEPS = EPOCHS * OF_EPOCH
MODEL = serial(conv(4, 3), batch_norm(), relu, flatten, dropout(0.3), dense(3))
TRAIN = """
import sys
from tests.reliability import children
print(children.result(*children.train(sys.argv[1], sys.argv[2], every=1, keep=int(sys.argv[3]))))
"""


def bands(n, seed=0):
    """8x8 pictures of three classes: a bright band at the top, middle or bottom, with noise."""
    y = np.arange(n) % 3
    x = np.random.default_rng(seed).normal(0, 0.3, (n, 8, 8, 1)).astype(np.float32)
    x += (np.arange(8) // 3 == y[:, None])[:, :, None, None]
    return fcnn.data.arrays(x, y, classes=["top", "middle", "bottom"])


class Read:
    """The same, to be read batch by batch."""

    def __init__(self, data):
        self.data, self.classes = data, data.classes

    def __len__(self):
        return len(self.data)

    def __getitem__(self, rows):
        return self.data[rows]


def noise(key, image):
    return image + 0.1 * jax.random.normal(key, image.shape)


def train(kind, folder=None, **more):
    """The run; checkpoints go into the folder."""
    data = bands(EXAMPLES)
    options = {"workers": 2} if kind == KINDS[1] else {}
    return fcnn.fit(
        MODEL,
        Read(data) if kind == KINDS[1] else data,
        optimizer=optax.sgd(optax.cosine_decay_schedule(0.1, STEPS), momentum=0.9),
        epochs=EPOCHS,
        batch_size=BATCH,
        augment=noise,
        seed=3,
        validation=bands(21, seed=1),
        average="ema",
        progress=False,
        checkpoint=folder,
        **options | more,
    )


def digest(tree):
    """SHA-256 of all leaves, with their paths, types and shapes."""
    found = hashlib.sha256()
    for path, leaf in sorted(trees.flat(tree).items()):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        leaf = np.asarray(leaf)
        found.update(f"{path} {leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    return found.hexdigest()


def learned(checkpoint):
    """All that learns."""
    names = ("params", "state", "opt_state", "average", "step", "key")
    values = {name: checkpoint.values[name] for name in names if name in checkpoint.values}
    return [checkpoint.step, digest(values)]


def state(checkpoint):
    """Everything in a checkpoint but times, and how many examples have been read ahead."""
    notes = checkpoint.notes
    position = {name: notes["position"][name] for name in ("epoch", "step", "bad")}
    past = {**notes["history"], "rows": without_times(notes["history"]["rows"])}
    return [*learned(checkpoint), digest(checkpoint.values), position, past]


def without_times(rows):
    return [{name: x for name, x in row.items() if name not in TIMES} for row in rows]


def result(network, history):
    """A finished run, as one line of JSON."""
    best = history.best
    values = [digest({"params": n.params, "state": n.state}) for n in (network, best)]
    return json.dumps([*values, history.best_epoch, without_times(history.rows)])


def start(code, *arguments, programs, **environment):
    """A child that runs Python code; ``programs`` is the folder of compiled ones."""
    kept = {
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | kept | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(child, seconds=120):
    """What a child prints, which ends well."""
    out, err = child.communicate(timeout=seconds)
    assert child.returncode == 0, err[-3000:]
    return out


def comes(condition, child, seconds=60):
    """Whether something becomes true before a child ends."""
    limit = time.monotonic() + seconds
    while not condition():
        if child.poll() is not None:
            return False
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.01)
    return True


@functools.cache
def golden(root):
    """``{kind: (state at each step, result)}`` of runs that nothing disturbs, and the folder of
    their programs; made once in a folder for all tests.
    """
    programs, found = root / "programs", {}
    runs = {
        kind: start(TRAIN, kind, root / kind, 10**6, programs=programs / kind) for kind in KINDS
    }
    for kind, child in runs.items():
        last = finished(child)
        checkpoints = map(read_checkpoint, checkpoint_paths(root / kind))
        states = {checkpoint.step: state(checkpoint) for checkpoint in checkpoints}
        assert list(states) == list(range(1, STEPS + 1))
        found[kind] = states, last
    return found, programs
