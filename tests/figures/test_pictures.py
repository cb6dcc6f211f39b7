"""Sheets, feature maps and filters: every tile is where it belongs, and shows what it should."""

import numpy as np
import pytest

from fcnn.figures import feature_maps, filters, overlay, overlays, sheet
from fcnn.figures.tiles import columns_for

figures = pytest.importorskip("matplotlib.figure")
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, [5, 6, 4, 3], dtype=np.uint8)


def tiles(figure):
    """The pictures in a figure, from the upper left, row by row."""
    (ax,) = figure.axes
    places = [(image.get_extent()[3], image.get_extent()[0]) for image in ax.images]
    assert len(set(places)) == len(places)
    order = sorted(range(len(places)), key=places.__getitem__)
    return [np.asarray(ax.images[i].get_array()) for i in order]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def drawn(figure):
    """The pixels of the figure as it is saved."""
    agg = pytest.importorskip("matplotlib.backends.backend_agg")
    canvas = agg.FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_a_sheet_shows_every_picture_below_its_title():
    figure = sheet(X, [f"no {i}" for i in range(5)])
    np.testing.assert_allclose(tiles(figure), X / 255)
    assert texts(figure) == [f"no {i}" for i in range(5)]
    for text, image in zip(figure.axes[0].texts, figure.axes[0].images, strict=True):
        left, _, _, top = image.get_extent()
        assert text.get_position()[0] == left
        assert text.get_position()[1] < top  # the axis points down
    assert drawn(figure).std() > 10


def test_pictures_keep_their_proportions_and_fill_the_figure():
    (ax,) = sheet(X[:, :2]).axes  # twice as wide as high
    left, right, low, high = ax.images[0].get_extent()
    assert (low - high) / (right - left) == pytest.approx(0.5)
    width, height = ax.figure.get_size_inches()
    assert width == pytest.approx(5 * 1.2 + 4 * 0.06 * 1.2 + 0.1)
    assert height < 1.2 / 2 + 0.2


