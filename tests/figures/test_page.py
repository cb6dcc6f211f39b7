"""The page: everything is in it, nothing is asked for, and names cannot break out of it."""

import base64
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from fcnn.evaluation import (
    classification_report,
    label_report,
    regression_report,
    segmentation_report,
)
from fcnn.figures import mistakes, write_page

from ..test_tables import Page
from .parts import made

pytest.importorskip("matplotlib")
RANDOM = np.random.default_rng(0)
HOSTILE = [
    '<script>alert("1")</script>',
    '"><img src=https://example.org/x.png>',
    "$\\frac{$ & 'so on'",
    "a\0b\x1b[31m\u202e\udcff",
]


class Whole(Page):
    """A page as read back; tags that are never closed are known."""

    def handle_starttag(self, tag, attrs):
        super().handle_starttag(tag, attrs)
        if tag in ("meta", "img"):
            self.open.pop()
            self.pictures = [*getattr(self, "pictures", []), dict(attrs)]


def written(path, report, **options):
    write_page(path, report, **options)
    text = path.read_text(encoding="utf-8")
    page = Whole(text)
    assert page.open == []
    return text, page


def images(page):
    """The alternative texts and the bytes of the pictures."""
    found = {}
    for attributes in page.pictures:
        if "src" in attributes:
            head, content = attributes["src"].split(",")
            assert head == "data:image/png;base64"
            found[attributes["alt"]] = base64.b64decode(content)
    return found


def test_a_page_holds_figures_tables_curves_and_mistakes(tmp_path):
    report = made(4, 300, sharpness=2.0)
    x = RANDOM.random([300, 8, 8, 1])
    text, page = written(tmp_path / "report.html", report, x=x, title="Four kinds")
    assert page.texts.count("Four kinds") == 2  # title and heading
    assert f"{report.accuracy:.2%}" in page.texts
    low, high = report.interval("accuracy")
    assert f"{low:.2%} to {high:.2%}" in page.texts
    assert [f"class {i}" in page.texts for i in range(4)] == [True] * 4
    found = images(page)
    assert list(found) == [
        "confusion matrix", "ROC curves", "precision-recall curves", "reliability diagram",
        "the worst mistakes",
    ]  # fmt: skip
    assert all(png.startswith(b"\x89PNG") and len(png) > 5000 for png in found.values())
    assert len(text) < 2_000_000


def test_a_page_can_do_without_pictures_probabilities_and_intervals(tmp_path):
    report = made(3)
    _, page = written(tmp_path / "table.html", report, x=RANDOM.random([200, 5]), intervals=False)
    assert "the worst mistakes" not in images(page)
    worst = report.mistakes(1)[0]
    assert str(worst.index) in page.texts
    assert not any(" to " in text and "%" in text for text in page.texts)
    perfect = made(3, sharpness=50)
    _, page = written(tmp_path / "perfect.html", perfect, x=RANDOM.random([200, 8, 8, 1]))
    assert "None in 200 examples." in page.texts


def test_many_classes_have_the_worst_first_and_all_folded_up(tmp_path):
    text, page = written(tmp_path / "many.html", made(100, 500), intervals=False)
    assert "all 100" in page.texts
    assert text.count("<details>") == 1
    assert len(text) < 2_000_000


def test_numbers_have_a_page_too(tmp_path):
    truth = RANDOM.normal(size=50)
    report = regression_report(truth, truth + 0.1 * RANDOM.normal(size=50))
    _, page = written(tmp_path / "numbers.html", report)
    assert list(images(page)) == ["predictions against the truth"]
    assert f"{report.r2:.4f}" in page.texts


def test_labels_and_pixels_have_a_page_too(tmp_path):
    truth = RANDOM.random([60, 3]) > 0.5
    sure = np.clip(0.5 * truth + 0.5 * RANDOM.random([60, 3]), 0, 1)
    report = label_report(truth, sure > 0.5, classes="abc", probabilities=sure)
    _, page = written(tmp_path / "labels.html", report)
    assert list(images(page)) == ["ROC curves", "precision-recall curves"]
    assert {"all labels right", "Jaccard", f"{report.f1:.4f}"} < set(page.texts)
    pixels = RANDOM.integers(0, 3, [5, 6, 6])
    report = segmentation_report(pixels, np.roll(pixels, 1, 1), classes="abc")
    _, page = written(tmp_path / "pixels.html", report)
    assert list(images(page)) == ["confusion matrix"]
    assert {"mean IoU", "IoU", f"{report.iou:.4f}"} < set(page.texts)


