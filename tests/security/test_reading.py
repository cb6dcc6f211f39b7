"""Files of data that were damaged or made to do harm: an error that names the file."""

import sys

import pytest

from .test_loading import watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory through /proc")
SOURCES = [
    *("images", "x.npy", "data.npz", "cifar/train", "binary/train.bin", "sound.wav"),
    *("pictures.zip", "pictures.tar", "pictures.tgz"),
    *("one.png", "one.jpeg", "one.bmp", "one.gif", "one.webp", "one.tiff"),
]


@pytest.fixture(scope="module", params=[80, pytest.param(4_000, marks=pytest.mark.slow)])
def found(request, tmp_path_factory):
    pytest.importorskip("PIL")
    found = watched(tmp_path_factory.mktemp("data"), request.param, "data")["data"]
    print(f"{len(SOURCES)} x {request.param} files of data, {found.pop('seconds'):.1f} s")
    assert list(found) == SOURCES
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_hostile_data_is_numbers_or_an_error_that_names_the_file(found, source):
    found = found[source]
    for problem in ("events", "wrong", "unnamed", "starved", "slow"):
        assert found[problem] == [], problem
    assert found["refused"]["damaged"] > 10
