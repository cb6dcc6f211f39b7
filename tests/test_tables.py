from html.parser import HTMLParser

import pytest

from fcnn.tables import html_table, number, short, text_table

ROWS = [["layer", "size"], ["<conv> & co", "1,000"], ["dense", "2"], ["total", "1,002"]]


class Page(HTMLParser):
    """A page as read back: its texts, its tags with their styles, and which are left open."""

    def __init__(self, page):
        super().__init__()
        self.texts, self.tags, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs).get("style", "")))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data)


def styles(page, tag):
    return [style for name, style in Page(page).tags if name == tag]


def test_text_stands_on_its_side_and_no_line_ends_in_spaces():
    assert text_table(ROWS, "lr").splitlines() == [
        "layer         size",
        "<conv> & co  1,000",
        "dense            2",
        "total        1,002",
    ]
    assert text_table([["a", "b"], ["1", ""]], "rl").splitlines() == ["a  b", "1"]


def test_a_foot_is_set_apart_by_lines():
    lines = text_table(ROWS, "lr", foot=1).splitlines()
    assert lines[1] == lines[4] == "-" * 18
    assert [line.split()[0] for line in (lines[0], lines[5])] == ["layer", "total"]


def test_html_has_the_same_cells_escaped_and_balanced():
    page = Page(html_table(ROWS, "lr", foot=1))
    assert page.open == []
    assert page.texts == [cell for row in ROWS for cell in row]
    order = [tag for tag, _ in page.tags if tag in ("thead", "tbody", "tfoot", "tr")]
    assert order == ["thead", "tr", "tbody", "tr", "tr", "tfoot", "tr"]


def test_html_heads_are_the_first_row_and_the_first_column():
    page = html_table(ROWS, "lr")
    assert len(styles(page, "th")) == 2 + 3
    assert all("text-align: right" in style for style in styles(page, "td"))
    assert styles(page, "tfoot") == []


def test_shades_colour_cells_and_zero_leaves_them_alone():
    page = html_table(ROWS, "lr", foot=1, shades=[[1.0], [0.0]])
    assert ["background" in style for style in styles(page, "td")] == [True, False, False]
    assert not any("background" in style for style in styles(page, "th"))


@pytest.mark.parametrize("table", [text_table, html_table])
def test_a_row_of_another_length_is_refused(table):
    with pytest.raises(ValueError, match="argument 2 is"):
        table([["a", "b"], ["1"]], "lr")
    with pytest.raises(ValueError, match="argument"):
        table([["a", "b"], ["1", "2"]], "lrr")


def test_names_are_cut_to_one_line_of_the_width():
    assert short("a\n  b\tc") == "a b c"
    assert short("x" * 24) == "x" * 24
    assert short("x" * 25) == "x" * 23 + "…"
    assert short("tabby cat", 7) == "tabby…"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (5.0, "5"), (0.5, "0.5"), (1234.5678, "1,234.57")],
)
def test_counts_are_in_full_and_other_numbers_to_six_digits(value, text):
    assert number(value) == text


def test_numbers_may_be_shorter():
    assert number(19.4141, 3) == "19.4"
    assert number(123456, 3) == "123,456"
