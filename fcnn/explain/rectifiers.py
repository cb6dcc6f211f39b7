"""Gradients that go back through relu by another rule, so that only what excites remains.

Both methods change the gradient of every ``max(x, 0)``, however it was written, that of ``relu6``
included. Other activations, and a relu that is a part of one (as in ``hard_swish``), keep theirs.
Their maps are sharp, but say more about the picture than about the decision: they hardly change
when the network's last layers are made random (Adebayo et al., 2018, arXiv:1810.03292).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import JaxprEqn, Literal

from ..core import Layer, Network
from .rewriting import bodies, called, elementwise, evaluate, place, plainly, scanned
from .targets import explained, folded, images, score


def guided_backprop(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """The gradient through excited units alone: ``[n, h, w, c] -> [n, h, w]``.

    A relu passes back what is positive, where its input was (Springenberg et al., 2014,
    arXiv:1412.6806).

    Example:
        >>> import fcnn, jax
        >>> from fcnn.core.network import start_network
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> x = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
        >>> network = start_network(serial(conv(4), relu, flatten, dense(10)), jax.random.key(1), x)
        >>> fcnn.explain.guided_backprop(network, x, target=7).shape
        (3, 8, 8)

    Args:
        network: What ``fit`` returned.
        x: A batch of inputs.
        target: Which output to explain: a number, one for each example, or by default the
            predicted class.
        channels: Whether to keep the channels apart, ``[n, h, w, c]``.
        batch_size: Examples at a time.

    Raises:
        TypeError: ``target`` is neither None nor integers.
        ValueError: ``x`` does not fit the network, it has no such output, or no relu.
    """
    program = _rectified(network.layer, _guided)
    return folded(explained(program, network, images(network, x), target, batch_size), channels)


def deconvnet(
    network: Network,
    x: Any,
    target: Any = None,
    *,
    channels: bool = False,
    batch_size: int = 32,
) -> np.ndarray:
    """An output sent back through a mirrored network: ``[n, h, w, c] -> [n, h, w]``.

    A relu passes back what is positive, wherever its input was (Zeiler and Fergus, 2013,
    arXiv:1311.2901). Arguments and errors are those of ``guided_backprop``.
    """
    program = _rectified(network.layer, _mirrored)
    return folded(explained(program, network, images(network, x), target, batch_size), channels)


@functools.lru_cache(maxsize=64)  # a program for each layer and rule that was asked lately
def _rectified(layer: Layer, passed: Callable) -> Any:
    def rule(eqn, values):
        if _is_relu(eqn):
            (x,) = (
                value for value, atom in zip(values, eqn.invars, strict=True) if not _zero(atom)
            )
            return [_relu(passed, x)]
        if not _holds_relu(eqn):
            return plainly(eqn, values)
        if (body := called(eqn)) is not None:
            return evaluate(body, values, rule)
        if eqn.primitive.name == "scan":
            return scanned(eqn, values, lambda body, values: evaluate(body, values, rule))
        raise ValueError(
            f"a relu inside {eqn.primitive.name}{place(eqn)} cannot get another gradient; "
            "use saliency or integrated_gradients"
        )

    @jax.jit
    def program(params, state, x, target):
        equations = jax.make_jaxpr(lambda x: layer.apply(params, state, x)[0])(x)
        if not any(map(_holds_relu, equations.eqns)):
            raise ValueError(
                "the network has no relu, whose gradient this method changes; "
                "use saliency or integrated_gradients"
            )
        return jax.grad(lambda x: score(evaluate(equations, [x], rule)[0], target))(x)

    return program


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _relu(passed: Callable, x: jax.Array) -> jax.Array:
    return jnp.maximum(x, 0)


def _relu_forward(passed, x):
    return jnp.maximum(x, 0), x


def _relu_backward(passed, x, g):
    return (passed(x, g),)


_relu.defvjp(_relu_forward, _relu_backward)


def _guided(x, g):
    return jnp.where(x > 0, jnp.maximum(g, 0), 0)


def _mirrored(x, g):
    return jnp.maximum(g, 0)


def _holds_relu(eqn: JaxprEqn) -> bool:
    if _is_relu(eqn):
        return True
    own = not elementwise(eqn) or _primitives(eqn) <= {"max", "min"}  # not another activation
    return own and any(_holds_relu(inner) for body in bodies(eqn) for inner in body.eqns)


def _is_relu(eqn: JaxprEqn) -> bool:
    return eqn.primitive.name == "max" and sum(map(_zero, eqn.invars)) == 1


def _zero(atom: Any) -> bool:
    return isinstance(atom, Literal) and not atom.aval.shape and bool(atom.val == 0)


def _primitives(eqn: JaxprEqn) -> set[str]:
    inner = [name for body in bodies(eqn) for inner in body.eqns for name in _primitives(inner)]
    return set(inner) or {eqn.primitive.name}
