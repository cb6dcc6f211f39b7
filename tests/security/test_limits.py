"""What a small file may ask for has an end, and the words say where."""

import json

import numpy as np
import pytest

import fcnn
from fcnn.core import build
from fcnn.store import CheckpointError, manifest, tensors

from . import hostile


def test_a_recipe_cannot_ask_for_deep_models_without_end():
    deep = {"call": "resnet110", "args": [], "options": {}}
    with pytest.raises(ValueError, match="may ask for 10,000 layers; this asks for more"):
        build({"call": "serial", "args": [deep] * 60, "options": {}})
    with pytest.raises(ValueError, match="may ask for 10,000 layers"):
        build({"call": "serial", "args": [{"function": "relu"}] * 10_001, "options": {}})
    assert build(deep).recipe.name == "resnet110"  # each recipe begins anew
    fcnn.serial(*[fcnn.relu] * 10_001)  # code may


@pytest.mark.parametrize("text", hostile.wide_manifests()[:9], ids=lambda text: repr(text[7:30]))
def test_a_manifest_cannot_stand_for_values_without_end(text):
    with pytest.raises(ValueError, match="values; 400,000 are allowed"):
        manifest.decode(text)


def test_as_many_tensors_as_are_allowed_fit_into_a_manifest():
    entry = {"dtype": "float8_e4m3b11fnuz", "shape": [1024] * 4}
    tree = {f"params/stage{i}/conv/kernel": entry for i in range(tensors.MOST_TENSORS)}
    data = manifest.encode({"format": 1, "tree": tree})
    assert manifest.decode(data)["tree"] == tree
    with pytest.raises(ValueError, match="values; 400,000 are allowed"):
        manifest.encode({"format": 1, "history": [0] * 400_000})


def test_a_manifest_is_read_in_one_encoding_only():
    text = json.dumps({"format": 1, "digest": "0" * 64}).encode("utf-16")
    with pytest.raises(ValueError, match="ascii"):
        manifest.decode(hostile.signed(text + b" "))


def test_true_and_false_are_all_that_a_bool_can_be():
    data, tree = tensors.encode({"a": np.array([True, False, True])})
    assert tensors.decode(memoryview(data), tree)["a"].tolist() == [True, False, True]
    wrong = data.replace(b"\n\1\0\1", b"\n\1\0\2")
    with pytest.raises(ValueError, match="true and false holds other numbers"):
        tensors.decode(memoryview(wrong), tree)


def test_what_is_no_file_is_an_error_that_names_it(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    with pytest.raises(CheckpointError, match=rf"^{file}/x: cannot be read: Not a directory"):
        fcnn.load(file / "x")
