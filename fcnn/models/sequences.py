"""Convolutional networks for what has a length: sentences and sounds."""

from collections.abc import Sequence

from ..core import Layer, concat, serial
from ..layers import (
    batch_norm,
    conv,
    dense,
    dropout,
    embedding,
    global_avg_pool,
    global_max_pool,
    log_mel,
    max_pool,
    relu,
)
from .registry import model


@model
def sentence_cnn(
    *,
    classes: int = 2,
    vocabulary: int = 20_000,
    features: int = 300,
    windows: Sequence[int] = (3, 4, 5),
    filters: int = 100,
    rate: float = 0.5,
) -> Layer:
    """The sentence classifier of Kim (2014, arXiv:1408.5882): ``[n, t]`` integers to ``[n,
    classes]`` logits, 360,902 parameters besides the 300 of each word.

    Each filter looks at a few words side by side, and what counts is the place that suits it best.
    Sentences are filled up to one length, which is at least that of the longest window.

    Args:
        classes: How many logits there are; with 0 it ends in the features before them.
        vocabulary: How many integers there are, from 0 on.
        features: The length of the vector of a word.
        windows: How many words the filters look at.
        filters: How many filters there are for each window.
        rate: Of the dropout before the head.
    """
    looks = {
        f"window{size}": serial(conv=conv(filters, (size,), padding="valid"), relu=relu,
                                pool=global_max_pool)
        for size in windows
    }  # fmt: skip
    head = {"dropout": dropout(rate), "head": dense(classes)} if classes else {}
    return serial(words=embedding(vocabulary, features), looks=concat(**looks), **head)


@model
def audio_cnn(
    *,
    classes: int = 10,
    sample_rate: int = 16_000,
    bands: int = 64,
    width: int = 32,
    rate: float = 0.2,
) -> Layer:
    """A small network for sounds of a second or so: waveforms ``[n, samples]`` to logits ``[n,
    classes]``, 94,188 parameters.

    Three convolutions on the log-mel spectrogram, then the mean over time and frequency.

    Args:
        classes: How many logits there are; with 0 it ends in the features before them.
        sample_rate: Samples a second, in Hz.
        bands: How many bands the spectrogram has, 8 or more.
        width: Channels of the first convolution; each of the next has twice as many.
        rate: Of the dropout before the head.
    """
    blocks = {}
    for i in range(1, 4):
        blocks[f"block{i}"] = serial(
            conv=conv(width * 2 ** (i - 1), 3, bias=False), bn=batch_norm(), relu=relu,
            pool=max_pool(2),
        )  # fmt: skip
    head = {"dropout": dropout(rate), "head": dense(classes)} if classes else {}
    return serial(
        mel=log_mel(sample_rate, bands=bands), bn=batch_norm(), **blocks,
        pool_all=global_avg_pool, **head,
    )  # fmt: skip
