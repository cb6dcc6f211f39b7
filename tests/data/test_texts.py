"""Text: lines as they stand, words by number, and files whose encoding is another."""

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fcnn.data import split
from fcnn.data.texts import Vocabulary, lines, text, words

SHARED = Path(os.environ.get("FCNN_DATA", Path(__file__).parents[3] / "shared" / "data")) / "text"
TEXTS = ["a good film", "A bad, bad film", "a film"]


@pytest.fixture
def written(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode(encoding))
        return path

    return write


def test_words_are_lower_case_and_marks_stand_alone():
    assert words("Isn't 3D über-cool?! café") == [
        *("isn't", "3d", "über", "-", "cool", "?", "!", "café"),
    ]
    assert words(" \n\t") == []


def test_lines_end_at_line_feeds_alone(written):
    content = "one\r\ntwo\x85still two\u2028and\x0cthis\n\n   \nthree \rlong\nlast"
    found = lines(written("a.txt", content))
    assert found == ["one", "two\x85still two\u2028and\x0cthis", "three \rlong", "last"]
    assert len(content.splitlines()) > 6


def test_the_lines_of_several_files_follow_each_other(written):
    files = [written("b.txt", "1\n2\n"), str(written("a.txt", "3"))]
    assert lines(files) == ["1", "2", "3"]
    assert lines(str(files[0])) == ["1", "2"]
    assert lines(written("void.txt", "")) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_mark_of_the_byte_order_is_no_text(written, encoding):
    path = written("a.txt", "né\nzwei", encoding)
    assert lines(path, encoding=encoding) == ["né", "zwei"]
    if encoding == "utf-8-sig":
        assert lines(path) == ["né", "zwei"]


@pytest.mark.parametrize(
    ("encoding", "given", "words"),
    [
        ("cp1252", "utf-8", r"line 3: b'\\x85' is not utf-8; .* encoding='cp1252'"),
        ("utf-16", "utf-8", r"line 1: b'\\xff' is not utf-8; .* encoding='utf-16'"),
        ("utf-8", "ascii", r"line 3: b'\\xe2' is not ascii; .* encoding='utf-8'"),
    ],
)
def test_another_encoding_is_named_with_the_line_and_one_that_fits(written, encoding, given, words):
    path = written("a.txt", "one\ntwo\nthree…\n", encoding)
    with pytest.raises(ValueError, match=words) as caught:
        lines(path, encoding=given)
    assert str(caught.value).startswith(f"{path}, line ")
    suggested = str(caught.value).rpartition("encoding=")[2].strip("'")
    assert lines(path, encoding=suggested)[2] == "three…"


