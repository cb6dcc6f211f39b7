"""Functions of single numbers, and the few of a whole axis: all of ``jax.nn``, by name.

They are plain functions and stand as layers without parentheses: ``serial(conv(8), relu)``. One
with options is a layer: ``activation(leaky_relu, negative_slope=0.2)``.
"""

import inspect
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from ..core import Layer, function, here, layer, pure, stateless
from ..ops.windows import floating
from .channels import check_channels

relu = function(jax.nn.relu)
relu6 = function(jax.nn.relu6)
leaky_relu = function(jax.nn.leaky_relu)
elu = function(jax.nn.elu)
celu = function(jax.nn.celu)
selu = function(jax.nn.selu)
gelu = function(jax.nn.gelu)
silu = swish = function(jax.nn.silu)
mish = function(jax.nn.mish)
sigmoid = function(jax.nn.sigmoid)
log_sigmoid = function(jax.nn.log_sigmoid)
tanh = function(jax.nn.tanh)
softplus = function(jax.nn.softplus)
soft_sign = function(jax.nn.soft_sign)
squareplus = function(jax.nn.squareplus)
hard_sigmoid = function(jax.nn.hard_sigmoid)
hard_silu = hard_swish = function(jax.nn.hard_silu)
hard_tanh = function(jax.nn.hard_tanh)
sparse_plus = function(jax.nn.sparse_plus)
sparse_sigmoid = function(jax.nn.sparse_sigmoid)
softmax = function(jax.nn.softmax)
log_softmax = function(jax.nn.log_softmax)
glu = function(jax.nn.glu)


@layer
def activation(fn: Callable[..., jax.Array], **options: float | bool) -> Layer:
    """A function of the input with options: torch's default gelu is
    ``activation(gelu, approximate=False)``.

    Raises:
        TypeError: the function has no such option.
    """
    try:
        inspect.signature(fn).bind(0.0, **options)
    except TypeError as error:
        raise TypeError(f"{getattr(fn, '__name__', fn)}: {error}") from None
    return pure(partial(fn, **options))


@layer
def prelu(initial: float = 0.25, *, shared: bool = False) -> Layer:
    """``max(x, 0) + scale * min(x, 0)`` with a learned scale (He et al., 2015, arXiv:1502.01852).

    Each channel has its own, or all one if ``shared``, as by default in torch.
    """

    def init(key, x):
        floating(x, here("prelu"))
        return {"scale": jnp.full(1 if shared else x.shape[-1], initial, jnp.float32)}

    def apply(params, x):
        x = jnp.asarray(x)
        check_channels("prelu", x, {} if shared else params)
        return jnp.where(x >= 0, x, params["scale"].astype(x.dtype) * x)

    return stateless(init, apply)
