"""Weights of TensorFlow.js, against values computed one by one."""

import json
import math
import struct

import numpy as np
import pytest

from fcnn.weights import WeightsError, read_tensorflow_js

from .known import SHARED


def written(folder, weights, *shards, paths=None):
    """A manifest of one group beside its shards."""
    names = [f"shard{number}.bin" for number in range(len(shards))]
    for name, data in zip(names, shards, strict=True):
        (folder / name).write_bytes(data)
    manifest = [{"weights": weights, "paths": names if paths is None else paths}]
    path = folder / "x_weights_manifest.json"
    path.write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return path


def weight(kind="float32", shape=(2,), name="a", /, **quantization):
    entry = {"name": name, "shape": list(shape), "dtype": kind}
    return {**entry, "quantization": quantization} if quantization else entry


def test_the_tiny_face_detector_has_the_values_its_bytes_stand_for():
    folder = SHARED / "tiny_face_detector"
    if not folder.exists():
        pytest.skip("needs the shared weights")
    found = read_tensorflow_js(folder)
    (group,) = json.loads(next(folder.glob("*.json")).read_text())
    (shard,) = (folder / path for path in group["paths"])
    stored = iter(shard.read_bytes())
    assert list(found) == [entry["name"] for entry in group["weights"]]
    count = 0
    for entry in group["weights"]:
        array, told = found[entry["name"]], entry["quantization"]
        assert array.shape == tuple(entry["shape"])
        assert array.dtype == np.float32
        for value in array.ravel():  # to the bit: computed in doubles, then rounded
            (single,) = struct.unpack(
                "f", struct.pack("f", next(stored) * told["scale"] + told["min"])
            )
            assert value == single
            count += 1
    assert next(stored, None) is None
    print(f"{count:,} values")
    assert max(abs(array).max() for array in found.values()) < 30


def test_every_type_and_shards_that_part_an_array_are_read(tmp_path):
    weights = [
        weight("float32", (2, 1), "f"),
        weight("int32", (2,), "i"),
        weight("bool", (3,), "b"),
        weight("uint8", (1,), "u"),
        weight("float32", (0, 4), "empty"),
        weight("complex64", (), "c"),
        weight("float32", (2,), "half", dtype="float16"),
        weight("float32", (2,), "wide", dtype="uint16", min=-1.0, scale=0.5),
        weight("int32", (3,), "rounded", dtype="uint8", min=-2, scale=0.5),
    ]
    data = struct.pack("<2f2i", 1.5, -2, 7, -(2**31)) + b"\1\0\1" + b"\xff"
    data += struct.pack("<2f2e2H", 3, 4, 0.5, -1, 3, 65_535) + bytes([0, 1, 255])
    found = read_tensorflow_js(written(tmp_path, weights, data[:5], data[5:6], data[6:]))
    expected = {
        "f": np.array([[1.5], [-2]], "f4"),
        "i": np.array([7, -(2**31)], "i4"),
        "b": np.array([True, False, True]),
        "u": np.array([255], "u1"),
        "empty": np.zeros((0, 4), "f4"),
        "c": np.array(3 + 4j, "c8"),
        "half": np.array([0.5, -1], "f4"),
        "wide": np.array([0.5, 32_766.5], "f4"),
        "rounded": np.array([math.floor(x + 0.5) for x in (-2, -1.5, 125.5)], "i4"),
    }
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_model_of_several_groups_and_its_folder_are_read(tmp_path):
    for number in (1, 2):
        (tmp_path / f"g{number}").write_bytes(bytes([number]))
    groups = [{"weights": [weight("uint8", (1,), f"a{n}")], "paths": [f"g{n}"]} for n in (1, 2)]
    (tmp_path / "model.json").write_text(json.dumps({"weightsManifest": groups, "format": "x"}))
    assert {n: int(v[0]) for n, v in read_tensorflow_js(tmp_path).items()} == {"a1": 1, "a2": 2}


ONE = weight("uint8", (2,))


@pytest.mark.parametrize(
    ("message", "weights", "data", "paths"),
    [
        *(
            ("beside the manifest", [ONE], b"12", [name])
            for name in ("../x", "/etc/passwd", "..", "", "a/b", "a\\b", "C:x", "a\0", 3)
        ),
        ("a shard twice", [ONE], b"12", ["shard0.bin"] * 2),
        ("needs 2 bytes; 1 are left", [ONE], b"1", None),
        ("shards of 3 bytes and tells of 2", [ONE], b"123", None),
        ("'a' twice", [ONE, ONE], b"1234", None),
        ("needs 1,000,000,000,000 bytes", [weight("uint8", (10**12,))], b"12", None),
        ("no whole numbers", [weight("uint8", (-2,))], b"12", None),
        ("type 'string'", [weight("string")], b"12", None),
        ("quantised in a way", [weight(dtype="uint8")], b"12", None),
        ("quantised in a way", [weight(dtype="int4", min=0, scale=1)], b"12", None),
        ("JSON has NaN", [weight(dtype="uint8", min=math.nan, scale=1)], b"12", None),
        ("cannot be quantised", [weight("bool", dtype="uint8", min=0, scale=1)], b"12", None),
        ("without a name", [{"name": "a"}], b"12", None),
        ("true and false", [weight("bool")], b"12", None),
    ],
)
def test_wrong_manifests_are_refused_in_words(message, weights, data, paths, tmp_path):
    path = written(tmp_path, weights, data, paths=paths)
    with pytest.raises(WeightsError, match=rf"x_weights_manifest\.json: .*{message}"):
        read_tensorflow_js(path)


def test_a_folder_without_a_manifest_and_a_missing_shard_are_errors(tmp_path):
    with pytest.raises(WeightsError, match="has none"):
        read_tensorflow_js(tmp_path)
    with pytest.raises(FileNotFoundError, match="absent"):
        read_tensorflow_js(written(tmp_path, [ONE], paths=["absent"]))
