"""Vision transformers and the mixer against PyTorch, with the modules of timm."""

import numpy as np
import pytest

from .dialect_parts import assert_same_as_torch, digest, published, torch_shapes

torch = pytest.importorskip("torch")
nn = torch.nn

WIDTHS = {"vit_tiny": (192, 3), "vit_small": (384, 6)}  # and heads
NAMES = [*WIDTHS, "mlp_mixer"]
X = np.random.default_rng(0).normal(size=(2, 64, 48, 3)).astype(np.float32)


class Mlp(nn.Module):
    def __init__(self, features, hidden):
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.fc2 = nn.Linear(hidden, features)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(x)))


class PatchEmbed(nn.Module):
    def __init__(self, features, patch):
        super().__init__()
        self.proj = nn.Conv2d(3, features, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).mT


class Attention(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)

    def forward(self, x):
        n, length, _ = x.shape
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k, v = (part.reshape(n, length, self.heads, -1).transpose(1, 2) for part in (q, k, v))
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(features, 1e-6)
        self.attn = Attention(features, heads)
        self.norm2 = nn.LayerNorm(features, 1e-6)
        self.mlp = Mlp(features, 4 * features)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    def __init__(self, name, tokens, classes, patch):
        super().__init__()
        features, heads = WIDTHS[name]
        self.patch_embed = PatchEmbed(features, patch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, features))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + tokens, features))
        self.blocks = nn.Sequential(*(Encoder(features, heads) for _ in range(12)))
        self.norm = nn.LayerNorm(features, 1e-6)
        self.head = nn.Linear(features, classes)

    def forward(self, x):
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.repeat(len(x), 1, 1), x], 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class MixerBlock(nn.Module):
    def __init__(self, features, tokens):
        super().__init__()
        self.norm1 = nn.LayerNorm(features, 1e-6)
        self.mlp_tokens = Mlp(tokens, features // 2)
        self.norm2 = nn.LayerNorm(features, 1e-6)
        self.mlp_channels = Mlp(features, 4 * features)

    def forward(self, x):
        x = x + self.mlp_tokens(self.norm1(x).mT).mT
        return x + self.mlp_channels(self.norm2(x))


class Mixer(nn.Module):
    def __init__(self, tokens, classes, patch, width=768, depth=12):
        super().__init__()
        self.stem = PatchEmbed(width, patch)
        self.blocks = nn.Sequential(*(MixerBlock(width, tokens) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, 1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.stem(x))).mean(1))


def make(name, tokens=196, classes=1000, patch=16):
    if name in WIDTHS:
        return VisionTransformer(name, tokens, classes, patch)
    return Mixer(tokens, classes, patch)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if "tiny" in name else pytest.mark.slow) for name in NAMES]
)
def test_a_network_of_patches_computes_what_pytorchs_does(name):
    assert_same_as_torch(name, make(name, 12, 5), X, classes=5)


def test_a_small_mixer_with_small_patches_computes_what_pytorchs_does():
    options = {"classes": 5, "patch": 8, "width": 24, "depth": 3}
    assert_same_as_torch("mlp_mixer", Mixer(48, **options), X, **options)


def test_a_transformer_with_small_patches_computes_what_pytorchs_does():
    x = X[:, :24, :16]
    assert_same_as_torch("vit_tiny", make("vit_tiny", 24, 5, 4), x, classes=5, patch=4)


@pytest.mark.parametrize("name", NAMES)
def test_the_names_kept_are_those_of_pytorch(name):
    with torch.device("meta"):
        module = make(name)
    assert digest(torch_shapes(module)) == published(name)
