"""Optimizers, schedules and penalties: optax, by name and with rules about paths.

Every optimizer takes a learning rate, which is a number or a schedule, and three options that mean
the same throughout:

* ``weight_decay``: each step also takes away this part of the weights, times the learning rate,
  whatever the gradient is (decoupled, arXiv:1711.05101).
* ``decayed``: the pattern of the paths that decay. Kernels do; biases and norms do not.
* ``clip``: the largest global norm of the gradient; a longer one is scaled down to it.

The result is an ``optax.GradientTransformation``, and any other may stand in its place.

    >>> rate = warmup_cosine(3e-3, 1000, warmup=100)
    >>> optimizer = adamw(rate, weight_decay=0.05, clip=1.0)
    >>> the_same = named("adamw", rate, weight_decay=0.05, clip=1.0)

Parts of a network may learn at rates of their own, by the paths of their parameters:

    >>> optimizer = by_path({"head/.*": 1e-2, ".*": 1e-3}, "adamw", weight_decay=0.05)
"""

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from .core import Network, trees, visits

Schedule = Callable[[Any], Any]  # step -> learning rate
KERNELS = ".*kernel"

_OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {}


def _optimizer(rate: float, decay: float = 0.0, last: Callable = optax.identity) -> Callable:
    """Makes an optimizer of a direction: clips, directs, decays, and scales, in that order."""

    def decorate(direction):
        @functools.wraps(direction)
        def make(
            learning_rate: float | Schedule = rate,
            *,
            weight_decay: float = decay,
            decayed: str = KERNELS,
            clip: float | None = None,
            **options: float,
        ) -> optax.GradientTransformation:
            _at_least_zero(learning_rate=learning_rate, weight_decay=weight_decay)
            steps = [direction(**options)]
            if clip is not None:
                _above_zero(clip=clip)
                steps.insert(0, optax.clip_by_global_norm(clip))
            if not _is_number(weight_decay) or weight_decay > 0:
                steps.append(optax.add_decayed_weights(weight_decay, trees.matching(decayed)))
            return optax.chain(*steps, last(), optax.scale_by_learning_rate(learning_rate))

        common = [*inspect.signature(make, follow_wrapped=False).parameters.values()][:-1]
        own = inspect.signature(direction).parameters.values()
        make.__signature__ = inspect.Signature([*common, *own])
        _OPTIMIZERS[make.__name__] = make
        return make

    return decorate


@_optimizer(rate=0.01)
def sgd():
    """Steps against the gradient."""
    return optax.identity()


@_optimizer(rate=0.01)
def momentum(*, beta=0.9, nesterov=False):
    """Steps along a decaying sum of gradients; with ``nesterov`` it looks one step ahead."""
    return optax.trace(beta, nesterov)


@_optimizer(rate=1e-3)
def adam(*, b1=0.9, b2=0.999, eps=1e-8):
    """The mean gradient over the root of the mean square (arXiv:1412.6980)."""
    return optax.scale_by_adam(b1, b2, eps)


@_optimizer(rate=1e-3, decay=0.01)
def adamw(*, b1=0.9, b2=0.999, eps=1e-8):
    """Adam that decays its kernels unless told otherwise, also those that have no gradient
    (arXiv:1711.05101).
    """
    return optax.scale_by_adam(b1, b2, eps)


@_optimizer(rate=1e-3)
def nadam(*, b1=0.9, b2=0.999, eps=1e-8):
    """Adam with Nesterov's momentum (Dozat, 2016)."""
    return optax.scale_by_adam(b1, b2, eps, nesterov=True)


@_optimizer(rate=1e-3)
def radam(*, b1=0.9, b2=0.999, eps=1e-8):
    """Adam that divides by the mean square only once that can be trusted (arXiv:1908.03265)."""
    return optax.scale_by_radam(b1, b2, eps)


@_optimizer(rate=1e-3)
def adamax(*, b1=0.9, b2=0.999, eps=1e-8):
    """Adam with a decaying maximum in place of the mean square (arXiv:1412.6980, section 7)."""
    return optax.scale_by_adamax(b1, b2, eps)


@_optimizer(rate=1e-3)
def rmsprop(*, rho=0.9, eps=1e-8):
    """The gradient over the root of a decaying mean square (Tieleman and Hinton, 2012)."""
    return optax.scale_by_rms(rho, eps, eps_in_sqrt=False)


@_optimizer(rate=0.01)
def adagrad(*, initial=0.1, eps=1e-7):
    """The gradient over the root of the sum of squares and ``initial`` (Duchi et al., 2011)."""
    return optax.scale_by_rss(initial, eps)


@_optimizer(rate=1.0)
def adadelta(*, rho=0.9, eps=1e-6):
    """Adagrad with a memory that fades, in the units of the weights (arXiv:1212.5701)."""
    return optax.scale_by_adadelta(rho, eps)


@_optimizer(rate=1e-4)
def lion(*, b1=0.9, b2=0.99):
    """Steps of one size, by the sign of the momentum (arXiv:2302.06675)."""
    return optax.scale_by_lion(b1, b2)


