"""Probabilities that mean what they say: one number, fitted on data that was not trained on."""

from typing import Any

import numpy as np

from ..core import Network, serial
from ..evaluation import temperature
from ..layers import rescale
from .checks import checked_inputs
from .deciding import CLASSES, decided, labels_of
from .evaluation import check_network, evaluated, loss_for


def calibrate(
    network: Network, validation: Any, *, batch_size: int = 128, workers: int | None = None
) -> Network:
    """The network with its raw outputs divided by a temperature (Guo et al., 2017,
    arXiv:1706.04599).

    The temperature is the one at which the log loss on ``validation`` is least. Which class is the
    likeliest stays, so that the accuracy does; what changes is how sure the network is of it. What
    comes back is ``serial(network=layer, temperature=rescale(1 / temperature))``: paths gain
    ``network/`` in front, and its file loads without anything else.

    Example:
        >>> import fcnn
        >>> train, test = fcnn.data.digits()
        >>> train, validation = fcnn.data.split(train, 0.2)
        >>> layer = fcnn.serial(fcnn.flatten, fcnn.dense(10))
        >>> network, _ = fcnn.fit(layer, train, epochs=5, progress=False)
        >>> calibrated = fcnn.calibrate(network, validation)
        >>> before, after = (fcnn.evaluate(n, validation) for n in (network, calibrated))
        >>> after.accuracy == before.accuracy, after.log_loss < before.log_loss
        (True, True)

    Args:
        network: A network that tells classes apart.
        validation: Data as for ``evaluate``, which was not trained on: to what was, a network is
            rightly sure.
        batch_size: Examples at a time.
        workers: Threads that read the data.

    Raises:
        TypeError: the network predicts numbers.
        ValueError: what ``evaluate`` refuses, outputs that are not finite, or no temperature is
            best: all of ``validation`` is classified right, or not better than by chance.
    """
    check_network(network, "calibrate")
    form = network.output
    if form not in CLASSES:
        raise TypeError(
            f"calibrate takes a network that tells classes apart; of form {form!r} outputs are "
            "numbers, which have no probabilities"
        )
    found = evaluated(
        network,
        checked_inputs(validation, network, "validation", workers=workers),
        batch_size=batch_size,
        loss=loss_for(network, None),
        what="validation",
        workers=workers,
        names=("outputs", "y", "weight"),
    )
    outputs, weight = found["outputs"], found["weight"]
    labels = labels_of(found["y"], decided(outputs, form), form).ravel()
    logits = outputs.reshape(-1, outputs.shape[-1]) if form == "softmax" else outputs.ravel()
    weight = np.repeat(weight, len(labels) // len(weight))
    divisor = temperature(labels, logits, weight=weight)
    return network.replace(
        layer=serial(network=network.layer, temperature=rescale(1 / divisor)),
        params={"network": network.params} if network.params else {},
        state={"network": network.state} if network.state else {},
    )
