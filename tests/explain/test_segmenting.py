import numpy as np
import pytest

from fcnn.explain import superpixels
from fcnn.explain.segmenting import checked_segments


def by_hand(x, grid, step, compactness, iterations):
    """The clustering of one picture, position by position."""
    height, width, _ = x.shape
    scaled = (x - x.min()) / (x.max() - x.min())

    def features(i, j):
        return np.array([*scaled[i, j], i * compactness / step, j * compactness / step])

    cell = {
        (i, j): (i * grid[0] // height, j * grid[1] // width)
        for i in range(height)
        for j in range(width)
    }
    label = dict(cell)
    for _ in range(iterations):
        centres = {
            c: np.mean([features(*p) for p in label if label[p] == c], 0)
            for c in set(label.values())
        }
        for p, (a, b) in cell.items():
            around = [c for c in centres if abs(c[0] - a) < 2 and abs(c[1] - b) < 2]
            label[p] = min(around, key=lambda c, p=p: ((features(*p) - centres[c]) ** 2).sum())
    names = sorted(set(label.values()))
    return np.array([[names.index(label[i, j]) for j in range(width)] for i in range(height)])


def test_superpixels_equal_a_loop_over_positions():
    x = np.random.default_rng(0).uniform(size=(2, 8, 12, 3))
    found = superpixels(x, 6, compactness=0.5, iterations=3)
    for picture, labels in zip(x, found, strict=True):
        np.testing.assert_array_equal(labels, by_hand(picture, (2, 3), 4, 0.5, 3))


def test_superpixels_follow_the_edges_of_a_picture():
    rng = np.random.default_rng(0)
    x = np.full((1, 40, 40, 3), 0.2)
    disc = np.hypot(*np.indices((40, 40)) - 19.5) < 12
    x[0, disc] = (0.9, 0.3, 0.1)
    labels = superpixels(x + rng.normal(0, 0.02, x.shape), 30)[0]
    mixed = [
        min(disc[labels == label].mean(), 1 - disc[labels == label].mean())
        for label in range(labels.max() + 1)
    ]
    assert max(mixed) < 0.1
    assert 20 <= labels.max() + 1 <= 40


@pytest.mark.parametrize("shape", [(1, 50, 2), (1, 9, 11, 1), (1, 5, 6, 7, 2)])
def test_labels_are_numbered_without_a_gap_in_any_rank(shape):
    labels = superpixels(np.random.default_rng(0).normal(size=shape), 8)
    assert labels.shape == shape[:-1]
    np.testing.assert_array_equal(np.unique(labels), range(labels.max() + 1))


def test_an_example_has_the_same_superpixels_in_any_batch_and_unit():
    x = np.random.default_rng(0).uniform(size=(3, 12, 12, 3))
    whole = superpixels(x, 9)
    np.testing.assert_array_equal(superpixels(x[1:2], 9), whole[1:2])
    np.testing.assert_array_equal(superpixels(x * 256 - 64, 9), whole)
    assert superpixels(x[:0], 9).shape == (0, 12, 12)


def test_a_picture_of_one_colour_is_cut_into_a_grid():
    labels = superpixels(np.full((1, 6, 6, 3), 7.0), 9)[0]
    np.testing.assert_array_equal(labels, np.arange(9).reshape(3, 3).repeat(2, 0).repeat(2, 1))


def test_more_superpixels_than_positions_are_the_positions():
    x = np.random.default_rng(0).uniform(size=(1, 3, 4, 1))
    assert superpixels(x, 100).max() == 11


def test_given_segments_are_numbered_anew_for_each_example():
    x = np.zeros((2, 2, 2, 1))
    given = np.array([[[5, 5], [9, -1]], [[3, 3], [3, 4]]])
    found = checked_segments(x, given)
    np.testing.assert_array_equal(found, [[[1, 1], [2, 0]], [[0, 0], [0, 1]]])
    np.testing.assert_array_equal(checked_segments(x, given[1])[0], [[0, 0], [0, 1]])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"count": 2.5}, "count must be a positive integer, got 2.5"),
        ({"compactness": 0}, "compactness must be positive, got 0"),
        ({"iterations": 0}, "iterations must be a positive integer, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        superpixels(np.zeros((1, 4, 4, 1)), **options)
    with pytest.raises(ValueError, match=r"expected images .* got \[4, 4\]"):
        superpixels(np.zeros((4, 4)))
