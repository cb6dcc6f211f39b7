"""Responses: each channel is measured against the others, without statistics or centring."""

import jax.numpy as jnp

from ..core import Layer, layer, pure, stateless
from ..ops.windows import positive, wide
from .channels import affine, check_channels, check_eps, check_input, means, positions, zeros


@layer
def local_response_norm(
    size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Layer:
    """Damps a channel where its ``size`` neighbours are active, as in AlexNet and GoogLeNet.

    ``x / (k + alpha * mean(x² of the neighbours)) ** beta``, with zeros beyond the first and last
    channel and ``alpha`` divided by ``size``, as in PyTorch (Krizhevsky et al., 2012; the paper
    does not divide).
    """
    positive(size=size)

    def local_response_norm(x):
        x = jnp.asarray(x)
        check_input("local_response_norm", x)
        numbers, c = wide(x), x.shape[-1]
        around = [(0, 0)] * (x.ndim - 1) + [(size // 2, (size - 1) // 2)]
        squares = jnp.pad(numbers * numbers, around)
        total = sum(squares[..., i : i + c] for i in range(size))
        total = alpha / int(size) * total  # a numpy integer would decide the dtype
        return (numbers * (k + total) ** -beta).astype(x.dtype)

    return pure(local_response_norm)


@layer
def global_response_norm(eps: float = 1e-6) -> Layer:
    """Lets channels compete by their norms over the picture (Woo et al., 2023, arXiv:2301.00808).

    ``x + scale * x * norm / mean(norm) + bias``; ``scale`` and ``bias`` start at zero, so that the
    layer starts as the identity.
    """
    check_eps(eps)

    def init(key, x):
        check_input("global_response_norm", x, rank=3)
        return {"scale": zeros(x), "bias": zeros(x)}

    def apply(params, x):
        x = jnp.asarray(x)
        check_channels("global_response_norm", x, params)
        numbers = wide(x)
        energy = (numbers * numbers).sum(positions(x), keepdims=True)
        alive = energy > 0  # the root has no gradient at zero
        norm = jnp.where(alive, jnp.sqrt(jnp.where(alive, energy, 1)), 0)
        response = numbers * (norm / (means(norm, (-1,)) + eps))
        return (numbers + affine(params, response)).astype(x.dtype)

    return stateless(init, apply)