def test_what_is_no_text_has_no_encoding(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\x81\x8d")
    with pytest.raises(ValueError, match="neither utf-8 nor cp1252 fits the file; is it text"):
        lines(tmp_path / "a.txt")
    with pytest.raises(ValueError, match="there is no encoding 'klingon' of text"):
        lines(tmp_path / "a.txt", encoding="klingon")
    with pytest.raises(ValueError, match="there is no encoding 'zip' of text"):
        lines(tmp_path / "a.txt", encoding="zip")


def test_the_most_frequent_words_come_first_and_equals_by_the_alphabet():
    vocabulary = Vocabulary.build(TEXTS)
    assert vocabulary.tokens[2:] == ("a", "film", "bad", ",", "good")
    assert vocabulary == Vocabulary.build(reversed(TEXTS))
    assert len(vocabulary) == 7
    assert vocabulary.ids["a"] == 2


def test_rare_words_are_left_out_and_the_size_counts_all_numbers():
    assert Vocabulary.build(TEXTS, min_count=2).tokens[2:] == ("a", "film", "bad")
    assert Vocabulary.build(TEXTS, size=4).tokens[2:] == ("a", "film")
    assert Vocabulary.build(TEXTS, split=str.split).ids["A"] > 0
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        Vocabulary.build(TEXTS, min_count=0)
    with pytest.raises(ValueError, match="size must be at least 3, for one word, got 2"):
        Vocabulary.build(TEXTS, size=2)


def test_texts_become_numbers_of_one_length():
    vocabulary = Vocabulary.build(TEXTS)
    numbers = vocabulary.encode(["a GREAT film", "", "bad bad bad bad bad"], 4)
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [[2, 1, 3, 0], [0, 0, 0, 0], [4, 4, 4, 4]]
    assert vocabulary.decode(numbers) == ["a <unknown> film", "", "bad bad bad bad"]
    assert vocabulary.encode([], 4).shape == (0, 4)


def test_the_names_of_special_numbers_are_unknown_words_in_a_text():
    vocabulary = Vocabulary.build(["<padding> <unknown> x"], split=str.split)
    assert vocabulary.tokens == ("<padding>", "<unknown>", "x")
    assert vocabulary.encode(["<padding> x <unknown>"], 3).tolist() == [[1, 2, 1]]


def test_a_vocabulary_is_stored_as_json_and_comes_back(tmp_path):
    texts = [*TEXTS, 'Ünï "code" … 電影']
    vocabulary = Vocabulary.build(texts)
    vocabulary.save(tmp_path / "words.json")
    again = Vocabulary.load(tmp_path / "words.json")
    assert again == vocabulary
    assert again.encode(texts, 9).tolist() == vocabulary.encode(texts, 9).tolist()
    assert "電影" in (tmp_path / "words.json").read_text("utf-8")


def test_a_vocabulary_comes_back_only_with_the_way_its_texts_were_split(tmp_path):
    Vocabulary.build(TEXTS, split=str.split).save(tmp_path / "w.json")
    with pytest.raises(ValueError, match=r"made with split=str\.split, and split=words was given"):
        Vocabulary.load(tmp_path / "w.json")
    assert Vocabulary.load(tmp_path / "w.json", split=str.split).ids["A"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "no json",
        json.dumps({"split": "words", "tokens": "abc"}),
        json.dumps({"split": "words", "tokens": ["a", "a"]}),
        json.dumps({"split": "words", "tokens": ["a", 1]}),
        json.dumps({"split": "words", "tokens": [["a"]]}),
        json.dumps({"split": "words", "tokens": ["<unknown>"]}),
        "[" * 100_000,
    ],
)
def test_a_damaged_vocabulary_is_named(written, content):
    path = written("w.json", content)
    with pytest.raises(ValueError, match="is no such vocabulary: ") as caught:
        Vocabulary.load(path)
    assert str(caught.value).startswith(str(path))


def test_what_is_not_text_or_number_is_refused():
    vocabulary = Vocabulary.build(TEXTS)
    with pytest.raises(TypeError, match="encode takes several texts; put the one into a list"):
        vocabulary.encode("a film", 4)
    with pytest.raises(TypeError, match="build takes texts, got int 3"):
        Vocabulary.build(["a", 3])
    with pytest.raises(ValueError, match="length must be a positive integer, got 0"):
        vocabulary.encode(TEXTS, 0)
    with pytest.raises(ValueError, match="the words have the numbers 0 to 6, got 2 to 7"):
        vocabulary.decode([[2, 7]])
    with pytest.raises(ValueError, match=r"decode takes integers \[n, length\], got int64\[1\]"):
        vocabulary.decode([2])
    with pytest.raises(ValueError, match="a vocabulary begins with"):
        Vocabulary(("a", "b"))


def test_files_of_lines_are_classes_by_what_differs_in_their_names(written, tmp_path):
    written("r/film.pos", "good\nbest\n")
    written("r/film.neg", "bad\n")
    written("r/.hidden", "x")
    data = text(tmp_path / "r")
    assert data.x.tolist() == ["bad", "good", "best"]
    assert (data.y.tolist(), data.classes, data.name) == ([0, 1, 1], ("neg", "pos"), "r")
    assert data.y.dtype == np.int32
    files = [written("s/no.txt", "bad"), written("s/yes.txt", "good")]
    for source in (tmp_path / "s", files, [str(file) for file in files]):
        assert text(source).classes == ("no", "yes")
    named = text({"yes": files[1], "no": [files[0], files[0]]})
    assert (named.classes, named.y.tolist()) == (("yes", "no"), [0, 1, 1])
    written("s/README.md", "about")
    with pytest.raises(ValueError, match="do not say which class is which"):
        text(tmp_path / "s")


