import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import augment, losses
from fcnn.augment.mixing import soft

KEY = jax.random.key(0)
N = 64
LABELS = np.arange(N) % 10


def flat_images(dtype=np.float32):
    """Image i is everywhere i / N, or i."""
    values = np.arange(N, dtype=dtype) if dtype == np.uint8 else np.arange(N, dtype=dtype) / N
    return np.broadcast_to(values[:, None, None, None], (N, 12, 10, 3)).copy()


def mixed(step, x, y):
    x, y = jax.jit(step.batch)(KEY, x, y)
    return np.asarray(x), np.asarray(y)


def test_mixup_mixes_labels_as_it_mixes_images():
    own = np.eye(N, dtype=np.float32)
    x, y = mixed(augment.mixup(1.0), flat_images(), own)
    np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    assert set((y > 0).sum(1)) <= {1, 2}
    np.testing.assert_allclose(x[:, 0, 0, 0], y @ np.arange(N) / N, atol=1e-6)
    np.testing.assert_array_equal(x, np.broadcast_to(x[:, :1, :1, :1], x.shape))
    shares = np.diag(y)
    assert shares.min() < 0.1
    assert shares.max() > 0.9


def test_a_small_alpha_leaves_most_shares_near_one_of_the_two():
    _, y = mixed(augment.mixup(0.1), flat_images(), np.eye(N, dtype=np.float32))
    assert (y.max(1) > 0.9).mean() > 0.7
    _, y = mixed(augment.mixup(50.0), flat_images(), np.eye(N, dtype=np.float32))
    assert (y.max(1) < 0.7).mean() > 0.7


def test_cutmix_labels_tell_whose_pixels_there_are():
    own = np.eye(N, dtype=np.float32)
    x, y = mixed(augment.cutmix(), flat_images(), own)
    for i in range(N):
        pixels = np.round(x[i, ..., 0] * N).astype(int)
        shares = np.bincount(pixels.ravel(), minlength=N) / pixels.size
        np.testing.assert_allclose(y[i], shares, atol=1e-6)
        others = pixels != i
        if others.any():  # a rectangle
            rows, columns = np.nonzero(others.any(1))[0], np.nonzero(others.any(0))[0]
            assert others.sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    assert 0.3 < np.diag(y).mean() < 0.8


@pytest.mark.parametrize("make", [augment.mixup, augment.cutmix])
def test_integer_labels_become_rows_that_the_loss_takes(make):
    x, y = mixed(make(classes=10), flat_images(np.uint8), LABELS)
    assert x.dtype == np.uint8
    assert y.shape == (N, 10)
    np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)
    value = losses.cross_entropy(jnp.zeros([N, 10]), y)
    np.testing.assert_allclose(value, np.log(10), rtol=1e-5)
    again_x, again_y = mixed(make(), flat_images(np.uint8), np.eye(10, dtype=np.float32)[LABELS])
    np.testing.assert_array_equal(again_x, x)
    np.testing.assert_array_equal(again_y, y)


def test_uint8_is_mixed_to_the_nearest_level():
    own = np.eye(N, dtype=np.float32)
    x, y = mixed(augment.mixup(1.0), flat_images(np.uint8), own)
    assert np.abs(x[:, 0, 0, 0] - y @ np.arange(N)).max() <= 0.5 + 1e-3


def test_numbers_as_labels_are_mixed_as_they_are():
    y = np.linspace(-1, 1, N, dtype=np.float32)
    x, mean = mixed(augment.mixup(1.0), flat_images(), y)
    np.testing.assert_allclose(mean, x[:, 0, 0, 0] * N / (N - 1) * 2 - 1, atol=1e-5)


def test_images_alike_stay_every_bit():
    x = np.full([8, 6, 6, 3], 77, np.uint8)
    for step in (augment.mixup(1.0, 10), augment.cutmix(1.0, 10)):
        np.testing.assert_array_equal(mixed(step, x, np.zeros(8, int))[0], x)


def test_an_impossible_label_is_no_class():
    rows = soft(np.array([1, 3, -1]), 3)
    np.testing.assert_array_equal(np.isnan(rows).all(1), [False, True, True])
    np.testing.assert_array_equal(rows[0], [0, 1, 0])


def test_labels_that_cannot_be_mixed_are_refused():
    x = flat_images()
    with pytest.raises(ValueError, match=r"number of classes; write mixup\(classes=10\)"):
        augment.mixup().batch(KEY, x, LABELS)
    with pytest.raises(ValueError, match="classes is 3, but the labels are rows of 10"):
        augment.cutmix(classes=3).batch(KEY, x, np.ones([N, 10], np.float32))
    for y in (np.zeros([N, 4, 4], int), np.zeros(N, bool)):
        with pytest.raises(TypeError, match="mixing needs integer labels"):
            augment.mixup(classes=2).batch(KEY, x, y)
    for make in (augment.mixup, augment.cutmix):
        with pytest.raises(TypeError, match="uint8"):
            make(classes=10).batch(KEY, x.astype(np.int32), LABELS)


def test_wrong_options_are_said_together_when_it_is_made():
    for make in (augment.mixup, augment.cutmix):
        with pytest.raises(ValueError, match=r"alpha must be .*got 0; classes must be .*got 2.5"):
            make(0, classes=2.5)
