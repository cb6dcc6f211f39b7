"""ShuffleNetV2 and its block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import models, out_spec
from fcnn.models.shufflenet import shuffle_block


def test_half_of_the_channels_pass_a_block_and_take_turns_with_the_others():
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype(np.float32)
    block = shuffle_block(6)
    params, state = block.init(jax.random.key(0), x)
    assert set(params) == {"body"}
    y, _ = block.apply(params, state, x)
    np.testing.assert_array_equal(y[..., ::2], x[..., :3])
    changed, _ = block.apply(params, state, x + 1)
    assert not np.allclose(changed[..., 1::2], y[..., 1::2])


def test_the_small_stem_keeps_small_pictures():
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    sizes = {}
    for stem in ("standard", "small"):
        model = models.shufflenet_v2_x0_5(classes=0, stem=stem)
        assert out_spec(model, x).shape == (1, 1024)
        sizes[stem] = jax.eval_shape(model.init, jax.random.key(0), x)[0]
    assert sizes["standard"] == sizes["small"]
    with pytest.raises(ValueError, match="stem must be one of standard, small, got 'tiny'"):
        models.shufflenet_v2_x0_5(stem="tiny")
