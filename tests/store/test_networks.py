"""A network goes into one file and comes out of it bit for bit, or an error names the file."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import Network, layer, pure, serial, stateless
from fcnn.store import CheckpointCorruptError, CheckpointError, load, manifest, save, tensors

from . import parts


def leaves(network):
    return jax.tree.leaves((network.params, network.state))


def equal(one, other):
    return jax.tree.structure((one.params, one.state)) == jax.tree.structure(
        (other.params, other.state)
    ) and all(
        a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
        for a, b in zip(leaves(one), leaves(other), strict=True)
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "small.fcnn"
    save(path, parts.network())
    return path


def forged(path, change, source, state=None):
    """The file at ``source`` with another manifest and state, and every checksum right."""
    with zipfile.ZipFile(source) as archive:
        state = archive.read("state.npz") if state is None else state
        entries = manifest.decode(archive.read("manifest.json"))
    entries["files"]["state.npz"] = {"bytes": len(state), "sha256": manifest.sha256(state)}
    members = [("manifest.json", manifest.encode(change(entries))), ("state.npz", state)]
    body = tensors.zipped(members, comment=bytes(64))[:-64]
    path.write_bytes(body + manifest.sha256(body).encode())
    return path


def test_a_network_comes_back_as_it_was(file):
    network, loaded = parts.network(), load(file)
    assert equal(network, loaded)
    assert (loaded.classes, loaded.output) == (("a", "b", "ü"), "sigmoid")
    assert loaded.input == network.input
    assert repr(loaded) == repr(network)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves(loaded))


def test_another_process_computes_the_same_bits(file):
    expected = np.asarray(parts.network()(parts.inputs())).tobytes().hex()
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import parts; from fcnn.store import load;"
        "import numpy as np; print(np.asarray(load(sys.argv[1])(parts.inputs())).tobytes().hex())"
    )
    command = [sys.executable, "-c", code, str(file), str(Path(parts.__file__).parent)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.strip() == expected


def test_equal_networks_make_equal_files(tmp_path, file):
    save(tmp_path / "again.fcnn", load(file))
    assert (tmp_path / "again.fcnn").read_bytes() == file.read_bytes()


def test_the_file_is_a_zip_that_other_tools_read(file, tmp_path):
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "state.npz"]
        entries = json.loads(archive.read("manifest.json"))
        archive.extract("state.npz", tmp_path)
    assert entries["format"] == 1
    assert entries["recipe"]["call"] == "serial"
    assert set(entries["versions"]) >= {"jax", "jaxlib", "numpy", "python"}
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        np.testing.assert_array_equal(
            state["params/head/kernel"], parts.network().params["head"]["kernel"]
        )


def test_saving_replaces_an_older_file(tmp_path):
    path = tmp_path / "network.fcnn"
    save(path, parts.network(2))
    save(str(path), parts.network(3))
    assert load(str(path)).params["head"]["kernel"].shape == (4, 3)
    assert [p.name for p in tmp_path.iterdir()] == ["network.fcnn"]


def test_every_flipped_bit_is_noticed(file, tmp_path):
    data, path = file.read_bytes(), tmp_path / "flipped.fcnn"
    path.write_bytes(data)
    with path.open("r+b", buffering=0) as flipped:
        for at, byte in enumerate(data):
            for wrong in (byte ^ 1 << bit for bit in range(8)):
                os.pwrite(flipped.fileno(), bytes([wrong]), at)
                with pytest.raises(CheckpointCorruptError, match=r"flipped\.fcnn"):
                    load(path)
            os.pwrite(flipped.fileno(), bytes([byte]), at)
    assert equal(load(path), parts.network())


def test_every_truncation_is_noticed(file, tmp_path):
    path = tmp_path / "cut.fcnn"
    path.write_bytes(file.read_bytes())
    for size in reversed(range(file.stat().st_size)):
        os.truncate(path, size)
        with pytest.raises(CheckpointCorruptError, match=r"cut\.fcnn"):
            load(path)


def test_every_added_byte_is_noticed(file, tmp_path):
    data, path = file.read_bytes(), tmp_path / "longer.fcnn"
    wrong = [data + bytes([byte]) for byte in range(256)]
    wrong += [b"\n" + data, data + data, data[:999] + b"\0" + data[999:]]
    for content in wrong:
        path.write_bytes(content)
        with pytest.raises(CheckpointCorruptError, match=r"longer\.fcnn"):
            load(path)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere.fcnn")


def test_a_newer_format_is_refused_in_words(file, tmp_path):
    path = forged(tmp_path / "newer.fcnn", lambda entries: {**entries, "format": 2}, file)
    with pytest.raises(CheckpointError, match=r"newer\.fcnn: has format 2; .* reads format 1"):
        load(path)


def test_a_layer_without_a_recipe_has_to_be_given(tmp_path):
    @pure
    def double(x):
        return 2 * x

    network = parts.network()
    custom = network.replace(
        layer=serial(parts.affine(4), parts.counter(), double, head=parts.affine(3))
    )
    assert custom.layer.recipe is None
    save(tmp_path / "custom.fcnn", custom)
    with pytest.raises(CheckpointError, match=r"custom\.fcnn: .*load\(path, layer=\.\.\.\)"):
        load(tmp_path / "custom.fcnn")
    loaded = load(tmp_path / "custom.fcnn", layer=custom.layer)
    assert loaded.layer is custom.layer
    assert equal(loaded, network)


def test_an_unregistered_layer_is_asked_for(file, tmp_path):
    def rename(entries):
        return {**entries, "recipe": {"call": "lab:gone", "args": [], "options": {}}}

    path = forged(tmp_path / "unknown.fcnn", rename, file)
    with pytest.raises(CheckpointError, match=r"unknown\.fcnn: .*'lab:gone' is not registered"):
        load(path)


def test_all_differences_to_the_layer_are_listed_together(file):
    other = serial(parts.affine(6), tail=parts.affine(3))
    with pytest.raises(CheckpointError) as caught:
        load(file, layer=other)
    text = str(caught.value)
    assert str(file) in text
    for line in (
        "missing: params/tail/kernel float32[6,3]",
        "unexpected: params/head/kernel float32[4,3]",
        "unexpected: state/store_counter1/mean float32[4]",
        "other shape: params/store_affine1/kernel is float32[5,4], not float32[5,6]",
        "other shape: params/store_affine1/bias is float32[4], not float32[6]",
    ):
        assert line in text


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    network = parts.network().replace(params={})
    with pytest.raises(CheckpointError, match=r"missing: params/head/bias float32\[3\]"):
        save(tmp_path / "no.fcnn", network)
    with pytest.raises(TypeError, match="takes a Network"):
        save(tmp_path / "no.fcnn", network.layer)
    with pytest.raises(TypeError, match="params/a is a list; only nested dicts of arrays"):
        save(tmp_path / "no.fcnn", network.replace(params={"a": [1.0]}))
    assert not list(tmp_path.iterdir())


def test_a_network_without_a_known_input_is_loaded_as_it_is(tmp_path):
    network = parts.network().replace(input=None, classes=None)
    save(tmp_path / "n.fcnn", network)
    loaded = load(tmp_path / "n.fcnn")
    assert loaded.input is None
    assert loaded.classes is None
    assert equal(loaded, network)


def test_half_precision_keys_and_empty_branches_survive(tmp_path):
    @layer(name="test:store_odd")
    def odd():
        return stateless(lambda key, x: {}, lambda params, x: x)

    params = {
        "half": jnp.arange(3, dtype=jnp.bfloat16),
        "noise": {"key": jax.random.key(3), "rbg": jax.random.split(jax.random.key(4, impl="rbg"))},
        "nothing": {"deep": {}},
    }
    save(tmp_path / "odd.fcnn", Network(odd(), params, {}))
    loaded = load(tmp_path / "odd.fcnn")
    assert loaded.state == {}
    assert loaded.params["nothing"] == {"deep": {}}
    assert loaded.params["half"].dtype == jnp.bfloat16
    for name, key in params["noise"].items():
        assert loaded.params["noise"][name].dtype == key.dtype
        np.testing.assert_array_equal(
            jax.random.key_data(loaded.params["noise"][name]), jax.random.key_data(key)
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {**e, "tree": {**e["tree"], "params/x": {"dtype": "float32", "shape": [2]}}},
        lambda e: {**e, "tree": dict(reversed(e["tree"].items()))},
        lambda e: {**e, "tree": {"params/head/bias": {"dtype": "float32", "shape": [10**15]}}},
        lambda e: {**e, "tree": {"params/head/bias": {"dtype": "object", "shape": [3]}}},
        lambda e: {**e, "tree": {"params/head/bias": {"dtype": "float32", "shape": [True]}}},
        lambda e: {**e, "tree": {"params/head/bias": {"dtype": "float32", "shape": [1] * 17}}},
        lambda e: {**e, "tree": {"p" * 600: {"dtype": "float32", "shape": [3]}}},
        lambda e: {**e, "tree": {f"p{i}": {} for i in range(20_001)}},
        lambda e: {**e, "tree": 7},
        lambda e: {**e, "files": {}},
        lambda e: {**e, "files": {"state.npz": {"bytes": 10**18, "sha256": "0" * 64}}},
        lambda e: {"format": 1},
        lambda e: {**e, "recipe": ["serial"]},
        lambda e: {**e, "recipe": {"call": "serial", "args": [{"call": "os.system"}]}},
        lambda e: {**e, "classes": 5},
        lambda e: {**e, "input": {"shape": [-1], "dtype": "O"}},
    ],
)
def test_a_forged_manifest_ends_in_an_error_that_names_the_file(file, tmp_path, change):
    path = forged(tmp_path / "forged.fcnn", change, file)
    with pytest.raises(CheckpointError, match=r"forged\.fcnn"):
        load(path)


def test_a_forged_state_is_an_error_or_changes_numbers_only(file, tmp_path):
    with zipfile.ZipFile(file) as archive:
        state = archive.read("state.npz")
    numbers = np.random.Generator(np.random.Philox(0))
    expected, refused = jax.tree.map(jnp.shape, load(file).params), 0
    for at, byte in numbers.integers([len(state), 256], size=(300, 2)).tolist():
        wrong = state[:at] + bytes([byte]) + state[at + 1 :]
        path = forged(tmp_path / "forged.fcnn", dict, file, wrong)
        try:
            params = load(path).params
        except CheckpointCorruptError:
            refused += 1
        else:
            assert jax.tree.map(jnp.shape, params) == expected
    assert 100 < refused < 300


def test_a_compressed_member_is_refused(file, tmp_path):
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    path = tmp_path / "small.fcnn"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.comment = bytes(64)
    body = path.read_bytes()[:-64]
    path.write_bytes(body + manifest.sha256(body).encode())
    with pytest.raises(CheckpointCorruptError, match="no stored member manifest"):
        load(path)
