"""Policies: operations drawn at random for each image, with next to nothing to tune."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from .candidates import MOVING, OPERATIONS, Drawn, Strongest, apply, draw, matrix
from .composing import Unknown
from .protocol import Augmentation
from .values import Span, as_before, as_floats, check_number, check_whole, raise_problems
from .warping import Fill, inverse, mask_fill, moved, moved_boxes, sampling_problems, warp

RAND_AUGMENT = Strongest(rotate=30, shear=0.3, shift=0.45, factor=0.9, bits=4)
TRIVIAL_AUGMENT = Strongest(rotate=135, shear=0.99, shift=1, factor=0.99, bits=6, pixels=32)
AUG_MIX = Strongest(rotate=30, shear=0.3, shift=1 / 3, factor=0.9, bits=4)
PLAIN = tuple(  # those that none of the corruptions look like on which AugMix is measured
    name
    for name in OPERATIONS
    if name not in ("identity", "brightness", "contrast", "saturation", "sharpness")
)


def rand_augment(
    layers: int = 2,
    magnitude: float = 9,
    *,
    operations: tuple[str, ...] = OPERATIONS,
    fill: Fill = 0.5,
) -> Augmentation:
    """Draws operations, one after another, all of one magnitude (Cubuk et al., 2020,
    arXiv:1909.13719).

    At 30, angles are 30 degrees, shears 0.3, shifts 0.45 of the side, factors 0.1 or 1.9, posterize
    leaves 4 bits and solarize inverts all; each of either sign. At 0 only autocontrast and equalize
    change anything. On images that have not three channels, saturation does nothing.

    Args:
        layers: How many operations an image gets.
        magnitude: From 0 to 30.
        operations: Names to draw from, all equally likely.
        fill: What comes in from outside, as for ``warp``.
    """
    problems = _problems(operations, fill)
    check_whole("layers", layers, problems, least=1)
    check_number("magnitude", magnitude, problems, most=30)
    raise_problems(problems)
    strength = magnitude / 30
    name = f"rand_augment({layers}, {magnitude})"
    return _policy(name, layers, operations, (strength, strength), RAND_AUGMENT, fill)


def trivial_augment(*, operations: tuple[str, ...] = OPERATIONS, fill: Fill = 0.5) -> Augmentation:
    """Draws one operation and its strength (Müller and Hutter, 2021, arXiv:2103.10158).

    The strengths are those of the paper's wide space, up to angles of 135 degrees, shears of 0.99,
    shifts of 32 pixels, factors of 0.01 or 1.99, 2 bits, and all inverted.

    Args:
        operations: As for ``rand_augment``.
        fill: As for ``rand_augment``.
    """
    raise_problems(_problems(operations, fill))
    return _policy("trivial_augment()", 1, operations, (0.0, 1.0), TRIVIAL_AUGMENT, fill)


def aug_mix(
    severity: float = 3,
    *,
    chains: int = 3,
    depth: int = 3,
    alpha: float = 1.0,
    operations: tuple[str, ...] = PLAIN,
    fill: Fill = 0.5,
) -> Augmentation:
    """Mixes an image with chains of operations on it (Hendrycks et al., 2020, arXiv:1912.02781).

    ``m x + (1 - m) sum_i w_i chain_i(x)`` with m from Beta(alpha, alpha) and w from
    Dirichlet(alpha). Without the paper's consistency loss, which is a matter of training. It costs
    ``chains * depth`` operations. Masks and boxes have no meaning after it.

    Args:
        severity: Strengths are drawn from 0.1 to this, of 10; 10 is 30 in ``rand_augment``.
        chains: How many there are.
        depth: The most operations in a chain; at least one, all numbers equally likely.
        alpha: Small: mostly the image or one of the chains; large: all of them in even parts.
        operations: Names to draw from; those of the paper.
        fill: As for ``rand_augment``.
    """
    problems = _problems(operations, fill)
    check_whole("chains", chains, problems, least=1)
    check_whole("depth", depth, problems, least=1)
    check_number("severity", severity, problems, least=0.1, most=10)
    check_number("alpha", alpha, problems, least=0.01, most=100)
    raise_problems(problems)
    strengths = (0.01, severity / 10)

    def chain(key, values):
        length = random.randint(random.fold_in(key, depth), (), 1, depth + 1)
        for i in range(depth):
            drawn = draw(random.fold_in(key, i), operations, strengths)
            drawn = drawn._replace(operation=jnp.where(i < length, drawn.operation, 0))
            values = apply(drawn, values, operations, AUG_MIX, fill)
        return values

    def image(key, x):
        values = as_floats(x)
        many, parts, own = random.split(key, 3)
        new = jax.vmap(chain, (0, None))(random.split(many, chains), values)
        weights = random.dirichlet(parts, jnp.full(chains, alpha))
        share = random.beta(own, alpha, alpha)
        mixed = (weights[:, None, None, None] * new).sum(0)
        return as_before(share * values + (1 - share) * mixed, x)

    refuse = Unknown(
        "aug_mix lays differently moved images over one another, which no mask and no box can "
        "follow; use rand_augment or trivial_augment"
    )

    name = f"aug_mix({severity})"
    return Augmentation(name, image, mask=refuse, boxes=refuse, levels=True)


def _policy(
    name: str,
    layers: int,
    operations: tuple[str, ...],
    strengths: Span,
    most: Strongest,
    fill: Fill,
) -> Augmentation:
    """So many operations after one another; what moves pixels moves masks and boxes too."""

    def all_drawn(key) -> list[Drawn]:
        return [draw(random.fold_in(key, i), operations, strengths) for i in range(layers)]

    def image(key, x):
        values = as_floats(x)
        for drawn in all_drawn(key):
            values = apply(drawn, values, operations, most, fill)
        return as_before(values, x)

    def mask(key, mask):
        for drawn in all_drawn(key):
            to_input = matrix(drawn, mask.shape[:2], most)
            mask = warp(mask, to_input, fill=mask_fill(fill), interpolation="nearest")
        return mask

    def boxes(key, boxes, size):
        for drawn in all_drawn(key):
            to_output = inverse(matrix(drawn, size, most))
            boxes = moved_boxes(boxes, lambda x, y, m=to_output: moved(m, x, y), size, size)
        return boxes

    moves = bool(set(operations) & set(MOVING))
    policy = Augmentation(name, image, levels=True)
    return dataclasses.replace(policy, mask=mask, boxes=boxes) if moves else policy


def _problems(operations: Any, fill: Fill) -> list[str]:
    problems = sampling_problems(fill)
    if isinstance(operations, str) or not operations:
        problems.append(f"operations must be some names, got {operations!r}")
    unknown = [name for name in operations if name not in OPERATIONS]
    if unknown:
        problems.append(f"no operations {unknown}; there are {', '.join(OPERATIONS)}")
    return problems
