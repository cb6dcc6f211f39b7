"""An ablation against scores that are known."""

import numpy as np
import pytest

from fcnn.study import ablation


def run(width=3, rate=0.5, seed=0):
    return {"accuracy": width / 10 + rate / 100 + seed / 1000}


def test_differences_are_to_the_base_on_the_same_seed(tmp_path):
    variants = {"narrow": {"width": 2}, "no dropout": {"rate": 0.0}}
    found = ablation(run, {"width": 3}, variants, seeds=(0, 5), folder=tmp_path, progress=False)
    np.testing.assert_allclose(found.scores[0], [0.305, 0.31])
    np.testing.assert_allclose(found.differences, [[-0.1, -0.1], [-0.005, -0.005]])
    lines = str(found).splitlines()
    assert lines[2].split() == ["narrow", "0.2075", "-0.1000", "0.0000"]
    again = ablation(run, {"width": 3}, variants, seeds=(0, 5), folder=tmp_path, progress=False)
    np.testing.assert_array_equal(again.scores, found.scores)


def test_a_variant_has_to_change_something():
    with pytest.raises(ValueError, match="same changes nothing of the base"):
        ablation(run, {"width": 3}, {"same": {"width": 3}}, progress=False)
    with pytest.raises(ValueError, match="needs a variant and a seed"):
        ablation(run, {"width": 3}, {}, progress=False)
