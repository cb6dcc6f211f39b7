import os
import subprocess
import sys

import jax
import pytest

from fcnn.cli.caching import keep_programs


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """The settings of JAX as they were, and none of the user's."""
    for name in ("FCNN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    names = (
        "jax_compilation_cache_dir",
        "jax_enable_compilation_cache",
        "jax_persistent_cache_min_compile_time_secs",
    )
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", True)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def folder():
    return jax.config.jax_compilation_cache_dir


def test_programs_are_kept_in_the_cache_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    keep_programs(True)
    assert folder() == str(tmp_path / "caches" / "fcnn")
    assert (tmp_path / "caches" / "fcnn").is_dir()
    assert jax.config.jax_enable_compilation_cache


def test_without_a_setting_that_is_below_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    keep_programs(True)
    assert folder() == str(tmp_path / ".cache" / "fcnn")


def test_a_folder_set_for_jax_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", "mine")
    keep_programs(True)
    assert folder() == "mine"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("wanted", "setting"), [(False, ""), (True, "off"), (True, "0")])
def test_it_can_be_turned_off(wanted, setting, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("FCNN_CACHE", setting)
    keep_programs(wanted)
    assert not jax.config.jax_enable_compilation_cache
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_and_does_no_harm(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_programs(True)
    assert folder() is None
    assert "compiled programs are not kept: " in capsys.readouterr().err


def test_the_second_command_compiles_nothing_and_finds_the_same(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "caches"), "NO_COLOR": "1"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    command = [sys.executable, "-m", "fcnn", "train", "--model", "mlp", "--epochs", "1", "--out"]
    kept = []
    for number in "12":
        done = subprocess.run(
            [*command, str(tmp_path / number)], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "arning" not in done.stderr
        found = {file.name for file in (tmp_path / "caches" / "fcnn").iterdir()}
        kept.append({name for name in found if name.endswith("-cache")})
    assert kept[0]
    assert kept[0] == kept[1]
    first, second = (tmp_path / number / "network.fcnn" for number in "12")
    assert first.read_bytes() == second.read_bytes()


def test_the_library_itself_keeps_nothing():
    code = "import fcnn.cli, jax; print(jax.config.jax_compilation_cache_dir)"
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "None\n", done.stderr
