"""A trained network for another task: another head, or its features."""

from collections.abc import Mapping
from typing import Any

import jax

from ..core import Network, build, trees, up_to


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
    if network.layer.recipe is None or network.input is None:
        missing = "is not made of registered parts" if network.input else "does not know its inputs"
        raise ValueError(f"the head of {network!r} cannot be replaced: it {missing}")
    x = jax.ShapeDtypeStruct((1, *network.input.shape), network.input.dtype)
    recipe = network.layer.recipe.to_json()
    model, other = (build(_ending(recipe, count)) for count in (classes, classes + 1))
    shapes = jax.eval_shape(other.init, key, x)
    fresh = model.init(key, x)

    def kept(new: Any, shape: Any, path: str) -> Any:  # what depends on the classes is the head
        return old[path] if new.shape == shape.shape else new

    old = trees.flat((network.params, network.state))
    params, state = jax.tree.map(kept, fresh, shapes, trees.paths(fresh))
    return Network(model, params, state, None, "softmax", network.input)


def features(network: Network, path: str) -> Network:
    """The network as far as the output at a path, as in ``features(network, "pool_all")``.

    Its values are those of the network, all of them; compiled, what comes after the path is not
    computed. ``fcnn.predict`` gives the features of any number of examples.

    Raises:
        ValueError: no output has this path; all paths are listed.
    """
    if network.input is not None:
        x = jax.ShapeDtypeStruct((1, *network.input.shape), network.input.dtype)
        jax.eval_shape(up_to(network.layer, path).apply, network.params, network.state, x)
    return network.replace(layer=up_to(network.layer, path), classes=None, output="identity")


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
