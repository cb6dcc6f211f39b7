"""How a network of images ends."""

from typing import Any

from ..layers import dense, dropout, global_avg_pool


def pooled_head(classes: int, rate: float = 0.0) -> dict[str, Any]:
    """The parts of a ``serial`` from features ``[n, h, w, c]`` to logits ``[n, classes]``: the mean
    over all pixels, dropout where there is some, a dense layer. With no classes it ends in the
    features ``[n, c]``.
    """
    parts: dict[str, Any] = {"pool_all": global_avg_pool}
    if classes and rate:
        parts["dropout"] = dropout(rate)
    if classes:
        parts["head"] = dense(classes)
    return parts
