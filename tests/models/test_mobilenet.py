"""MobileNets and their block."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fcnn
from fcnn import models, trees
from fcnn.models.inverted import divisible, inverted_block


def test_a_block_has_a_skip_only_where_the_shape_stays():
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    for block, size, skip in (
        (inverted_block(4, 24, 4), 6, True),
        (inverted_block(4, 24, 4, stride=2), 3, False),
        (inverted_block(4, 24, 5), 6, False),
        (inverted_block(4, 4, 4), 6, True),
    ):
        params, state = block.init(jax.random.key(0), x)
        params["bn3"]["scale"] = jnp.zeros_like(params["bn3"]["scale"])  # closes the other way
        y, _ = block.apply(params, state, x)
        assert y.shape[1] == size
        np.testing.assert_array_equal(y, x if skip else jnp.zeros(y.shape))


def test_the_first_block_widens_nothing_and_the_others_six_times():
    model = models.mobilenet_v2(classes=3)
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params, _ = jax.eval_shape(model.init, jax.random.key(0), x)
    shapes = {path: leaf.shape for path, leaf in trees.flat(params).items()}
    assert "stage1/block1/conv1/kernel" not in shapes
    assert shapes["stage1/block1/conv2/kernel"] == (3, 3, 1, 32)
    assert shapes["stage2/block2/conv1/kernel"] == (1, 1, 24, 144)
    assert shapes["stage7/block1/conv3/kernel"] == (1, 1, 960, 320)
    assert shapes["head/kernel"] == (1280, 3)


def test_it_takes_the_multiply_adds_of_the_paper():
    table = fcnn.summary(models.mobilenet_v2(), jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32))
    assert round(table.macs / 1e6) in range(300, 302)  # "300M" in table 4


@pytest.mark.parametrize(("width", "count"), [(0.25, 475_544), (1.0, 4_253_864)])
def test_a_mobilenet_has_as_many_numbers_as_keras_counts(width, count):
    model = models.mobilenet_v1(width=width)
    x = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    assert trees.count(jax.eval_shape(model.init, jax.random.key(0), x)) == count


def test_widths_are_multiples_of_eight_and_lose_no_more_than_a_tenth():
    assert [divisible(n) for n in (1, 8, 11.9, 12, 24 * 0.35, 1280 * 1.4)] == [
        8,
        8,
        16,
        16,
        8,
        1792,
    ]
    for n in range(1, 300):
        assert divisible(n) % 8 == 0
        assert divisible(n) >= 0.9 * n


def test_a_block_is_dropped_for_whole_examples_in_training_only():
    x = np.random.default_rng(0).normal(size=(64, 2, 2, 4)).astype(np.float32)
    block = inverted_block(4, 24, 4, drop_path_rate=0.5)
    params, state = block.init(jax.random.key(0), x)
    y, _ = block.apply(params, state, x, train=True, key=jax.random.key(1))
    moved = np.any(np.asarray(y) != x, axis=(1, 2, 3))
    assert 16 < moved.sum() < 48
    assert np.any(np.asarray(block.apply(params, state, x)[0]) != x, axis=(1, 2, 3)).all()
