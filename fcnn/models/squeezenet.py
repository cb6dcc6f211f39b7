"""SqueezeNet (Iandola et al., 2016, arXiv:1602.07360): few weights, as most see few channels.

Images ``[n, h, w, c]`` to logits ``[n, classes]``; with ``classes=0``, to 512 features. Padding
and stride stand as in torchvision, so that its weights fit.
"""

from ..core import Layer, concat, serial
from ..layers import conv, dropout, global_avg_pool, max_pool, relu
from .dialects import Dialect, speaks
from .registry import image_model


def fire(squeezed: int, features: int) -> Layer:
    """1x1 down to ``squeezed`` channels, from which half the features see a pixel, half 3x3."""
    return serial(
        squeeze=conv(squeezed, 1), relu=relu,
        expand=concat(
            one=serial(conv=conv(features // 2, 1), relu=relu),
            three=serial(conv=conv(features // 2, 3, padding=1), relu=relu),
        ),
    )  # fmt: skip


def _squeezenet(stem: Layer, pooled: tuple[int, ...], classes: int, rate: float) -> Layer:
    """The modules fire2 to fire9, and a pooling after each whose number is in ``pooled``."""
    parts = {"conv1": stem, "relu1": relu, "pool1": max_pool(3, 2, ceil=True)}
    for i in range(2, 10):
        step = i // 2
        parts[f"fire{i}"] = fire(16 * step, 128 * step)
        if i in pooled:
            parts[f"pool{i}"] = max_pool(3, 2, ceil=True)
    if classes:
        parts |= {"dropout": dropout(rate), "head": conv(classes, 1), "relu2": relu}
    return serial(**parts, pool_all=global_avg_pool)


@image_model
def squeezenet1_0(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """SqueezeNet 1.0: 1,248,424 parameters. ``rate`` is that of the dropout before the head."""
    return _squeezenet(conv(96, 7, 2, padding="valid"), (4, 8), classes, rate)


@image_model
def squeezenet1_1(*, classes: int = 1000, rate: float = 0.5) -> Layer:
    """SqueezeNet 1.1 of the authors, as good for 2.4 times less work: 1,235,496 parameters."""
    return _squeezenet(conv(64, 3, 2, padding="valid"), (3, 5), classes, rate)


def _dialect(places: str) -> Dialect:
    """``places``: those of fire2 to fire9 in the one long row that there is there."""
    rules = [("conv1", "features.0"), ("head", "classifier.1")]
    for i, place in enumerate(places.split(), start=2):
        rules += [
            (f"fire{i}/squeeze", f"features.{place}.squeeze"),
            (f"fire{i}/expand/one/conv", f"features.{place}.expand1x1"),
            (f"fire{i}/expand/three/conv", f"features.{place}.expand3x3"),
        ]
    return Dialect(rules)


speaks(["squeezenet1_0"], _dialect("3 4 5 7 8 9 10 12"))
speaks(["squeezenet1_1"], _dialect("3 4 6 7 9 10 11 12"))
