"""A checkpoint that is damaged, forged or mixed up is an error that names the file."""

import os
import shutil

import numpy as np
import pytest

from fcnn.store import CheckpointCorruptError, CheckpointError, manifest
from fcnn.store.checkpoints import (
    read_checkpoint,
)

from . import parts
from .parts import FILES, flip, put, same


def forge(path, change, state=None):
    """Another manifest and state at ``path``, and every checksum right."""
    if state is not None:
        (path / "state.npz").write_bytes(state)
    state = (path / "state.npz").read_bytes()
    entries = manifest.decode((path / "manifest.json").read_bytes())
    entries["files"]["state.npz"] = {"bytes": len(state), "sha256": manifest.sha256(state)}
    (path / "manifest.json").write_bytes(manifest.encode(change(entries)))


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("name", FILES)
def test_links_and_pipes_are_refused(tmp_path, name):
    path = put(tmp_path, 1)
    os.rename(path / name, tmp_path / name)
    (path / name).symlink_to(tmp_path / name)
    with pytest.raises(CheckpointCorruptError, match=rf"{name}: .*is a link, or no regular file"):
        read_checkpoint(path)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(CheckpointCorruptError, match=rf"{name}: .*is a link, or no regular file"):
        read_checkpoint(path)
    (path / name).unlink()
    with pytest.raises(CheckpointCorruptError, match=rf"{name}: is missing"):
        read_checkpoint(path)


def test_sizes_are_checked_before_anything_is_read(tmp_path):
    path = put(tmp_path, 1)
    size = (path / "state.npz").stat().st_size
    os.truncate(path / "state.npz", 10**12)  # no disk is that full: a file of holes
    with pytest.raises(CheckpointCorruptError, match=rf"has 1,000,000,000,000 bytes, not {size:,}"):
        read_checkpoint(path)
    os.truncate(path / "manifest.json", 10**12)
    with pytest.raises(CheckpointCorruptError, match=r"manifest\.json: .*; 4,000,000 are allowed"):
        read_checkpoint(path)


def test_a_newer_format_is_refused_in_words(tmp_path):
    path = put(tmp_path, 1)
    forge(path, lambda entries: {**entries, "format": 2})
    with pytest.raises(CheckpointError, match=r"manifest\.json: has format 2; .* reads format 1"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {**e, "step": 2},
        lambda e: {**e, "tree": {**e["tree"], "params/x": {"dtype": "float32", "shape": [2]}}},
        lambda e: {**e, "tree": {"params/stem/kernel": {"dtype": "float32", "shape": [10**15]}}},
        lambda e: {**e, "tree": 7},
        lambda e: {**e, "files": {}},
        lambda e: {**e, "files": {"state.npz": {"bytes": 10**18, "sha256": "0" * 64}}},
        lambda e: {**e, "files": {"state.npz": {"bytes": "1", "sha256": "0" * 64}}},
        lambda e: {**e, "files": {"/etc/passwd": e["files"]["state.npz"]}},
        lambda e: {name: entry for name, entry in e.items() if name != "versions"},
        lambda e: {name: entry for name, entry in e.items() if name != "notes"},
        lambda e: {"format": 1},
    ],
)
def test_a_forged_manifest_ends_in_an_error_that_names_the_file(tmp_path, change):
    path = put(tmp_path, 1)
    forge(path, change)
    with pytest.raises(CheckpointCorruptError, match=rf"{path}/(manifest\.json|state\.npz): "):
        read_checkpoint(path)


def test_a_flipped_bit_is_named_with_its_array(tmp_path):
    path = put(tmp_path, 1)
    kernel = parts.values(1)["params"]["stem"]["kernel"].tobytes()
    flip(path / "state.npz", 8 * (path / "state.npz").read_bytes().index(kernel))
    with pytest.raises(CheckpointCorruptError, match=r"state\.npz: .*wrong: params/stem/kernel$"):
        read_checkpoint(path)


def damages(folder, count):
    """``(file, content)``: of flipped bits and truncations a count each, of insertions a fifth."""
    numbers = np.random.Generator(np.random.Philox(count))
    contents = {name: (folder / name).read_bytes() for name in FILES}
    sizes = [len(contents[name]) for name in FILES]

    def places(n):
        for at in numbers.integers(sum(sizes), size=n).tolist():
            yield (FILES[0], at) if at < sizes[0] else (FILES[1], at - sizes[0])

    for name, at in places(count):
        data = bytearray(contents[name])
        data[at] ^= 1 << int(numbers.integers(8))
        yield name, bytes(data)
    for name, at in places(count):
        yield name, contents[name][:at]
    for name, at in places(count // 5):
        yield name, contents[name][:at] + numbers.bytes(1 + at % 9) + contents[name][at:]


def every_flip(folder):
    for name in FILES:
        data = (folder / name).read_bytes()
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            yield name, bytes(changed)


@pytest.mark.parametrize("count", [1000, pytest.param(0, marks=pytest.mark.slow, id="every bit")])
def test_damage_is_always_noticed(tmp_path, count):
    path = put(tmp_path, 1)
    contents, done = {name: (path / name).read_bytes() for name in FILES}, 0
    for name, content in damages(path, count) if count else every_flip(path):
        (path / name).write_bytes(content)
        with pytest.raises(CheckpointCorruptError) as caught:
            read_checkpoint(path)
        assert str(caught.value).startswith(f"{path / name}: ")
        (path / name).write_bytes(contents[name])
        done += 1
    assert done == (2 * count + count // 5 or 8 * sum(map(len, contents.values())))
    assert same(read_checkpoint(path), 1)


def test_files_swapped_between_checkpoints_are_noticed(tmp_path):
    paths = [put(tmp_path, step) for step in range(1, 12)]
    swaps = [(one, other) for one in paths for other in paths if one != other][:100]
    assert len(swaps) == 100
    for i, (one, other) in enumerate(swaps):
        name = FILES[i % 2]
        content = (one / name).read_bytes()
        shutil.copyfile(other / name, one / name)
        with pytest.raises(CheckpointCorruptError, match=rf"{one}/(manifest\.json|state\.npz): "):
            read_checkpoint(one)
        (one / name).write_bytes(content)
    os.rename(paths[0], tmp_path / "step_00000099")  # a whole one under another step
    with pytest.raises(CheckpointCorruptError, match=r"step_00000099/manifest\.json: .*of step 1"):
        read_checkpoint(tmp_path / "step_00000099")
