"""Files that were damaged or made to do harm: an error that names the file, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory through /proc")
ROOT = Path(__file__).parents[2]
CORPORA = ("networks", "damaged_networks", "checkpoints", "large_files")


def watched(folder, count, *corpora):
    """What a process of its own finds while it reads these files."""
    command = [sys.executable, "-m", "tests.security.watching", str(folder), str(count), *corpora]
    run = subprocess.run(command, capture_output=True, text=True, timeout=2_700, cwd=ROOT)
    assert run.returncode == 0, run.stderr[-3_000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=[5_000, pytest.param(100_000, marks=pytest.mark.slow)])
def found(request, tmp_path_factory):
    return watched(tmp_path_factory.mktemp("hostile"), request.param, *CORPORA)


@pytest.mark.parametrize("corpus", CORPORA)
def test_hostile_files_do_nothing_but_give_an_error_that_names_them(found, corpus):
    found = found[corpus]
    for problem in ("events", "wrong", "unnamed", "starved", "slow"):
        assert found[problem] == [], problem
    refused, loaded = sum(found["refused"].values()), sum(found["loaded"].values())
    seconds, file = found["slowest"]
    print(
        f"{corpus}: {refused:,} refused, {loaded:,} loaded, {found['seconds']:.1f} s, "
        f"the slowest {1000 * seconds:.0f} ms: {file}"
    )


def test_the_watch_sees_every_bad_deed(found):
    assert found["noticed"] == [
        *("exec", "compile", "import", "os.system", "subprocess.Popen", "socket.__new__"),
        *("open", "os.mkdir", "os.remove", "memory"),
    ]


def test_what_is_refused_and_what_loads_is_as_it_should_be(found):
    networks, checkpoints = found["networks"], found["checkpoints"]
    for kind in ("text", "stranger", "name", "damaged"):
        assert networks["refused"][kind] > 5
        assert kind not in networks["loaded"]
    for kind in ("stranger", "swapped"):
        assert checkpoints["refused"][kind] > 1
        assert kind not in checkpoints["loaded"]
    assert networks["loaded"]["recipe"] > 5, "some recipes suit the layers"
    assert networks["loaded"]["state"] > 5, "other numbers are numbers"
    large = found["large_files"]["loaded"].get("large", 0)
    assert large == (sum(networks["refused"].values()) > 50_000), "whole files of any size load"
