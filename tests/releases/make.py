"""Writes what every later version has to load: ``python -m tests.releases.make 0.1.0``.

To be run once, by the release of that number, and kept: ``<version>/network.fcnn`` with
``logits.npz``, an input and what the network says about it, and a checkpoint of the same values.
"""

import sys
from pathlib import Path

import jax
import numpy as np

import fcnn
from fcnn import batch_norm, conv, dense, flatten, max_pool, relu, residual, serial
from fcnn.store.checkpoints import write_checkpoint

FOLDER = Path(__file__).parent
STEP = 120


def network() -> fcnn.Network:
    """A small network of what most files hold: options, names, a state that has moved."""
    layer = serial(
        conv(4, 3, stride=2, bias=False), batch_norm(), relu,
        block=residual(serial(conv(4, 3), fcnn.gelu)),
        pool=max_pool(2), flat=flatten, drop=fcnn.dropout(0.5),
        head=dense(3, kernel_init=("normal", 0.1)),
    )  # fmt: skip
    x = inputs()
    params, state = layer.init(jax.random.key(2), x)
    _, state = layer.apply(params, state, x, train=True, key=jax.random.key(3))
    example = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    return fcnn.Network(layer, params, state, classes=("ant", "bee", "cicada"), input=example)


def inputs() -> np.ndarray:
    """Five pictures of noise."""
    raw = np.random.Philox(key=1).random_raw(5 * 8 * 8 * 1) >> np.uint64(40)
    return (raw / 2**24).astype(np.float32).reshape(5, 8, 8, 1)


def main(version: str) -> None:
    """Writes the files of the version that runs."""
    if version != fcnn.__version__:
        raise SystemExit(f"this is fcnn {fcnn.__version__}, not {version}")
    folder = FOLDER / version
    folder.mkdir()  # what has been released is not written again
    made, x = network(), inputs()
    fcnn.save(folder / "network.fcnn", made)
    np.savez(folder / "logits.npz", x=x, logits=made(x))
    values = {"params": made.params, "state": made.state, "key": jax.random.key(4)}
    write_checkpoint(folder, STEP, values, {"loss": [1.5, float("nan")]})


if __name__ == "__main__":
    main(*sys.argv[1:])
