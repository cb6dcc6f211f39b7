"""Several networks as one: a committee is a ``Network`` like any other.

It evaluates, explains, saves and loads; its members are its children, ``member1/...``.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Network, serial
from ..data import Dataset, arrays, as_dataset
from ..layers import dense
from ..train import evaluate, fit, predict
from ..train.preparing import check_counts
from .committees import FLOOR, committee, opinions
from .labs import SMALLER
from .validating import figure_of, trained


def ensemble(
    networks: Sequence[Network],
    *,
    vote: str = "mean",
    weights: Sequence[float] | None = None,
) -> Network:
    """The networks as one that says what they say on average (Hansen and Salamon, 1990).

    By Jensen's inequality the loss of the mean probability is at most the mean of the losses.

    Example:
        >>> import fcnn
        >>> from fcnn import dense, flatten, serial
        >>> train, test = fcnn.data.digits()
        >>> model = serial(flatten, dense(10))
        >>> members = [fcnn.fit(model, train, epochs=3, seed=s, progress=False)[0] for s in (0, 1)]
        >>> both = fcnn.study.ensemble(members)
        >>> losses = [fcnn.evaluate(network, test).loss for network in members]
        >>> bool(fcnn.evaluate(both, test).loss <= sum(losses) / 2)
        True

    Args:
        networks: Of any architectures, with inputs, classes and kinds of output alike.
        vote: "mean" of the probabilities, or "majority" of the predictions.
        weights: Of the networks, such as ``mixture_weights`` finds; by default all are equal.

    Raises:
        ValueError: there is none, or they differ in what they take or tell.
    """
    networks = _alike(networks)
    first = networks[0]
    model = committee(
        *(network.layer for network in networks),
        output=first.output,
        vote=vote,
        weights=None if weights is None else tuple(float(weight) for weight in weights),
    )
    return first.replace(layer=model, **_values(networks))


def mixture_weights(networks: Sequence[Network], data: Any, *, batch_size: int = 128) -> np.ndarray:
    """The weights with which the mean probability fits held-out data best, ``[networks]``.

    They maximise the likelihood of the mixture, which is concave, by expectation maximisation
    (Dempster et al., 1977). Use data that no member was trained on.

    Raises:
        ValueError: the networks are no classifiers with one label an example.
    """
    networks = _alike(networks)
    truth, said = _probabilities(networks, data, batch_size)
    likely = np.maximum(said[:, np.arange(len(truth)), truth], 1e-300)
    weights = np.full(len(networks), 1 / len(networks))
    for _ in range(1000):
        parts = weights[:, None] * likely
        new = (parts / parts.sum(0)).mean(1)
        if np.abs(new - weights).max() < 1e-9:
            break
        weights = new
    return weights


def stack(
    networks: Sequence[Network],
    data: Any,
    *,
    epochs: int = 100,
    batch_size: int = 128,
    seed: int = 0,
) -> Network:
    """The networks under a layer that learned, on data they were not trained on, whom to believe
    in what (Wolpert, 1992): logistic regression on the logarithms of their probabilities.

    Raises:
        ValueError: the networks are no classifiers with one label an example.
    """
    networks = _alike(networks)
    truth, said = _probabilities(networks, data, batch_size)
    k = said.shape[-1]
    logs = np.log(np.maximum(said, FLOOR)).transpose(1, 0, 2).reshape(len(truth), -1)
    mean = jnp.tile(jnp.eye(k), (len(networks), 1)) / len(networks)  # begins as their mean
    head = dense(k)
    start = Network(head, {"kernel": mean, "bias": jnp.zeros(k)}, {}, networks[0].classes)
    fitted, _ = fit(
        start,
        arrays(logs, truth),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        progress=False,
    )
    below = opinions(*(network.layer for network in networks))
    values = _values(networks)
    params = {"members": values["params"], "head": fitted.params}
    state = {"members": values["state"]} if values["state"] else {}
    model = serial(members=below, head=head)
    return networks[0].replace(layer=model, params=params, state=state)


def bagging(run: Callable[..., Any], data: Any, n: int = 5, *, seed: int = 0) -> list[Network]:
    """Networks that were each trained on as many examples drawn with replacement (Breiman, 1996).

    Args:
        run: ``train -> network``, or what ``fit`` returns; it gets ``seed`` if it takes one.
        data: A dataset, or what ``fcnn.data.as_dataset`` takes.
        n: How many.
        seed: Of the draws; network k trains with ``seed + k``.
    """
    check_counts(n=n)
    dataset = as_dataset(data)
    return [trained(run, resampled(dataset, seed + k), seed + k) for k in range(n)]


def resampled(data: Dataset, seed: int) -> Dataset:
    """As many examples, drawn with replacement."""
    numbers = np.random.Generator(np.random.Philox(key=seed))
    return data.take(np.sort(numbers.integers(len(data), size=len(data))))


class Snapshots:
    """A callback of ``fit`` that keeps a copy of the network at the end of each cycle.

    With a learning rate that falls to zero in each cycle, such as ``optax.sgdr_schedule``, the
    copies are an ensemble for the price of one run (Huang et al., 2017, arXiv:1704.00109).

    Attributes:
        every: Epochs in a cycle.
        networks: The copies so far.
    """

    def __init__(self, every: int):
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a positive number of epochs, got {every!r}")
        self.every, self.networks = every, []

    def __call__(self, moment: Any) -> None:
        """Keeps a copy if a cycle has ended."""
        if moment.row["epoch"] % self.every == 0:
            self.networks.append(moment.copied())


def soup(networks: Sequence[Network], data: Any, *, figure: str = "accuracy") -> Network:
    """One network with the mean of the values of some: the greedy soup (Wortsman et al., 2022,
    arXiv:2203.05482).

    The networks, the best first, join one by one, each only if the mean then does no worse on
    ``data``. They share one architecture and, to be worth it, one origin, such as several ways of
    fine-tuning. It costs no more than one network to run.

    Args:
        networks: Of one architecture.
        data: Held out; what the figure is measured on.
        figure: Of the report; larger is better, unless it is a loss or an error by its name.

    Raises:
        ValueError: their architectures differ, or the report has no such figure.
    """
    networks = _alike(networks)
    if len({jax.tree.structure(network) for network in networks}) > 1:
        raise ValueError("a soup needs networks of one architecture; ensemble takes any")
    sign = -1 if figure.endswith(SMALLER) else 1

    def score_of(network):
        return sign * figure_of(evaluate(network, data), figure)

    scores = [score_of(network) for network in networks]
    order = sorted(range(len(networks)), key=lambda i: -scores[i])
    best, chosen = scores[order[0]], [networks[order[0]]]
    for i in order[1:]:
        score = score_of(_mean([*chosen, networks[i]]))
        if score >= best:
            best, chosen = score, [*chosen, networks[i]]
    return _mean(chosen)


class Uncertainty(NamedTuple):
    """How unsure a committee is about each example, in nats, ``[n]`` each.

    Attributes:
        total: Entropy of the mean probabilities.
        data: Mean entropy of the members: doubt that they share, which is in the data.
        model: The rest, their disagreement: doubt that more data could end.
    """

    total: np.ndarray
    data: np.ndarray
    model: np.ndarray


def uncertainty(networks: Sequence[Network], x: Any, *, batch_size: int = 128) -> Uncertainty:
    """How unsure networks are together (deep ensembles, Lakshminarayanan et al., 2017,
    arXiv:1612.01474; the parts as in Depeweg et al., 2018, arXiv:1710.07283).

    Args:
        networks: Classifiers, such as of several seeds.
        x: Inputs ``[n, ...]``, or a dataset.
        batch_size: Examples at a time.

    Raises:
        ValueError: the networks give no probabilities of classes.
    """
    networks = _classifiers(networks)
    said = np.stack([predict(n, x, batch_size=batch_size) for n in networks]).astype(float)
    total, parts = _entropy(said.mean(0)), _entropy(said).mean(0)
    return Uncertainty(total, parts, np.maximum(total - parts, 0))


def _entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)


def _mean(networks: Sequence[Network]) -> Network:
    def mean(*leaves):
        if not jnp.issubdtype(leaves[0].dtype, jnp.inexact):
            return leaves[0]
        return (sum(leaf.astype(jnp.float32) for leaf in leaves) / len(leaves)).astype(
            leaves[0].dtype
        )

    return jax.tree.map(mean, *networks)


def _values(networks: Sequence[Network]) -> dict[str, Any]:
    """Parameters and state by member."""
    named = {f"member{i}": network for i, network in enumerate(networks, 1)}
    return {
        field: {name: getattr(n, field) for name, n in named.items() if getattr(n, field)}
        for field in ("params", "state")
    }


def _probabilities(
    networks: Sequence[Network], data: Any, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Labels ``[n]`` and probabilities ``[networks, n, k]`` in float64."""
    reports = [evaluate(n, data, batch_size=batch_size) for n in _classifiers(networks)]
    return reports[0].targets, np.stack([report.probabilities for report in reports])


def _classifiers(networks: Sequence[Network]) -> list[Network]:
    """The networks, which take the same and give probabilities of the same classes."""
    networks = _alike(networks)
    if networks[0].output != "softmax":
        raise ValueError(f"this needs classifiers, not networks of output {networks[0].output!r}")
    return networks


def _alike(networks: Sequence[Network]) -> list[Network]:
    """The networks, which take and tell the same."""
    networks = list(networks)
    if not networks or not all(isinstance(network, Network) for network in networks):
        raise ValueError(f"an ensemble needs networks, got {networks!r:.80}")
    for name in ("input", "classes", "output"):
        if len({getattr(network, name) for network in networks}) > 1:
            found = ", ".join(str(getattr(network, name)) for network in networks)
            raise ValueError(f"the networks differ in {name}: {found:.200}")
    return networks
