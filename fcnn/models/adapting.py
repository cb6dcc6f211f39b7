"""A trained network for another task: another head or stem, or its features."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..core import Layer, Network, build, describe, trees, up_to, visits


def replace_head(network: Network, classes: int, key: jax.Array) -> Network:
    """The network with a fresh last layer for so many classes; all other values stay.

    Example:
        >>> import fcnn, jax
        >>> model, x = fcnn.models.resnet20(), jax.numpy.ones((1, 32, 32, 3))
        >>> params, state = model.init(jax.random.key(0), x)
        >>> trained = fcnn.Network(model, params, state, input=fcnn.spec(x[0]))
        >>> replace_head(trained, 5, jax.random.key(1))
        <network models.resnet20(classes=5), 269,397 parameters, input float32[32,32,3]>

    Args:
        network: One that ends in ``dense``, or in a model with the option ``classes``.
        classes: Outputs of the new head, which is drawn anew even if there were as many.
        key: Where its values come from.

    Raises:
        ValueError: the network ends in something else, cannot be written as data, or does not know
            what inputs it takes.
    """
    x = _example(network)
    model, other = (_with_classes(network, count) for count in (classes, classes + 1))
    shapes = jax.eval_shape(other.init, key, x)
    fresh = model.init(key, x)

    def kept(new: Any, shape: Any, path: str) -> Any:  # what depends on the classes is the head
        return old[path] if new.shape == shape.shape else new

    old = trees.flat((network.params, network.state))
    params, state = jax.tree.map(kept, fresh, shapes, trees.paths(fresh))
    return Network(model, params, state, None, "softmax", network.input)


def head_path(network: Network) -> str:
    """The path of the head, the layer whose values depend on the number of classes.

    Example:
        >>> import fcnn, jax
        >>> model, x = fcnn.models.resnet20(), jax.numpy.ones((1, 32, 32, 3))
        >>> params, state = model.init(jax.random.key(0), x)
        >>> network = fcnn.Network(model, params, state, input=fcnn.spec(x[0]))
        >>> head_path(network), before_head(network)
        ('head', 'pool_all')

    Raises:
        ValueError: as of ``replace_head``; or several layers depend on it.
    """
    x, key = _example(network), jax.random.key(0)
    two, three = (
        trees.flat(jax.eval_shape(_with_classes(network, count).init, key, x)[0])
        for count in (2, 3)
    )
    changed = [path for path, leaf in two.items() if leaf.shape != three[path].shape]
    heads = sorted({path.rpartition("/")[0] for path in changed})
    if len(heads) != 1:
        raise ValueError(f"{network!r} has {len(heads)} heads, {', '.join(heads)}, and not one")
    return heads[0]


def before_head(network: Network) -> str:
    """The path of the output that goes into the head: the last features.

    Raises:
        ValueError: as of ``head_path``; or what goes in is no output of a named layer.
    """
    head, found = head_path(network), []

    def run(params, state, x):
        (y, _), seen = visits(network.layer.apply)(params, state, x)
        inputs = [visit.x for visit in seen if visit.path == head]
        found.extend(visit.path for visit in seen if any(visit.y is x for x in inputs))
        return y

    jax.eval_shape(run, network.params, network.state, _example(network))
    if not found:
        raise ValueError(
            f"what goes into {head or 'the head'} is no output of a named layer; name the path of "
            "the features"
        )
    return found[0]


def replace_stem(network: Network, channels: int) -> Network:
    """The network for inputs of another number of channels, with the kernels of its first layer.

    For one channel they are summed over the old ones, so that a gray picture gives what it gave
    with its channel repeated; for others they are taken in turn and scaled by old / new channels,
    which keeps the size of the outputs. All other values stay.

    Example:
        gray = fcnn.models.replace_stem(fcnn.models.from_torch("resnet18", path), 1)

    Raises:
        ValueError: the network does not know its inputs, or something else than kernels depends on
            their channels.
    """
    x = _example(network)
    old = x.shape[-1]
    if not isinstance(channels, int) or channels < 1:
        raise ValueError(f"channels must be a positive integer, got {channels!r}")
    x = jax.ShapeDtypeStruct((*x.shape[:-1], channels), x.dtype)
    like = trees.flat(jax.eval_shape(network.layer.init, jax.random.key(0), x))

    def changed(path: str, leaf: Any) -> Any:
        if leaf.shape == like[path].shape:
            return leaf
        wanted = (*leaf.shape[:-2], channels, *leaf.shape[-1:])
        if not path.endswith("kernel") or like[path].shape != wanted:
            raise ValueError(
                f"{path.partition('/')[2]} is no kernel of {old} to some channels, and cannot be "
                f"adapted: it is {describe(leaf)}, and {describe(like[path])} is needed"
            )
        if channels == 1:
            return leaf.sum(-2, keepdims=True)
        return jnp.take(leaf, jnp.arange(channels) % old, axis=-2) * (old / channels)

    values = (network.params, network.state)
    params, state = jax.tree.map(changed, trees.paths(values), values)
    one = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    return network.replace(params=params, state=state, input=one)


def features(network: Network, path: str) -> Network:
    """The network as far as the output at a path, as in ``features(network, "pool_all")``.

    Its values are those of the network, all of them; compiled, what comes after the path is not
    computed. ``fcnn.predict`` gives the features of any number of examples.

    Raises:
        ValueError: no output has this path; all paths are listed.
    """
    if network.input is not None:
        run = up_to(network.layer, path).apply
        jax.eval_shape(run, network.params, network.state, _example(network))
    return network.replace(layer=up_to(network.layer, path), classes=None, output="identity")


def _example(network: Network) -> jax.ShapeDtypeStruct:
    """The inputs of the network, in a batch of one."""
    if network.input is None:
        raise ValueError(f"{network!r} cannot be adapted: it does not know its inputs")
    return jax.ShapeDtypeStruct((1, *network.input.shape), network.input.dtype)


def _with_classes(network: Network, classes: int) -> Layer:
    """The layer of the network with another number of outputs."""
    if network.layer.recipe is None:
        raise ValueError(f"{network!r} cannot be adapted: it is not made of registered parts")
    return build(_ending(network.layer.recipe.to_json(), classes))


def _ending(recipe: Any, classes: int) -> Any:
    """The recipe with another number of classes in its last part."""
    match recipe:
        case {"call": "dense", "options": options}:
            others = {name: value for name, value in options.items() if name != "features"}
            return {"call": "dense", "args": [classes], "options": others}
        case {"call": "serial", "options": Mapping() as options} if options:
            last = list(options)[-1]
            return {**recipe, "options": {**options, last: _ending(options[last], classes)}}
        case {"call": "serial", "args": [*first, last]}:
            return {**recipe, "args": [*first, _ending(last, classes)]}
        case {"options": Mapping() as options} if "classes" in options:
            return {**recipe, "options": {**options, "classes": classes}}
    ending = recipe.get("call", recipe.get("function")) if isinstance(recipe, Mapping) else recipe
    raise ValueError(
        f"the network ends in {ending}, neither dense nor a model with classes; build the new "
        "one, and take the values over"
    )