@_optimizer(rate=1e-3, last=optax.scale_by_trust_ratio)
def lamb(*, b1=0.9, b2=0.999, eps=1e-6):
    """Adam with steps in proportion to the weights, leaf by leaf (arXiv:1904.00962)."""
    return optax.scale_by_adam(b1, b2, eps)


def names() -> list[str]:
    """What the optimizers are called."""
    return list(_OPTIMIZERS)


def named(
    name: str, learning_rate: float | Schedule | None = None, **options: Any
) -> optax.GradientTransformation:
    """The optimizer of that name, by default at its own learning rate.

    Raises:
        ValueError: there is none; the names are listed.
    """
    if name not in _OPTIMIZERS:
        raise ValueError(f"no optimizer is called {name!r}; there are {', '.join(names())}")
    return _OPTIMIZERS[name](*([] if learning_rate is None else [learning_rate]), **options)


def by_path(
    rules: Mapping[str, float | Schedule | optax.GradientTransformation],
    name: str = "adam",
    **options: Any,
) -> optax.GradientTransformation:
    """An optimizer for each part: the first pattern that matches the whole path of a parameter
    gives its rate.

    Example:
        >>> optimizer = by_path({"head/.*": 1e-2, "stage3/.*": 1e-3, ".*": 1e-4})

    Args:
        rules: ``{pattern: rate}``; a schedule or an optimizer of its own may stand for the rate.
        name: The optimizer that the rates are for.
        **options: Its options. With ``clip`` the gradient of each part is clipped by itself.

    Raises:
        ValueError: there are no rules, or no such optimizer; from ``init``, a path that no rule
            matches.
    """
    if not rules:
        raise ValueError("by_path needs at least one rule, such as {'.*': 1e-3}")
    labels = {pattern: f"rule{number}" for number, pattern in enumerate(rules, start=1)}
    optimizers = {
        labels[pattern]: rule if hasattr(rule, "update") else named(name, rule, **options)
        for pattern, rule in rules.items()
    }
    return optax.partition(optimizers, trees.labels(labels))


def layerwise(
    name: str,
    learning_rate: float | Schedule,
    network: Network,
    *,
    decay: float = 0.75,
    **options: Any,
) -> optax.GradientTransformation:
    """An optimizer whose rate falls from part to part, from the head towards the input.

    The last part learns at ``learning_rate``, each before it at ``decay`` times the rate of the
    next (Howard and Ruder, 2018, arXiv:1801.06146; Clark et al., 2020, arXiv:2003.10555): the first
    layers hold what is common to all pictures. Parts are the children of the network, as its paths
    begin, in the order in which they run; one without a kernel, such as a norm, belongs to the part
    before it.

    Example:
        >>> import fcnn
        >>> from fcnn import conv, dense, flatten, relu, serial
        >>> model = serial(conv(4), relu, conv(8), relu, flatten, dense(10))
        >>> train, _ = fcnn.data.digits()
        >>> params, state = model.init(jax.random.key(0), train.x[:1])
        >>> network = fcnn.Network(model, params, state, input=fcnn.spec(train.x[0]))
        >>> layerwise_rates(1e-3, network, decay=0.5)
        {'dense1': 0.001, 'conv2': 0.0005, 'conv1': 0.00025}
        >>> optimizer = layerwise("adam", 1e-3, network, decay=0.5)

    Raises:
        ValueError: there is no such optimizer, ``decay`` is not in (0, 1], or the network does not
            know its inputs.
    """
    rates = layerwise_rates(learning_rate, network, decay=decay)
    rules = {f"{re.escape(part)}(/.*)?": rate for part, rate in rates.items()}
    return by_path(rules, name, **options)


def layerwise_rates(
    learning_rate: float | Schedule, network: Network, *, decay: float = 0.75
) -> dict[str, float | Schedule]:
    """The rate of each part under ``layerwise``, by its path, the last part first."""
    if not 0 < decay <= 1:
        raise ValueError(f"decay must be above 0 and at most 1, got {decay!r}")
    rates: dict[str, float | Schedule] = {}
    for number, part in enumerate(reversed(_parts(network))):
        rates |= dict.fromkeys(part, _scaled(learning_rate, decay**number))
    return rates


def constant(peak: float) -> Schedule:
    """One rate for all steps."""
    return optax.constant_schedule(peak)


def linear(peak: float, steps: int, *, end: float = 0.0) -> Schedule:
    """A straight line from ``peak`` to ``end`` in ``steps``, and ``end`` from there on."""
    _above_zero(steps=steps)
    return optax.linear_schedule(peak, end, steps)


def cosine(peak: float, steps: int, *, end: float = 0.0) -> Schedule:
    """Half a cosine from ``peak`` to ``end`` in ``steps`` (arXiv:1608.03983)."""
    _above_zero(peak=peak, steps=steps)
    return optax.cosine_decay_schedule(peak, steps, alpha=end / peak)


