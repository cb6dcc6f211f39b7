"""Fine-tuning: a network that was trained elsewhere learns other data, its head first."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import optax

from .. import models, optimizers
from ..core import Network, trees
from .checks import checked_inputs
from .feeding import count_classes
from .fitting import fit
from .history import History
from .preparing import check_counts


def fine_tune(
    network: Network,
    train: Any,
    *,
    classes: int | None = None,
    head_epochs: int = 5,
    epochs: int | Sequence[int] = 10,
    head_optimizer: optax.GradientTransformation | str | None = None,
    optimizer: optax.GradientTransformation | str | None = None,
    unfreeze: str | Sequence[str] = ".*",
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    **options: Any,
) -> tuple[Network, History]:
    """Trains a network on other data: a new head on frozen features, then all of it.

    In the first phase everything but the new head is frozen, so that the large gradients of what
    was drawn at random cannot spoil what has been learned. In the second the rest is trained, too,
    at a lower rate. Where there are few examples, let the first layers learn more slowly
    (``optimizers.layerwise``), or later: ``unfreeze`` takes several patterns, and a phase for each
    trains what it matches and all that was trained before (Howard and Ruder, 2018,
    arXiv:1801.06146).

    Example:
        network, history = fcnn.fine_tune(
            source, train, head_epochs=20, epochs=(10, 20), unfreeze=("stage3/.*", ".*"),
            optimizer=fcnn.optimizers.layerwise("adam", 1e-3, source), validation=0.1,
        )

    Args:
        network: What ``fit`` returned for the other data, or ``fcnn.models.from_torch``. It keeps
            its values.
        train: The data, as for ``fit``.
        classes: Outputs of the new head; by default the classes of the data.
        head_epochs: How long the new head is trained alone; with 0 there is no such phase.
        epochs: How long each pattern of ``unfreeze`` is trained; one number is for each of them.
        head_optimizer: Of the first phase; Adam at 1e-3 if none.
        optimizer: Of the others; Adam at 1e-4 if none.
        unfreeze: What is trained beside the head, as a pattern on paths; or several, one after the
            other.
        seed: Where all randomness comes from.
        checkpoint: A folder, with a folder for each phase: a call that is made again goes on where
            its newest checkpoint stands.
        **options: More of ``fit``, such as ``validation``, ``augment`` and ``batch_size``; they are
            the same in all phases. With ``patience`` each phase goes on from the best network of
            the one before.

    Returns:
        The network, and the history of all phases in one. With ``patience`` it is the best of all
        phases, as ``history.best``.

    Raises:
        ValueError: the network has no head to replace, a pattern matches no parameter, and as of
            ``fit``.
        TypeError: ``trainable`` is given, which follows from ``unfreeze``; and as of ``fit``.
    """
    if "trainable" in options:
        raise TypeError("fine_tune takes unfreeze in place of trainable")
    patterns = (unfreeze,) if isinstance(unfreeze, str) else tuple(unfreeze)
    lengths = tuple(epochs) if isinstance(epochs, Sequence) else (epochs,) * len(patterns)
    if len(lengths) != len(patterns):
        raise ValueError(
            f"epochs={epochs!r} is for {len(lengths)} patterns, and unfreeze has {len(patterns)}"
        )
    if head_epochs != 0:
        check_counts(head_epochs=head_epochs)
    data = checked_inputs(train, network, "train", workers=options.get("workers"))
    if classes is None:
        classes = count_classes(data)
    tuned = models.replace_head(network, classes, jax.random.key(seed))
    _check_patterns(patterns, tuned.params)

    head = f"{models.head_path(tuned)}/.*".lstrip("/")
    phases = [(head, head_epochs, head_optimizer or optimizers.adam(1e-3))] if head_epochs else []
    for number, length in enumerate(lengths, start=1):
        trained = "|".join(f"(?:{pattern})" for pattern in (head, *patterns[:number]))
        phases.append((trained, length, optimizer or optimizers.adam(1e-4)))
    histories = []
    for number, (trained, length, how) in enumerate(phases, start=1):
        folder = None if checkpoint is None else Path(checkpoint) / f"phase_{number}"
        tuned, history = fit(
            tuned,
            data,
            trainable=trained,
            epochs=length,
            optimizer=how,
            seed=seed,
            checkpoint=folder,
            **options,
        )
        histories.append(history)
        if history.interrupted:
            break
    joined = _joined(histories)
    stops = options.get("patience") is not None and joined.best is not None
    return (joined.best if stops and not joined.interrupted else tuned), joined


def _check_patterns(patterns: Sequence[str], params: Any) -> None:
    """Refuses a pattern that matches nothing, and shows what there is."""
    for pattern in patterns:
        if not any(jax.tree.leaves(trees.matching(pattern)(params))):
            known = ", ".join(list(trees.flat(params))[:12])
            raise ValueError(f"unfreeze={pattern!r} matches no parameter; there are {known}, ...")


def _joined(histories: Sequence[History]) -> History:
    """The epochs of several runs as those of one."""
    first, last = histories[0], histories[-1]
    joined = History(monitor=first.monitor, mode=first.mode)
    for history in histories:
        for row in history.rows:
            joined.record({**row, "epoch": len(joined) + 1}, lambda of=history: of.best)
    joined.last, joined.stopped, joined.interrupted = last.last, last.stopped, last.interrupted
    return joined
