"""Files of the hub, without a network: from a cache as ``huggingface_hub`` lays it out."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from fcnn.weights import from_hub, write_safetensors

COMMIT, OTHER = "0123456789abcdef0123456789abcdef01234567", "f" * 40
USE = """
import sys
from fcnn.weights import WeightsError, from_hub, read_weights

commit, other, cache, content = sys.argv[1:]

def told(*arguments, **options):
    try:
        from_hub(*arguments, cache=cache, **options)
    except WeightsError as error:
        return str(error)

path = from_hub("lab/digits", "weights/model.safetensors", revision=commit, cache=cache)
assert path.read_bytes().hex() == content
print(*read_weights(path)["kernel"].tolist())
for options in ({"revision": other}, {"revision": other, "download": False}):
    print(told("lab/digits", "weights/model.safetensors", **options))
print(told("lab/digits", "missing.safetensors", revision=commit))
print(told("lab/letters", "weights/model.safetensors", revision=commit))
print(told("lab/digits", "../../../secret", revision=commit))
"""


@pytest.fixture
def cache(tmp_path):
    """A cache with one file of one commit, to which the branch ``main`` points as well."""
    folder = tmp_path / "models--lab--digits"
    blob = folder / "blobs" / "abc"
    link = folder / "snapshots" / COMMIT / "weights" / "model.safetensors"
    for path in (blob, link, folder / "refs" / "main"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(blob, {"kernel": np.array([1.0, 2.0], np.float32)})
    link.symlink_to(os.path.relpath(blob, link.parent))
    (folder / "refs" / "main").write_text(COMMIT)
    return tmp_path


@pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
def test_the_file_of_a_commit_comes_from_the_cache_and_no_other_in_its_place(cache):
    content = (cache / "models--lab--digits" / "blobs" / "abc").read_bytes().hex()
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE, COMMIT, OTHER, str(cache), content],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(cache / "home")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    assert child.stderr == ""
    first, *errors = child.stdout.splitlines()
    assert first == "1.0 2.0"
    assert len(errors) == 5
    for line, words in zip(
        errors,
        [f"model.safetensors at {OTHER}"] * 2 + ["missing.safetensors", "lab/letters", "secret"],
        strict=True,
    ):
        assert words in line
        assert "cannot be had" in line


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:7], COMMIT.upper(), "", None])
def test_what_may_move_is_no_revision(revision):
    with pytest.raises(ValueError, match=r"40 hexadecimal digits.*lab/digits/commits lists them"):
        from_hub("lab/digits", "model.safetensors", revision=revision)


@pytest.mark.parametrize("repository", ["digits", "a/b/c", "https://huggingface.co/a/b", 3])
def test_a_repository_has_an_owner_and_a_name(repository):
    with pytest.raises(ValueError, match="must be 'owner/name'"):
        from_hub(repository, "model.safetensors", revision=COMMIT)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"fcnn\[hub\]"):
        from_hub("lab/digits", "model.safetensors", revision=COMMIT)
