"""A number that is not finite, wherever it comes from: nothing that learns takes it up, and the
error says when and where it came.
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fcnn
from fcnn import batch_norm, conv, dense, dropout, flatten, relu, serial
from fcnn.core import identity
from fcnn.store.checkpoints import checkpoint_paths, newest_checkpoint, read_checkpoint
from fcnn.train import NonFiniteError

from . import children
from .children import BATCH, EXAMPLES, KINDS, OF_EPOCH, Read, bands

EPOCHS, SEED = 2, 3
BRIGHT, WRONG = 1e4, 3  # a pixel, and a class: what a layer and a loss trip over
PATHS = {  # what is first not finite, by where it comes from
    "a picture with nan": "x",
    "a picture with infinity": "x",
    "a layer": "spoil",
    "a gradient": "conv/",
    "a loss": "loss",
    "a rate": "conv/",
}


def bright(x):
    return jnp.abs(x).max((1, 2, 3), keepdims=True) > 100


@jax.custom_jvp
def steep(x):
    return x


@steep.defjvp
def _(primals, tangents):
    return primals[0], tangents[0] * jnp.where(bright(*primals), jnp.nan, 1)


SPOIL = {"a layer": lambda x: jnp.where(bright(x), jnp.nan, x), "a gradient": steep}


def loss(outputs, y):
    return jnp.where(y == WRONG, jnp.nan, fcnn.losses.cross_entropy(outputs, y))


def spoiled(data, source, example):
    """The data, in which an example is what the source trips over; () is no example."""
    x, y = data.x.copy(), data.y.copy()
    example = np.atleast_1d(np.asarray(example, int))
    pixel = {"a picture with nan": np.nan, "a picture with infinity": -np.inf}
    x[example, 4, 4] = pixel.get(source, BRIGHT)
    if source == "a loss":
        y[example] = WRONG
    return fcnn.data.arrays(x, y, classes=[*"abcd"])


def run(kind, source, folder, *, example=None, bad_step=-1):
    """Trains, with a checkpoint after each step."""
    data = spoiled(bands(EXAMPLES), source, () if example is None else example)
    rate = optax.cosine_decay_schedule(0.1, EPOCHS * OF_EPOCH)
    return fcnn.fit(
        serial(
            conv=conv(4, 3),
            spoil=SPOIL.get(source, identity),
            norm=batch_norm(),
            relu=relu,
            flat=flatten,
            drop=dropout(0.3),
            head=dense(4),
        ),
        Read(data) if kind == KINDS[1] else data,
        loss=loss,
        optimizer=optax.sgd(
            lambda step: jnp.where(step == bad_step, jnp.inf, rate(step)), momentum=0.9
        ),
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=SEED,
        average="ema",
        check=False,
        progress=False,
        checkpoint=folder,
        every=1,
        keep=EPOCHS * OF_EPOCH,
    )


def spoil_again_and_again(kind, root, times):
    """For a child: so many runs, each with one thing that is not finite at a random step."""
    numbers = np.random.Generator(np.random.Philox(key=[times, KINDS.index(kind)]))
    order, golden = fcnn.data.order(EXAMPLES, seed=SEED, epoch=0), {}
    root, found = Path(root), Counter()
    for layer in (None, *SPOIL):
        run(kind, layer, folder := root / f"golden {layer}")
        read = map(read_checkpoint, checkpoint_paths(folder))
        golden[layer] = {each.step: children.learned(each) for each in read}
    for number in range(times):
        source = [*PATHS][numbers.integers(len(PATHS))]
        if source == "a rate":
            step = int(numbers.integers(EPOCHS * OF_EPOCH))
            how = {"bad_step": step}
        else:
            step = int(numbers.integers(OF_EPOCH))
            how = {"example": int(numbers.choice(order[step * BATCH : (step + 1) * BATCH]))}
        folder = root / str(number)
        with pytest.raises(NonFiniteError) as caught:
            run(kind, source, folder, **how)
        error, case = caught.value, f"{source} at step {step + 1}"
        assert (error.epoch, error.step) == (step // OF_EPOCH + 1, step % OF_EPOCH + 1), case
        assert error.path.startswith(PATHS[source]), f"{case}: {error.path}"
        if source in ("a picture with nan", "a picture with infinity", "a layer", "a loss"):
            assert error.index.tolist() == [how["example"]], case
        newest, passed_over = newest_checkpoint(folder)
        assert passed_over == []
        undisturbed = golden[source if source in SPOIL else None]
        assert (newest and children.learned(newest)) == undisturbed.get(step), case
        if newest:
            kept = fcnn.load(folder, layer=error.network.layer)
            assert children.digest(error.network.params) == children.digest(kept.params), case
        found[source] += 1
    print(f"{kind}: caught {', '.join(f'{n} x {what}' for what, n in found.items())}")


@pytest.mark.parametrize("times", [50, pytest.param(500, marks=pytest.mark.slow)])
def test_what_is_not_finite_never_reaches_weights_or_checkpoints(tmp_path_factory, times):
    """At random steps of runs with data of both kinds, beside each other."""
    programs = tmp_path_factory.mktemp("programs")

    def spoil(kind):
        root = tmp_path_factory.mktemp("spoiled")
        code = "import sys; from tests.reliability.test_not_finite import spoil_again_and_again\n"
        code += f"spoil_again_and_again({kind!r}, sys.argv[1], {times // len(KINDS)})"
        with children.start(code, root, programs=programs) as child:
            return children.finished(child, 1200)

    with ThreadPoolExecutor(len(KINDS)) as pool:
        for line in pool.map(spoil, KINDS):
            print(line.strip())