def test_rows_are_about_equally_full():
    for n in range(1, 80):
        columns = columns_for(n)
        rows = -(-n // columns)
        assert columns <= 8
        assert n > (rows - 1) * columns
        assert rows == -(-n // 8)
        assert rows * columns - n < rows


def test_titles_are_cut_and_never_read_as_mathematics():
    long = sheet(X[:2], ["a name without any end in sight " * 3, "$\\frac{$"])
    first, second = texts(long)
    assert len(first) < 60
    assert first.endswith("…")
    assert second == "\\$\\frac{\\$"
    drawn(long)  # would raise where it were read as mathematics


def test_axes_that_are_given_are_used():
    (left, right) = figures.Figure(figsize=(8, 3)).subplots(1, 2)
    assert sheet(X, ax=left) is left.figure
    assert len(left.images) == 5
    assert overlay(X[0], RANDOM.random([6, 4]), ax=right) is right.figure
    assert len(right.images) == 1
    drawn(left.figure)


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(ValueError, match="there are no pictures"):
        sheet(X[:0])
    with pytest.raises(ValueError, match="5 pictures need as many titles, got 2"):
        sheet(X, ["a", "b"])
    with pytest.raises(ValueError, match=r"of one picture is \[h, w\], got \[1, 6, 4\]"):
        overlay(X[0], np.zeros([1, 6, 4]))
    with pytest.raises(ValueError, match=r"5 pictures need maps \[n, h, w\], got \[4, 6, 4\]"):
        overlays(X, np.zeros([4, 6, 4]))
    with pytest.raises(ValueError, match=r"are \[h, w, c\], got \[1, 4, 4, 2\]; of a batch"):
        feature_maps(np.zeros([1, 4, 4, 2]))
    with pytest.raises(ValueError, match=r"are \[n, h, w, c\], got \[3, 3, 2\]"):
        filters(np.zeros([3, 3, 2]))


def test_evidence_for_is_orange_and_against_is_blue_on_a_gray_picture():
    heat = np.zeros([6, 4])
    heat[0, 0], heat[5, 3] = 2.0, -1.0
    (tile,) = tiles(overlay(X[0], heat))
    red, _, blue = np.moveaxis(tile, -1, 0)
    assert red[0, 0] > blue[0, 0] + 0.3
    assert blue[5, 3] > red[5, 3] + 0.2
    plain = heat == 0
    assert np.ptp(tile[plain], axis=-1).max() < 1e-12
    brightness = X[0] @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(tile[plain, 0], 0.3 + 0.6 * brightness[plain])


def test_maps_of_any_scale_and_size_look_the_same():
    heat = RANDOM.random([6, 4])
    (first,) = tiles(overlay(X[0], heat))
    (again,) = tiles(overlay(X[0], 1e-12 * heat))
    np.testing.assert_allclose(first, again, atol=1e-9)
    (coarse,) = tiles(overlay(X[0], np.ones([3, 2])))
    assert coarse.shape == (6, 4, 3)
    (empty,) = tiles(overlay(X[0], np.zeros([6, 4])))
    assert np.ptp(empty, axis=-1).max() < 1e-12


def test_several_methods_are_columns_beside_the_picture():
    maps = {"first": RANDOM.random([2, 6, 4]), "second": -RANDOM.random([2, 3, 2])}
    figure = overlays(X[:2], maps, ["cat", "dog"])
    found = tiles(figure)
    assert len(found) == 6
    np.testing.assert_allclose(found[0], X[0] / 255)
    np.testing.assert_allclose(found[3], X[1] / 255)
    np.testing.assert_allclose(found[4], tiles(overlay(X[1], maps["first"][1]))[0])
    np.testing.assert_allclose(found[5], tiles(overlay(X[1], maps["second"][1]))[0])
    assert texts(figure) == ["cat", "first", "second", "dog"]


def test_one_map_each_is_one_picture_each():
    figure = overlays(X, RANDOM.random([5, 6, 4]), list("abcde"))
    assert len(tiles(figure)) == 5
    assert texts(figure) == list("abcde")


def test_feature_maps_have_one_scale_and_tell_of_dead_channels():
    maps = np.zeros([4, 4, 3])
    maps[..., 0], maps[0, 0, 1] = 1.0, 0.5
    figure = feature_maps(maps)
    strong, weak, dead = tiles(figure)
    assert strong.sum() > weak.sum() > dead.sum()
    assert figure.axes[0].get_title(loc="left") == "3 channels, 0 to 1, 1 of them 0 everywhere"
    signed = feature_maps(RANDOM.normal(size=[4, 4, 100]), top=40)
    assert len(tiles(signed)) == 40
    assert signed.axes[0].get_title(loc="left").startswith("40 of 100 channels, ±")


@pytest.mark.parametrize(
    ("shape", "count", "head"),
    [
        ((8, 3, 3, 1), 8, "8 filters, ±"),
        ((8, 3, 3, 3), 8, "8 filters, ±"),
        ((8, 3, 3, 4), 32, "8 filters, ±"),
        ((100, 3, 3, 20), 16 * 16, "16 of 100 filters, ±"),
    ],
)
def test_filters_are_tiles(shape, count, head):
    figure = filters(RANDOM.normal(size=shape))
    assert len(figure.axes[0].images) == count
    assert figure.axes[0].get_title(loc="left").startswith(head)


def test_a_row_of_filters_is_a_filter_and_0_is_white():
    kernels = np.zeros([3, 2, 2, 4])
    kernels[2, 0, 0, 1] = 1.0  # third filter, second input
    found = np.array(tiles(filters(kernels))).reshape(3, 4, 2, 2, 3)
    assert found[2, 1, 0, 0, 0] > found[2, 1, 0, 0, 2] + 0.2
    found[2, 1, 0, 0] = 1
    assert found.min() > 0.95
    rgb = np.array(tiles(filters(kernels[..., :3])))
    assert (rgb[0] == 0.5).all()


def test_one_picture_is_not_taken_for_many():
    with pytest.raises(ValueError, match=r"looks like one \[h, w, c\]; write x\[None\]"):
        sheet(np.zeros([32, 32, 3]))


def test_at_least_one_channel_or_filter_is_drawn():
    for draw in (
        lambda: feature_maps(np.ones([4, 4, 3]), top=0),
        lambda: filters(np.ones([4, 3, 3, 3]), top=-1),
    ):
        with pytest.raises(ValueError, match="top must be a whole number from 1 on"):
            draw()
