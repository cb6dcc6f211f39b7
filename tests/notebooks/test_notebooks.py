"""Every notebook runs from top to bottom, in about a minute, and shows what it shows; only the
first one does so in the short run.

A cell with a tag needs the data of that name in the folder that ``FCNN_DATA`` names; without it the
cell runs and shows nothing.
"""

import os
import time
from pathlib import Path

import pytest

import fcnn

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

FOLDER = Path(fcnn.__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHORT = "01_first_network"
RUN = [
    pytest.param(path, marks=[] if path.stem == SHORT else pytest.mark.slow) for path in NOTEBOOKS
]


@pytest.mark.parametrize("path", RUN, ids=[path.stem for path in NOTEBOOKS])
@pytest.mark.filterwarnings("default")  # of the machinery, in this process
def test_a_notebook_runs_and_shows_its_pictures(path, tmp_path):
    notebook = nbformat.read(path, 4)
    kept = [shown(cell) for cell in notebook.cells]
    assert any("image/png" in kinds for kinds in kept), "outputs are kept in the file"
    begun = time.monotonic()
    place = {"metadata": {"path": str(tmp_path)}}
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place)
    client.execute()
    assert time.monotonic() - begun < 120
    for cell, kinds in zip(notebook.cells, kept, strict=True):
        assert shown(cell) == (kinds if has_its_data(cell) else set())
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output["text"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_light(path):
    assert path.stat().st_size < 1_000_000


def has_its_data(cell):
    folder = Path(os.environ.get("FCNN_DATA", "nowhere"))
    return all((folder / tag).exists() for tag in cell.metadata.get("tags", ()))


def shown(cell):
    """The kinds of output of a cell."""
    kinds = set()
    for output in cell.get("outputs", []):
        kinds |= set(output.get("data", {output.output_type: None}))
    return kinds