def test_one_class_and_a_network_that_has_diverged_have_a_page(tmp_path):
    sure = np.array([[0.9, 0.1], [0.4, 0.6]])
    options = {"probabilities": sure, "classes": "ab"}
    report = classification_report([0, 0], [0, 1], **options)
    _, page = written(tmp_path / "one.html", report)
    assert "ROC curves" not in images(page)
    assert "reliability diagram" in images(page)
    report = classification_report([0, 1], [0, 0], probabilities=sure * np.nan, classes="ab")
    _, page = written(tmp_path / "lost.html", report)
    assert list(images(page)) == ["confusion matrix"]


def test_names_cannot_break_out_of_the_page(tmp_path):
    x = RANDOM.integers(0, 256, [100, 4, 4, 3], dtype=np.uint8)
    report = made(4, 100, names=HOSTILE, sharpness=0.5)
    text, page = written(tmp_path / "hostile.html", report, x=x, title=HOSTILE[0])
    assert "<script" not in text
    assert "example.org/x.png>" not in text
    assert text.isprintable() or set(text) - set(filter(str.isprintable, text)) == {"\n"}
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "a", "link", "iframe", "object"})
    assert len(images(page)) == 5
    assert HOSTILE[0] in page.texts


def test_nothing_in_the_page_points_outside(tmp_path):
    text, page = written(tmp_path / "report.html", made(3), x=RANDOM.random([200, 4, 4, 1]))
    text = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"//|url\(|@import|<link|<script|<iframe| on\w+=", text)
    (policy,) = (one for one in page.pictures if "http-equiv" in one)
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'; img-src data:")


def test_the_gallery_has_the_worst_mistakes_of_arrays_and_datasets():
    report = made(3, sharpness=1.0)
    x = np.zeros([200, 2, 2, 1], np.float32)
    x[:, 0, 0, 0] = np.arange(200) / 200
    worst = report.mistakes(5)
    figure = mistakes(x, report, top=5)
    shown = [image.get_array()[0, 0, 0] for image in figure.axes[0].images]
    np.testing.assert_allclose(shown, [row.index / 200 for row in worst], atol=1e-6)
    first = figure.axes[0].texts[0].get_text()
    assert first == f"{worst[0].probability:.0%} {worst[0].prediction}\nis {worst[0].truth}"

    class Dataset:
        def __len__(self):
            return 200

        def __getitem__(self, rows):
            return x[rows], report.targets[rows]

    again = mistakes(Dataset(), report, top=5)
    np.testing.assert_array_equal(shown, [i.get_array()[0, 0, 0] for i in again.axes[0].images])
    with pytest.raises(ValueError, match=r"x has 100 examples, but example 199 was evaluated"):
        mistakes(x[:100], report)


def browser():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return found or pytest.skip("no chromium")


def test_chromium_asks_for_nothing_and_shows_the_page(tmp_path):
    image = pytest.importorskip("PIL.Image")
    written(tmp_path / "report.html", made(4, names=HOSTILE), x=RANDOM.random([200, 8, 8, 1]))
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,3200", "--hide-scrollbars",
        f"--log-net-log={tmp_path / 'net.json'}", f"--screenshot={tmp_path / 'shot.png'}",
        (tmp_path / "report.html").as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    log = json.loads((tmp_path / "net.json").read_text())
    urls = {event.get("params", {}).get("url", "") for event in log["events"]}
    asked = {url for url in urls if "example.org" in url}
    assert not asked
    pixels = np.asarray(image.open(io.BytesIO((tmp_path / "shot.png").read_bytes())).convert("L"))
    assert (pixels[:3000] < 250).mean() > 0.05


def test_one_example_has_a_page_without_intervals(tmp_path):
    report = classification_report([1], [1], probabilities=[[0.2, 0.8]], classes="ab")
    write_page(tmp_path / "page.html", report)
    page = (tmp_path / "page.html").read_text()
    assert "interval of 95" not in page
    assert "100.00%" in page
