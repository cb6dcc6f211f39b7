"""Layers made of several networks: what they say together, and side by side."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, layer, wire

VOTES = ("mean", "majority")
FLOOR = 1e-7  # probability of a class that nobody votes for


@layer
def committee(
    *members: Layer,
    output: str = "softmax",
    vote: str = "mean",
    weights: Sequence[float] | None = None,
) -> Layer:
    """Members on the same input, and what they say together, as a raw output.

    For probabilities that is their logarithm, so that the softmax of the output is the weighted
    mean of the members' probabilities, or with "majority" the share of the votes.

    Args:
        members: Layers with outputs of one shape.
        output: What turns raw outputs into predictions: "softmax", "sigmoid", "exp", "identity".
        vote: "mean" or, for classes, "majority".
        weights: Of the members; scaled to sum to one. By default all are equal.

    Raises:
        ValueError: there is no member, weights are negative or not one for each, or the vote is
            unknown, or is of numbers, or the output is unknown.
    """
    if not members:
        raise ValueError("a committee needs members")
    if (output, "mean") not in _COMBINED:
        known = ", ".join(name for name, way in _COMBINED if way == "mean")
        raise ValueError(f"output must be one of {known}, got {output!r}")
    if vote not in VOTES or (vote == "majority" and output not in ("softmax", "sigmoid")):
        raise ValueError(f"vote must be {' or '.join(VOTES)} (of classes), got {vote!r}")
    shares = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    fit = shares.shape == (len(members),) and np.isfinite(shares).all() and (shares >= 0).all()
    if not fit or not shares.sum() > 0:
        raise ValueError(f"weights must be {len(members)} numbers, at least 0, got {weights!r}")
    combine = _COMBINED[output, vote]

    def committee(f, x):
        outputs = jnp.stack([member(x) for member in vars(f).values()])
        share = jnp.asarray(shares / shares.sum(), outputs.dtype)
        return combine(outputs, share.reshape(-1, *[1] * (outputs.ndim - 1)))

    return wire(committee, **{f"member{i}": member for i, member in enumerate(members, 1)})


def _log_mean(logs: jax.Array, share: jax.Array) -> jax.Array:
    return jax.nn.logsumexp(logs, axis=0, b=share)


def _softmax_mean(outputs: jax.Array, share: jax.Array) -> jax.Array:
    return _log_mean(jax.nn.log_softmax(outputs), share)


def _sigmoid_mean(outputs: jax.Array, share: jax.Array) -> jax.Array:
    yes, no = (_log_mean(jax.nn.log_sigmoid(each), share) for each in (outputs, -outputs))
    return yes - no


def _softmax_majority(outputs: jax.Array, share: jax.Array) -> jax.Array:
    votes = jax.nn.one_hot(outputs.argmax(-1), outputs.shape[-1], dtype=outputs.dtype)
    return jnp.log((votes * share).sum(0) + FLOOR)


def _sigmoid_majority(outputs: jax.Array, share: jax.Array) -> jax.Array:
    yes, no = ((each * share).sum(0) for each in (outputs > 0, outputs <= 0))
    return jnp.log(yes + FLOOR) - jnp.log(no + FLOOR)


_COMBINED: dict[tuple[str, str], Callable[[jax.Array, jax.Array], jax.Array]] = {
    ("softmax", "mean"): _softmax_mean,
    ("softmax", "majority"): _softmax_majority,
    ("sigmoid", "mean"): _sigmoid_mean,
    ("sigmoid", "majority"): _sigmoid_majority,
    ("identity", "mean"): lambda outputs, share: (outputs * share).sum(0),
    ("exp", "mean"): _log_mean,
}


@layer
def opinions(*members: Layer) -> Layer:
    """The logarithms of the members' probabilities, side by side: ``[n, members * classes]``."""

    def opinions(f, x):
        logs = [jax.nn.log_softmax(member(x)) for member in vars(f).values()]
        return jnp.maximum(jnp.concatenate(logs, -1), jnp.log(FLOOR))

    return wire(opinions, **{f"member{i}": member for i, member in enumerate(members, 1)})
