"""The features of a trained network: computed once for data, and what a linear classifier can do
with them.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import losses, models
from ..core import Network, serial, trees, up_to
from ..data import Dataset
from ..data.streams import Stream
from ..layers import dense, global_avg_pool
from .checks import check_labels, checked_inputs
from .evaluation import predict
from .feeding import count_classes
from .stepping import weighted_mean

STEPS, FLAT = 500, 1e-5  # most steps of L-BFGS, and the norm of the gradient at which it ends


def features(
    network: Network,
    data: Any,
    path: str | None = None,
    *,
    batch_size: int = 128,
    workers: int | None = None,
) -> Dataset:
    """What a network makes of data, as a dataset: the outputs at a path, with the same targets.

    They are computed once, in batches and in evaluation mode. Anything can be trained on them: a
    small network, a model of scikit-learn on ``x`` and ``y``, a search for neighbours.

    Example:
        >>> import fcnn
        >>> train, test = fcnn.data.digits()
        >>> model = fcnn.models.small_cnn(width=4)
        >>> network, _ = fcnn.fit(model, train, epochs=1, progress=False)
        >>> features(network, test)
        <digits test features: 359 examples, x float32[32], y int32[], 10 classes>

    Args:
        network: What ``fit`` returned.
        data: A dataset, or what ``fit`` takes as one.
        path: The output to take, such as ``"stage2"``; by default what goes into the last layer.
        batch_size: Examples at a time.
        workers: Threads that read the data, as for ``fit``.

    Raises:
        ValueError: no output has this path, or the data does not fit the network.
        TypeError: batches that come one by one, and have no number.
    """
    dataset = checked_inputs(data, network, "data", workers=workers)
    if isinstance(dataset, Stream):
        raise TypeError("features are taken of a dataset, not of batches that come one by one")
    cut = models.features(network, models.before_head(network) if path is None else path)
    x = predict(cut, dataset, batch_size=batch_size, workers=workers)
    y, weight = dataset.y, dataset.weight
    if y is None:  # it is read a batch at a time
        parts = [dataset[i : i + batch_size][1:] for i in range(0, len(dataset), batch_size)]
        y, weight = [*map(np.concatenate, zip(*parts, strict=True)), None][:2]
    return Dataset(x, y, weight, dataset.classes, f"{dataset.name} features")


def linear_probe(
    network: Network,
    data: Any,
    path: str | None = None,
    *,
    l2: float = 1e-3,
    batch_size: int = 128,
    workers: int | None = None,
) -> Network:
    """The network with the best linear classifier of its features as its head.

    The features are computed once; the head is then the optimum of logistic regression on all of
    them, found by L-BFGS in seconds. The rest keeps every bit. Its accuracy tells how good the
    features are for the data, and it is a head from which to fine-tune all of the network by
    ``fit`` (Kumar et al., 2022, arXiv:2202.10054).

    Example:
        >>> import fcnn
        >>> train, test = fcnn.data.digits()
        >>> model = fcnn.models.small_cnn(width=8)
        >>> network, _ = fcnn.fit(model, train, epochs=1, progress=False)
        >>> fcnn.evaluate(linear_probe(network, train), test).accuracy > 0.9
        True

    Args:
        network: What ``fit`` returned.
        data: A dataset with classes, or ``(x, y)``, or ``(x, y, weight)``.
        path: Where the features are; maps are averaged over their pixels. By default they are what
            goes into the last layer, which is replaced.
        l2: What the sum of the squared weights of standardised features is multiplied by, and added
            to the mean loss.
        batch_size: Examples at a time.
        workers: Threads that read the data, as for ``fit``.

    Raises:
        ValueError: no output has this path, or the data does not fit the network.
        TypeError: the targets are no classes.
    """
    if not l2 >= 0:
        raise ValueError(f"l2 must be at least 0, got {l2}")
    found = features(network, data, path, batch_size=batch_size, workers=workers)
    classes = count_classes(found)
    check_labels(found.y, jax.ShapeDtypeStruct((1, classes), float), losses.cross_entropy, "data")
    x = found.x.mean(tuple(range(1, found.x.ndim - 1)))
    if path is None:
        probe = models.replace_head(network, classes, jax.random.key(0))
        head = models.head_path(probe)
    else:
        pool = {"pool": global_avg_pool} if found.x.ndim > 2 else {}
        layer = serial(body=up_to(network.layer, path), **pool, head=dense(classes))
        params = {"kernel": jnp.zeros((x.shape[1], classes)), "bias": jnp.zeros(classes)}
        state = {"body": network.state} if network.state else {}
        probe, head = Network(layer, {"body": network.params, "head": params}, state), "head"
    values = trees.flat(probe.params)
    kernel, bias = (f"{head}/{name}".lstrip("/") for name in ("kernel", "bias"))
    if values[kernel].shape != (x.shape[1], classes):
        raise ValueError(
            f"{head or 'the head'} of {network!r} is no dense layer on its features; name the path "
            "of some"
        )
    best = _logistic(x, found.y, found.weight, l2, classes=classes, biased=bias in values)
    values |= {path: best[path.rpartition("/")[2]] for path in (kernel, bias) if path in values}
    return probe.replace(
        params=trees.nested(values),
        classes=found.classes or tuple(map(str, range(classes))),
        output="softmax",
        input=network.input,
    )


@functools.partial(jax.jit, static_argnames=("classes", "biased"))
def _logistic(
    x: jax.Array, y: jax.Array, weight: jax.Array | None, l2: float, *, classes: int, biased: bool
) -> dict[str, jax.Array]:
    """The kernel and bias that minimise the mean cross-entropy, and ``l2`` times the sum of squares
    of the kernel for features of deviation one.
    """
    mean = jax.vmap(weighted_mean, (1, None))
    center = mean(x, weight) if biased else jnp.zeros(x.shape[1])
    deviation = jnp.sqrt(mean((x - center) ** 2, weight))
    deviation = jnp.where(deviation > 0, deviation, 1)
    z = (x - center) / deviation

    def objective(params):
        outputs = z @ params["kernel"] + params["bias"] * biased
        loss = weighted_mean(losses.cross_entropy(outputs, y), weight)
        return loss + l2 * (params["kernel"] ** 2).sum()

    start = {"kernel": jnp.zeros((x.shape[1], classes)), "bias": jnp.zeros(classes)}
    params = _minimum(objective, start)
    kernel = params["kernel"] / deviation[:, None]
    return {"kernel": kernel, "bias": params["bias"] - center @ kernel}


def _minimum(objective: Any, params: Any) -> Any:
    """Where a smooth function is smallest, by L-BFGS."""
    solver = optax.lbfgs()
    value_and_gradient = optax.value_and_grad_from_state(objective)

    def step(carry):
        params, state = carry
        value, gradient = value_and_gradient(params, state=state)
        updates, state = solver.update(
            gradient, state, params, value=value, grad=gradient, value_fn=objective
        )
        return optax.apply_updates(params, updates), state

    def going(carry):
        _, state = carry
        taken, gradient = (optax.tree.get(state, name) for name in ("count", "grad"))
        return (taken == 0) | ((taken < STEPS) & (optax.tree.norm(gradient) > FLAT))

    return jax.lax.while_loop(going, step, (params, solver.init(params)))[0]
