"""Networks of patches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import identity, models
from fcnn.models import patches as module
from fcnn.models.patches import encoder_block, mixer_block, patches, self_attention

X = np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32)


def test_patches_are_read_row_by_row():
    x = np.arange(2 * 4 * 6 * 1, dtype=np.float32).reshape(2, 4, 6, 1)
    layer = patches(2, 4)
    params, state = layer.init(jax.random.key(0), x)
    params["conv"]["kernel"] = jnp.eye(4).reshape(2, 2, 1, 4)
    y, _ = layer.apply(params, state, x)
    assert y.shape == (2, 6, 4)
    np.testing.assert_array_equal(y[0, 1], [2, 3, 8, 9])
    np.testing.assert_array_equal(y[0, 3], [12, 13, 18, 19])


def test_images_that_do_not_suit_are_refused_with_what_to_do():
    model = models.mlp_mixer(classes=3, patch=4, width=8, depth=1)
    with pytest.raises(ValueError, match="patches of 4x4 do not divide images of 8x6; resize"):
        model.init(jax.random.key(0), jnp.zeros((1, 8, 6, 3)))
    model = fcnn.serial(patches(4, 8), module.positions())
    params, state = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    with pytest.raises(
        ValueError, match="made for 4 vectors and x has 6; images must have the siz"
    ):
        model.apply(params, state, jnp.zeros((1, 8, 12, 3)))


def test_attention_weighs_by_likeness_and_its_weights_can_be_captured():
    layer = self_attention(6, 2)
    params, state = layer.init(jax.random.key(0), X)
    (y, _), seen = fcnn.capture(lambda: layer.apply(params, state, X))()
    weights = np.asarray(seen["weights"])
    assert weights.shape == (2, 2, 5, 5)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    turned, _ = layer.apply(params, state, X[:, ::-1])
    np.testing.assert_allclose(turned, np.asarray(y)[:, ::-1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [lambda r: encoder_block(6, 2, r), lambda r: mixer_block(6, r)])
def test_both_parts_of_a_block_are_dropped_for_whole_examples(make):
    x = np.random.default_rng(0).normal(size=(200, 5, 6)).astype(np.float32)
    block = make(0.5)
    params, state = block.init(jax.random.key(0), x)
    y, _ = block.apply(params, state, x, train=True, key=jax.random.key(1))
    kept = (np.asarray(y) == x).all((1, 2)).sum()
    assert 25 < kept < 75  # a quarter, if the two are drawn apart


def test_later_blocks_are_dropped_more_often(monkeypatch):
    rates = []

    def noted(rate):
        rates.append(rate)
        return identity

    monkeypatch.setattr(module, "drop_path", noted)
    models.vit_tiny(drop_path_rate=0.22)
    models.mlp_mixer(depth=3, drop_path_rate=0.2)
    models.mlp_mixer(depth=1, drop_path_rate=0.2)
    np.testing.assert_allclose(rates, [0.02 * i for i in range(12)] + [0, 0.1, 0.2, 0])
