"""Parameters by name: paths, patterns, counts.

A path is the names from the root to a leaf, parted by slashes: ``stage1/block1/conv1/kernel``. A
pattern is a regular expression that has to match the whole path: ``.*/kernel``, ``head/.*``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import jax


def paths(tree: Any) -> Any:
    """The same tree with each leaf replaced by its path, as in ``'stem/conv/kernel'``."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jax.tree_util.keystr(path, simple=True, separator="/"), tree
    )


def flat(tree: Any) -> dict[str, Any]:
    """``{path: leaf}``, in the order of the tree."""
    return dict(zip(jax.tree.leaves(paths(tree)), jax.tree.leaves(tree), strict=True))


def nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of dicts that ``flat`` made ``{path: leaf}`` from.

    Raises:
        ValueError: a path is both a leaf and a branch, or holds an empty name.
    """
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *branch, name = path.split("/")
        if not all([*branch, name]):
            raise ValueError(f"a path with an empty name: {path!r}")
        at = tree
        for step in branch:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                raise ValueError(f"{path!r} lies below a leaf")
        if name in at:
            raise ValueError(f"{path!r} is both a leaf and a branch")
        at[name] = leaf
    return tree


def regex(pattern: str) -> re.Pattern[str]:
    """The regular expression that a pattern is.

    Raises:
        ValueError: it is none.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def matching(pattern: str) -> Callable[[Any], Any]:
    """``params -> mask``, true where the whole path matches; for ``optax.masked`` and friends.

    Raises:
        ValueError: the pattern is no regular expression.
    """
    fits = regex(pattern).fullmatch
    return lambda tree: jax.tree.map(lambda path: bool(fits(path)), paths(tree))


def labels(rules: Mapping[str, str]) -> Callable[[Any], Any]:
    """``params -> labels`` for ``optax.partition``: the first pattern that matches names a leaf.

    Raises:
        ValueError: a pattern is no regular expression; from the function, for a path that no rule
            matches.
    """
    names = [(regex(pattern).fullmatch, name) for pattern, name in rules.items()]

    def label(path):
        for fits, name in names:
            if fits(path):
                return name
        raise ValueError(f"no rule matches {path!r}; rules: {', '.join(rules)}")

    return lambda tree: jax.tree.map(label, paths(tree))


def count(tree: Any) -> int:
    """Number of scalars."""
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
