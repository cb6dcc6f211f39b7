"""Files of weights that were damaged or made to do harm: an error that names them, or a load."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fcnn.weights import WeightsError, read_keras

from ..security.hostile import damaged
from .known import FILES

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory through /proc")
@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_hostile_files_run_nothing_and_are_an_error_that_names_them(count, tmp_path):
    command = [sys.executable, "-m", "tests.weights.watching", str(tmp_path), str(count)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=2_700, cwd=ROOT)
    assert run.returncode == 0, run.stderr[-3_000:]
    corpora = json.loads(run.stdout.splitlines()[-1])
    seconds, noticed = corpora.pop("seconds"), corpora.pop("noticed")
    assert {"exec", "compile", "import", "os.system", "open", "memory"} <= set(noticed)
    for name, found in corpora.items():
        problems = ("events", "wrong", "unnamed", "starved", "slow")
        for problem in problems[: 4 if name == "large" else 5]:
            assert found[problem] == [], f"{name}: {problem}"
        refused, loaded = sum(found["refused"].values()), sum(found["loaded"].values())
        print(f"{name}: {refused:,} refused, {loaded:,} loaded, the slowest {found['slowest']}")
    print(f"{seconds:.1f} s")
    assert count < 1_000 or corpora["large"]["loaded"]["large"] == 4
    assert not corpora["cut"]["loaded"], "no file that was cut is read"
    assert sum(corpora["flips"]["loaded"].values()) > 100, "flipped numbers of the old form load"


@pytest.mark.parametrize("count", [150, pytest.param(5_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["keras.weights.h5", "whole.keras", "keras2.h5"])
def test_damaged_files_of_keras_are_an_error_that_names_them(name, count, tmp_path):
    pytest.importorskip("h5py")
    data, path = (FILES / name).read_bytes(), tmp_path / "x.h5"
    numbers, errors = np.random.Generator(np.random.Philox(count)), []
    for _ in range(count):
        path.write_bytes(damaged(data, numbers))
        try:
            read_keras(path)
        except WeightsError as error:
            errors.append(str(error))
    print(f"{len(errors)} of {count} refused")
    assert len(errors) > count / 10
    assert all(path.name in error for error in errors)
