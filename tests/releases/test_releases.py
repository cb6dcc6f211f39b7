"""What earlier versions saved still loads, and still says the same."""

import jax
import numpy as np
import pytest

import fcnn
from fcnn.store.checkpoints import read_checkpoint

from . import make

RELEASES = sorted(path.parent.name for path in make.FOLDER.glob("*/network.fcnn"))


def test_there_is_a_release():
    assert "0.1.0" in RELEASES


@pytest.mark.parametrize("version", RELEASES)
def test_a_network_of_an_earlier_release_says_what_it_said(version):
    folder = make.FOLDER / version
    assert (folder / "network.fcnn").stat().st_size <= 20_000
    network = fcnn.load(folder / "network.fcnn")
    with np.load(folder / "logits.npz", allow_pickle=False) as told:
        np.testing.assert_allclose(network(told["x"]), told["logits"], rtol=1e-5, atol=1e-5)
    assert network.classes == ("ant", "bee", "cicada")


def test_the_script_makes_only_what_runs_and_only_once():
    with pytest.raises(SystemExit, match=r"this is fcnn .*, not 0\.0\.1"):
        make.main("0.0.1")
    with pytest.raises(FileExistsError):
        make.main(fcnn.__version__)


@pytest.mark.parametrize("version", RELEASES)
def test_a_checkpoint_of_an_earlier_release_has_the_values_of_its_network(version):
    path = make.FOLDER / version / f"step_{make.STEP:08}"
    assert sum(file.stat().st_size for file in path.iterdir()) <= 20_000
    checkpoint = read_checkpoint(path)
    network = fcnn.load(make.FOLDER / version / "network.fcnn")
    for name, tree in (("params", network.params), ("state", network.state)):
        assert jax.tree.structure(checkpoint.values[name]) == jax.tree.structure(tree)
        jax.tree.map(np.testing.assert_array_equal, checkpoint.values[name], tree)
    assert jax.random.key_data(checkpoint.values["key"]).tolist() == [0, 4]
    assert checkpoint.step == make.STEP
    assert repr(checkpoint.notes) == "{'loss': [1.5, nan]}"
