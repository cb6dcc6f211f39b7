"""Weights of PyTorch in networks of the zoo, and back."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import models, normalize, rescale, serial
from fcnn.weights import read_safetensors, write_safetensors

SHARED = Path(os.environ.get("FCNN_DATA", Path(__file__).parents[3] / "shared" / "data"))
WEIGHTS = SHARED / "weights" / "resnet20-12fca82f.th"
PICTURES = SHARED / "cifar10" / "cifar10-jpg.zip"
needs_weights = pytest.mark.skipif(
    not WEIGHTS.is_file(), reason=f"no {WEIGHTS}; FCNN_DATA names another folder"
)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def network():
    layer = models.resnet20()
    params, state = layer.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    draw = np.random.default_rng(0).normal
    values = jax.tree.map(
        lambda leaf: jnp.asarray(leaf + draw(0, 0.1, leaf.shape), leaf.dtype), (params, state)
    )
    return fcnn.Network(layer, *values)


def test_weights_go_round_trip(network, tmp_path):
    file = tmp_path / "resnet20.safetensors"
    models.to_torch(file, "resnet20", network)
    again = models.from_torch("resnet20", file)
    jax.tree.map(
        np.testing.assert_array_equal, (again.params, again.state), (network.params, network.state)
    )
    assert again.input.shape == (32, 32, 3)
    assert {key for key in read_safetensors(file) if key.startswith("layer2.0.bn1")} == {
        f"layer2.0.bn1.{name}"
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }


def test_all_that_does_not_fit_is_listed(network, tmp_path):
    file = tmp_path / "resnet20.safetensors"
    models.to_torch(file, "resnet20", network)
    arrays = read_safetensors(file)
    del arrays["layer1.0.conv1.weight"]
    arrays["linear.weight"] = np.zeros((100, 64), np.float32)
    arrays["extra.weight"] = np.zeros(3, np.float32)
    write_safetensors(file, arrays)
    with pytest.raises(ValueError, match="these are no weights of") as caught:
        models.from_torch("resnet20", file)
    for words in (
        str(file),
        "missing: layer1.0.conv1.weight (our stage1/block1/conv1/kernel)",
        "of another shape: linear.weight is [100, 64], which gives [64, 100] for our [64, 10]",
        "unexpected: extra.weight [3]",
    ):
        assert words in str(caught.value)
    with pytest.raises(ValueError, match="its SHA-256 is"):
        models.from_torch("resnet20", file, sha256="0" * 64)
    with pytest.raises(ValueError, match="not known for 'lenet5'"):
        models.from_torch("lenet5", file)


@needs_weights
def test_a_file_of_pytorch_is_read_without_pytorch():
    code = (
        "import sys; sys.modules['torch'] = None; import fcnn; "
        f"print(fcnn.models.from_torch('resnet20', {str(WEIGHTS)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "269,722 parameters, input float32[32,32,3]" in done.stdout, done.stderr


@needs_weights
@pytest.mark.skipif(not PICTURES.is_file(), reason=f"no {PICTURES}")
@pytest.mark.parametrize(
    ("step", "correct"), [(20, 404), pytest.param(1, 8_103, marks=pytest.mark.slow)]
)
def test_published_weights_give_the_published_accuracy(step, correct):
    """8,103 of 10,000 on pictures that went through JPEG; another decoder may move a few."""
    pytest.importorskip("PIL")
    _, test = fcnn.data.folder(PICTURES, size=32)
    found = models.from_torch("resnet20", WEIGHTS)
    layer = serial(rescale=rescale(1 / 255), norm=normalize(MEAN, DEVIATION), net=found.layer)
    params, state = layer.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    network = fcnn.Network(layer, {**params, "net": found.params}, {**state, "net": found.state})
    some = test.take(slice(None, None, step))
    right = fcnn.predict(network, some, batch_size=125).argmax(-1) == some.y
    print(f"{right.sum()} of {len(some)}")
    assert abs(int(right.sum()) - correct) <= 5
