"""Layer -> layer: the same layer, run with standardised kernels."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import Layer, as_layer, here, layer, named_after, trees
from ..ops.windows import wide
from .channels import check_eps
from .normalization import standardize


@layer
def weight_standardized(body: Layer, eps: float = 1e-6) -> Layer:
    """The same layer; each feature of each kernel has mean 0 and variance 1 over its weights.

    (Qiao et al., 2019, arXiv:1903.10520; equal to ``StdConv2d`` of timm.) The parameters keep their
    names and stay what they are: they are standardised whenever the layer runs, all that are called
    ``kernel``, over all but their last axis. A normalization should follow to set the scale.

    Example:
        >>> from fcnn.core import serial
        >>> from fcnn.layers import conv, group_norm, relu
        >>> serial(conv=weight_standardized(conv(64, bias=False)), norm=group_norm(), relu=relu)
        serial(conv=weight_standardized(conv(64, bias=False)), norm=group_norm(), relu=relu)

    Raises:
        ValueError: ``eps`` is not positive; or, from ``init``, a feature has a single weight, which
            would always become zero.
    """
    check_eps(eps)
    body = as_layer(body)

    def init(key, x):
        params, state = body.init(key, x)
        for path, leaf in trees.flat(params).items():
            if _is_kernel(path) and leaf.size == leaf.shape[-1]:
                raise ValueError(
                    f"{here('weight_standardized')}: the features of {path} have one weight each, "
                    "which would always become zero"
                )
        return params, state

    @named_after(weight_standardized)
    def apply(params, state, x, *, train=False, key=None):
        def standardized(path, leaf):
            return _standardized(leaf, eps) if _is_kernel(path) else leaf

        params = jax.tree.map(standardized, trees.paths(params), params)
        return body.apply(params, state, x, train=train, key=key)

    return Layer(init, apply)


def _is_kernel(path: str) -> bool:
    return path.rpartition("/")[2] == "kernel"


def _standardized(kernel: Any, eps: float) -> jax.Array:
    kernel = jnp.asarray(kernel)
    y, _, _ = standardize(wide(kernel), tuple(range(kernel.ndim - 1)), eps)
    return y.astype(kernel.dtype)
