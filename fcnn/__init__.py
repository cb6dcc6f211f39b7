"""Convolutional networks in JAX: a layer is a pair of pure functions."""

from .core import *  # noqa: F403  (written out once the house stands)