def warmup_cosine(peak: float, steps: int, *, warmup: int, end: float = 0.0) -> Schedule:
    """A straight line from 0 to ``peak`` in ``warmup`` steps, a cosine to ``end`` in the others."""
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must be one of the {steps} steps and leave some, got {warmup}")
    fall = cosine(peak, steps - warmup, end=end)
    return optax.join_schedules([linear(0.0, warmup, end=peak), fall], [warmup]) if warmup else fall


def one_cycle(peak: float, steps: int, *, warmup: float = 0.3) -> Schedule:
    """Up from ``peak / 25`` in the part ``warmup`` of the steps, then down to nearly nothing.

    Both ways are half a cosine; the end is 1/10,000 of the beginning (arXiv:1708.07120).
    """
    _above_zero(steps=steps)
    return optax.cosine_onecycle_schedule(steps, peak, warmup)


def step_decay(peak: float, every: int, *, factor: float = 0.1) -> Schedule:
    """``peak``, and ``factor`` times as much after each ``every`` steps."""
    _above_zero(every=every, factor=factor)
    return optax.exponential_decay(peak, every, factor, staircase=True)


def exponential(peak: float, every: int, *, factor: float = 0.9) -> Schedule:
    """``peak * factor**(step / every)``."""
    _above_zero(every=every, factor=factor)
    return optax.exponential_decay(peak, every, factor)


def inverse_time(peak: float, every: int, *, rate: float = 1.0) -> Schedule:
    """``peak / (1 + rate * step / every)``: the classic of stochastic approximation."""
    _above_zero(every=every)
    return lambda step: peak / (1 + rate * jnp.asarray(step, float) / every)


def l1(strength: float, pattern: str = KERNELS) -> Callable[[Any], Any]:
    """``params -> strength * sum(|w|)`` over the paths that match; add it to a loss."""
    return _penalty(strength, pattern, jnp.abs)


def l2(strength: float, pattern: str = KERNELS) -> Callable[[Any], Any]:
    """``params -> strength * sum(w**2)`` over the paths that match; gradient ``2 strength w``.

    Example:
        >>> params = {"kernel": jnp.array([3.0, 4.0]), "bias": jnp.array([9.0])}
        >>> print(l2(0.1)(params))
        2.5
    """
    return _penalty(strength, pattern, jnp.square)


def _penalty(strength: float, pattern: str, size: Callable) -> Callable[[Any], Any]:
    _at_least_zero(strength=strength)
    matches = trees.matching(pattern)

    def penalty(params):
        chosen = trees.flat(matches(params))
        leaves = [leaf for path, leaf in trees.flat(params).items() if chosen[path]]
        if not leaves:
            raise ValueError(
                f"no path matches {pattern!r}; there are {', '.join(chosen) or 'none'}"
            )
        exact = [leaf if leaf.dtype == jnp.float64 else leaf.astype(jnp.float32) for leaf in leaves]
        return strength * sum(size(leaf).sum() for leaf in exact)

    return penalty


def _parts(network: Network) -> list[list[str]]:
    """The paths of the parts of a network, first to last, each with those that belong to it."""
    if network.input is None:
        raise ValueError(f"{network!r} does not know its inputs, which its layers are ordered by")
    order: list[str] = []

    def run(params, state, x):
        (y, _), seen = visits(network.layer.apply)(params, state, x)
        order.extend(visit.path for visit in seen)
        return y

    x = jax.ShapeDtypeStruct((1, *network.input.shape), network.input.dtype)
    jax.eval_shape(run, network.params, network.state, x)
    inside, within = "", network.params
    while len(within) == 1 and all(isinstance(part, Mapping) for part in _only(within).values()):
        inside, within = f"{inside}{next(iter(within))}/", _only(within)
    if not any(isinstance(part, Mapping) for part in within.values()):  # it is one layer
        return [[inside + name for name in within]]
    names = [
        path.removeprefix(inside).partition("/")[0] for path in order if path.startswith(inside)
    ]
    parts: list[list[str]] = []
    for name in dict.fromkeys([*(name for name in names if name in within), *within]):
        leaves = trees.flat({name: within[name]})
        if parts and not any(path.endswith("kernel") for path in leaves):
            parts[-1].append(inside + name)
        else:
            parts.append([inside + name])
    return parts


def _only(params: Mapping[str, Any]) -> Any:
    """What is under the one name that there is."""
    (part,) = params.values()
    return part


def _scaled(learning_rate: float | Schedule, factor: float) -> float | Schedule:
    if callable(learning_rate):
        return lambda step: learning_rate(step) * factor
    return learning_rate * factor


def _is_number(value: Any) -> bool:
    """Whether the value can be looked at: not a schedule, nor an array that may be traced."""
    return isinstance(value, int | float)


def _at_least_zero(**options: Any) -> None:
    for name, value in options.items():
        if _is_number(value) and not value >= 0:
            raise ValueError(f"{name} must be at least 0, got {value}")


def _above_zero(**options: Any) -> None:
    for name, value in options.items():
        if _is_number(value) and not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
