import jax
import numpy as np
import pytest

from fcnn import augment

pytest.importorskip("matplotlib")
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, [3, 8, 6, 3], dtype=np.uint8)


def shown(figure):
    """The pictures of a sheet, row by row."""
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes]


def test_a_row_is_an_image_and_its_augmented_copies():
    figure = augment.preview(augment.invert(1.0), X, copies=2)
    pictures = shown(figure)
    assert len(pictures) == 9
    for i in range(3):
        np.testing.assert_array_equal(pictures[i], X[i])
        np.testing.assert_array_equal(pictures[3 + i], 255 - X[i])
        np.testing.assert_array_equal(pictures[6 + i], 255 - X[i])
    assert [ax.get_title(loc="left") for ax in figure.axes[::3]] == ["original", "augmented", ""]
    assert figure.get_suptitle() == "invert(1.0)"


def test_copies_differ_and_follow_from_the_seed():
    step = augment.brightness(0.5)
    first, again = (shown(augment.preview(step, X[:1], copies=3)) for _ in range(2))
    other = shown(augment.preview(step, X[:1], copies=3, seed=1))
    assert len({picture.tobytes() for picture in first}) == 4
    np.testing.assert_array_equal(first, again)
    assert (np.array(first[1:]) != np.array(other[1:])).any()


def test_gray_floats_other_sizes_and_mixtures_are_shown(tmp_path):
    gray = RANDOM.random([2, 8, 8, 1], np.float32)
    figure = augment.preview(augment.center_crop(4), gray, copies=1)
    assert shown(figure)[2].shape == (4, 4)
    limits = {ax.images[0].get_clim() for ax in figure.axes}
    assert limits == {(0, 1)}  # a dark image is shown dark
    augment.preview(augment.mixup(), X, copies=2).savefig(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    augment.preview(lambda key, image: image, jax.numpy.asarray(gray))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got \[8, 6, 3\]; one image alone is image\[None\]"):
        augment.preview(augment.flip(), X[0])
    with pytest.raises(ValueError, match="1 or 3 channels"):
        augment.preview(augment.flip(), np.zeros([2, 8, 8, 4], np.uint8))
    with pytest.raises(ValueError, match="copies"):
        augment.preview(augment.flip(), X, copies=0)
