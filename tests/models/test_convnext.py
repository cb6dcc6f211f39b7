"""ConvNeXt and its block."""

import jax
import numpy as np

from fcnn import identity, models
from fcnn.models import convnext
from fcnn.models.convnext import convnext_block

X = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)


def test_a_fresh_block_is_nearly_the_identity_and_one_of_the_second_version_is_not():
    for responses, near in ((False, True), (True, False)):
        block = convnext_block(4, responses=responses)
        params, state = block.init(jax.random.key(0), X)
        y, _ = block.apply(params, state, X)
        assert np.allclose(y, X, atol=1e-6) == near
        assert ("grn" in params, "scale" in params) == (responses, not responses)


def test_later_blocks_are_dropped_more_often(monkeypatch):
    rates = []

    def noted(rate):
        rates.append(rate)
        return identity

    monkeypatch.setattr(convnext, "drop_path", noted)
    models.convnext_tiny(drop_path_rate=0.34)
    np.testing.assert_allclose(rates, np.linspace(0, 0.34, 18))