def test_folders_of_texts_are_classes_and_train_and_test_are_parts(written, tmp_path):
    for i, name in enumerate(["train/neg/a", "train/pos/b", "train/pos/c", "test/pos/a"]):
        written(f"reviews/{name}.txt", f"line {i}\nand another\n")
    written("reviews/notes.md", "ignored")
    train, test = text(tmp_path / "reviews")
    assert train.x.tolist() == [f"line {i}\nand another" for i in range(3)]
    assert (train.y.tolist(), test.y.tolist()) == ([0, 1, 1], [1])
    assert train.classes == test.classes == ("neg", "pos")
    assert text(tmp_path / "reviews/train").x.tolist() == train.x.tolist()
    written("reviews/test/new/a.txt", "a class that train does not know")
    with pytest.raises(ValueError, match=r"\['new'\], which are not among the classes"):
        text(tmp_path / "reviews")


def test_a_vocabulary_makes_the_numbers_at_once_or_after_the_split(written, tmp_path):
    written("r.pos", "\n".join(f"good film {i}" for i in range(10)))
    written("r.neg", "\n".join(f"bad film {i}" for i in range(10)))
    train, test = split(text(tmp_path), 0.2)
    vocabulary = Vocabulary.build(train.x, min_count=2)
    encoded = vocabulary.encode(test, 5)
    assert encoded.x.tolist() == vocabulary.encode(list(test.x), 5).tolist()
    assert (encoded.y.tolist(), encoded.classes) == (test.y.tolist(), ("neg", "pos"))
    at_once = text(tmp_path, vocabulary=vocabulary, length=5)
    np.testing.assert_array_equal(at_once.x, vocabulary.encode(text(tmp_path), 5).x)
    for half in ({"vocabulary": vocabulary}, {"length": 5}):
        with pytest.raises(ValueError, match="give both vocabulary and length"):
            text(tmp_path, **half)


def test_all_that_is_wrong_is_in_one_message(written, tmp_path):
    written("a/neg/1.txt", "…", "cp1252")
    written("a/neg/2.txt", " \n")
    written("a/pos/1.txt", "fine")
    (tmp_path / "a/void").mkdir()
    with pytest.raises(ValueError, match="3 of the texts' files cannot be used:\n") as caught:
        text(tmp_path / "a")
    for reason in ("1.txt, line 1: ", "2.txt has no text", "the class void has no files"):
        assert reason in str(caught.value)
    with pytest.raises(FileNotFoundError):
        text(tmp_path / "nowhere")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no {SHARED}; FCNN_DATA names another folder")
def test_the_real_reviews_are_read(tmp_path):
    for name in ("rt-polarity.neg", "rt-polarity.pos"):
        (tmp_path / name).write_bytes(gzip.decompress((SHARED / f"{name}.gz").read_bytes()))
    with pytest.raises(ValueError, match=r"neg, line \d+: .* encoding='cp1252'"):
        text(tmp_path)
    data = text(tmp_path, encoding="cp1252")
    assert np.bincount(data.y).tolist() == [5331, 5331]
    assert data.classes == ("neg", "pos")
    counts = Counter(word for line in data.x for word in line.split())
    assert (len(counts), max(len(line.split()) for line in data.x)) == (21_420, 59)
    vocabulary = Vocabulary.build(data.x, split=str.split)
    assert len(vocabulary) == 21_422
    assert [counts[word] for word in vocabulary.tokens[2:]] == sorted(counts.values())[::-1]
