"""Networks that see a picture as a row of patches: transformers and mixers.

Images ``[n, h, w, c]`` to logits ``[n, classes]``, of the one size that the network was initialised
for. The ``eps`` of the norms stands as in timm, so that its weights fit.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, here, identity, lazy, serial, stateless, wire
from ..layers import (
    activation,
    conv,
    dense,
    drop_path,
    dropout,
    gelu,
    global_avg_pool,
    layer_norm,
)
from ..layers.initializers import truncated_normal
from .dialects import Dialect, speaks
from .registry import image_model

_BEGIN = ("truncated_normal", 0.02)


def patches(size: int, features: int) -> Layer:
    """Each square of ``size`` to a vector: ``[n, h, w, c] -> [n, h / size * w / size, features]``.

    Raises:
        ValueError: from init and apply, the squares do not divide the images.
    """

    def patches(f, x):
        n, h, w, _ = x.shape
        if h % size or w % size:
            raise ValueError(
                f"{here('patches')}: patches of {size}x{size} do not divide images of {h}x{w}; "
                "resize these, or choose another patch"
            )
        return f.conv(x).reshape(n, -1, features)

    return wire(patches, conv=conv(features, size, size, padding="valid", kernel_init=_BEGIN))


def class_token() -> Layer:
    """Puts one learned vector before the others: ``[n, length, c] -> [n, 1 + length, c]``."""

    def init(key, x):
        return {"bias": jnp.zeros((1, 1, x.shape[-1]), jnp.float32)}

    def apply(params, x):
        token = params["bias"].astype(x.dtype)
        return jnp.concatenate([jnp.broadcast_to(token, (len(x), 1, x.shape[-1])), x], axis=1)

    return stateless(init, apply)


def positions() -> Layer:
    """Adds a learned vector for each place: ``[n, length, c] -> [n, length, c]``."""

    def init(key, x):
        return {"bias": truncated_normal(key, (1, *x.shape[1:]), jnp.float32, 0.02)}

    def apply(params, x):
        length = params["bias"].shape[1]
        if x.shape[1] != length:
            raise ValueError(
                f"{here('positions')} is made for {length} vectors and x has {x.shape[1]}; images "
                "must have the size that the network was initialised for"
            )
        return x + params["bias"].astype(x.dtype)

    return stateless(init, apply)


def perceptron(hidden: int, features: int) -> Layer:
    """Two dense layers with gelu between them."""
    return serial(
        dense1=dense(hidden, kernel_init=_BEGIN), act=activation(gelu, approximate=False),
        dense2=dense(features, kernel_init=_BEGIN),
    )  # fmt: skip


def self_attention(features: int, heads: int) -> Layer:
    """Attention of ``[n, length, features]`` to itself; query, key and value are one projection.

    ``capture`` shows the weights, ``[n, heads, length, length]``, as the output of ``weights``.
    """

    def self_attention(f, x):
        n, length, _ = x.shape
        q, k, v = jnp.moveaxis(f.qkv(x).reshape(n, length, 3, heads, -1), 2, 0)
        wide = np.promote_types(x.dtype, np.float32)
        logits = jnp.einsum("nqhd,nkhd->nhqk", q, k, preferred_element_type=wide)
        weights = jax.nn.softmax(logits / math.sqrt(q.shape[-1])).astype(x.dtype)
        y = jnp.einsum("nhqk,nkhd->nqhd", f.weights(weights), v)
        return f.out(y.reshape(n, length, features))

    return wire(
        self_attention,
        qkv=dense(3 * features, kernel_init=_BEGIN), weights=identity,
        out=dense(features, kernel_init=_BEGIN),
    )  # fmt: skip


def encoder_block(features: int, heads: int, drop_path_rate: float = 0.0) -> Layer:
    """Attention between patches, then a perceptron at each, both after a norm and with a skip."""

    def forward(f, x):
        x = x + f.drop(f.attention(f.norm1(x)))
        return x + f.drop(f.mlp(f.norm2(x)))

    return wire(
        forward,
        norm1=layer_norm(1e-6), attention=self_attention(features, heads),
        norm2=layer_norm(1e-6), mlp=perceptron(4 * features, features),
        drop=drop_path(drop_path_rate),
    )  # fmt: skip


def mixer_block(features: int, drop_path_rate: float = 0.0) -> Layer:
    """A perceptron along the patches, then one at each, both after a norm and with a skip."""

    def forward(f, x):
        across = f.tokens(f.norm1(x).swapaxes(1, 2)).swapaxes(1, 2)
        x = x + f.drop(across)
        return x + f.drop(f.channels(f.norm2(x)))

    return wire(
        forward,
        norm1=layer_norm(1e-6), tokens=lazy(lambda x: perceptron(features // 2, x.shape[-1])),
        norm2=layer_norm(1e-6), channels=perceptron(4 * features, features),
        drop=drop_path(drop_path_rate),
    )  # fmt: skip


def _in_proportion(drop_path_rate: float, depth: int) -> list[float]:
    """The rates of the blocks: none at the first, ``drop_path_rate`` at the last."""
    return [drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]


def _first(x):
    return x[:, 0]


def _vit(
    features: int, heads: int, patch: int, classes: int, rate: float, drop_path_rate: float
) -> Layer:
    blocks = {
        f"block{i}": encoder_block(features, heads, drop)
        for i, drop in enumerate(_in_proportion(drop_path_rate, 12), start=1)
    }
    head = {}
    if classes:
        head = {"dropout": dropout(rate), "head": dense(classes, kernel_init=_BEGIN)}
    return serial(
        patches=patches(patch, features), token=class_token(), positions=positions(),
        **blocks,
        norm=layer_norm(1e-6), first=_first, **head,
    )  # fmt: skip


@image_model
def vit_tiny(
    *, classes: int = 1000, patch: int = 16, rate: float = 0.0, drop_path_rate: float = 0.0
) -> Layer:
    """The vision transformer ViT-Ti/16 (Dosovitskiy et al., 2021, arXiv:2010.11929; Touvron et al.,
    2021, arXiv:2012.12877): 5,717,416 parameters for 224x224.

    Args:
        classes: How many logits there are; with 0 it ends in the features before them.
        patch: The side of a patch; 4 suits images of 32x32.
        rate: Of the dropout before the head.
        drop_path_rate: Of skipping the last block in training; before it less, in proportion.
    """
    return _vit(192, 3, patch, classes, rate, drop_path_rate)


@image_model
def vit_small(
    *, classes: int = 1000, patch: int = 16, rate: float = 0.0, drop_path_rate: float = 0.0
) -> Layer:
    """The vision transformer ViT-S/16: 22,050,664 parameters for 224x224."""
    return _vit(384, 6, patch, classes, rate, drop_path_rate)


@image_model
def mlp_mixer(
    *,
    classes: int = 1000,
    patch: int = 16,
    width: int = 768,
    depth: int = 12,
    drop_path_rate: float = 0.0,
) -> Layer:
    """MLP-Mixer (Tolstikhin et al., 2021, arXiv:2105.01601); as it is B/16, 59,880,472 parameters
    for 224x224.

    Args:
        classes: How many logits there are; with 0 it ends in the features before them.
        patch: The side of a patch.
        width: The channels of a patch; there are half as many within what mixes the patches, and
            four times as many within what mixes channels.
        depth: How many blocks there are.
        drop_path_rate: Of skipping the last block in training; before it less, in proportion.
    """
    blocks = {
        f"block{i}": mixer_block(width, drop)
        for i, drop in enumerate(_in_proportion(drop_path_rate, depth), start=1)
    }
    head = {"head": dense(classes, kernel_init=_BEGIN)} if classes else {}
    return serial(
        patches=patches(patch, width), **blocks,
        norm=layer_norm(1e-6), pool_all=global_avg_pool, **head,
    )  # fmt: skip


def _at(inside: str):
    return lambda match: f"blocks.{int(match[1]) - 1}.{match.expand(inside)}"


_NORMS = (r"block(\d+)/(norm\d)", _at(r"\2"))
_ENDS = (("norm", "norm"), ("head", "head"))
_VIT = [
    ("patches/conv", "patch_embed.proj"), ("token/bias", "cls_token"),
    ("positions/bias", "pos_embed"), _NORMS,
    (r"block(\d+)/attention/qkv", _at("attn.qkv")),
    (r"block(\d+)/attention/out", _at("attn.proj")),
    (r"block(\d+)/mlp/dense(\d)", _at(r"mlp.fc\2")), *_ENDS,
]  # fmt: skip
_MIXER = [
    ("patches/conv", "stem.proj"), _NORMS,
    (r"block(\d+)/(tokens|channels)/dense(\d)", _at(r"mlp_\2.fc\3")), *_ENDS,
]  # fmt: skip
speaks(["vit_tiny", "vit_small"], Dialect(_VIT))  # of timm
speaks(["mlp_mixer"], Dialect(_MIXER))
