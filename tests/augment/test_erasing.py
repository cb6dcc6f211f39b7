import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import augment

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 300)
WHITE = np.full([20, 24, 3], 255, np.uint8)


def holes(step, image=WHITE):
    """Which pixels are erased, for each key."""
    return np.asarray(jax.jit(jax.vmap(step, (0, None)))(KEYS, image) != image).all(-1)


def bounds(hole):
    rows, columns = np.nonzero(hole.any(1))[0], np.nonzero(hole.any(0))[0]
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_erased_are_rectangles_of_the_area_and_shape_asked_for():
    seen = holes(augment.erase(1.0, area=(0.1, 0.3), ratio=(0.5, 2)))
    for hole in seen:
        top, bottom, left, right = bounds(hole)
        high, wide = bottom - top, right - left
        assert hole.sum() == high * wide
        assert 0.08 < hole.mean() < 0.35
        assert 0.4 < high / wide < 2.4
    assert np.unique([bounds(hole)[0] for hole in seen]).size > 8
    assert seen.any(0).all()  # every pixel is lost sometimes


def test_an_exact_rectangle():
    seen = holes(augment.erase(1.0, area=(0.2, 0.2), ratio=(1.5, 1.5)))  # 96 pixels, 12 by 8
    assert {hole.sum() for hole in seen} == {96}
    assert {bounds(hole)[1] - bounds(hole)[0] for hole in seen} == {12}


def test_a_rectangle_longer_than_the_image_is_cut():
    seen = holes(augment.erase(1.0, area=(0.3, 0.3), ratio=(100, 100)))
    assert {(bounds(hole)[0], bounds(hole)[1]) for hole in seen} == {(0, 20)}


def test_erasing_happens_as_often_as_asked():
    assert holes(augment.erase(0.3)).any((1, 2)).mean() == pytest.approx(0.3, abs=0.08)
    for step in (augment.erase(0.0), augment.erase(1.0, area=0.0), augment.cutout(0)):
        assert not holes(step).any()


def test_the_hole_holds_the_fill_and_the_rest_every_bit():
    x = np.random.default_rng(0).random([16, 16, 3], np.float32)
    for fill in (0.25, "noise"):
        for step in (augment.erase(1.0, fill=fill), augment.cutout(6, fill=fill)):
            new = np.asarray(jax.jit(step)(KEY, x))
            changed = (new != x).any(-1)
            assert 0 < changed.sum() < 256
            if fill == "noise":
                assert np.unique(new[changed]).size == 3 * changed.sum()
                assert 0.3 < new[changed].mean() < 0.7
            else:
                assert (new[changed] == 0.25).all()
    half = jax.jit(augment.cutout(8, fill=0.5))(KEY, WHITE)
    assert set(np.unique(half)) == {128, 255}


def test_cutout_may_hang_over_the_border():
    seen = holes(augment.cutout(8))
    areas = seen.sum((1, 2))
    assert areas.max() == 64
    assert 16 <= areas.min() < 40  # a corner has at least a quarter
    assert seen[:, 0, 0].any()
    assert seen[:, -1, -1].any()


def test_gray_images_and_other_dtypes_are_erased_too():
    for x in (jnp.ones([8, 8, 1], jnp.bfloat16), jnp.ones([8, 9, 4], jnp.float32)):
        new = jax.jit(augment.erase(1.0))(KEY, x)
        assert new.dtype == x.dtype
        assert 0 < (new == 0).mean() < 0.6


def test_wrong_options_are_said_together_when_it_is_made():
    with pytest.raises(ValueError, match=r"probability .*; area .*; ratio .*; fill"):
        augment.erase(2, area=(0, 2), ratio=(0, 1), fill="red")
    with pytest.raises(ValueError, match="size must be a whole number from 0 on"):
        augment.cutout(0.5)
