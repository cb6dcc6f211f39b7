"""Text: lines of files, the words in them, and those as numbers.

A vocabulary numbers words: 0 is padding, 1 any word that it does not know, 2 the most frequent one.
Which words it knows is learned from data, so it has to come from the training part alone.
"""

import codecs
import dataclasses
import functools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .columns import class_names, encode_labels
from .dataset import Dataset

PADDING, UNKNOWN = 0, 1
_SPECIAL = ("<padding>", "<unknown>")
_PARTS = {"train", "test"}
_SHOWN = 20  # problems in one message

File = str | os.PathLike


def words(text: str) -> list[str]:
    """Words in lower case, and every other mark that is not white space.

    Example:
        >>> words("It's a 2-hour film; don't.")
        ["it's", 'a', '2', '-', 'hour', 'film', ';', "don't", '.']
    """
    return re.findall(r"\w+(?:['’]\w+)*|[^\w\s]", text.lower())


def lines(files: File | Iterable[File], *, encoding: str = "utf-8") -> list[str]:
    r"""The lines of text files, without their ends; blank ones are left out.

    A line ends at ``\n`` or ``\r\n`` alone: other characters that break lines on a screen, such as
    U+0085, are part of the text.

    Raises:
        ValueError: a file is not in this encoding; file, line and an encoding that fits are named.
            Or there is no such encoding.
        OSError: there is no such file.
    """
    files = [files] if isinstance(files, str | os.PathLike) else files
    return [
        line
        for file in files
        for line in _decoded(Path(file), encoding).replace("\r\n", "\n").split("\n")
        if line.strip()
    ]


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Words by number; ``len(vocabulary)`` is the first argument of ``embedding``.

    Example:
        >>> vocabulary = Vocabulary.build(["a good film", "a bad film", "a film"])
        >>> vocabulary.tokens
        ('<padding>', '<unknown>', 'a', 'film', 'bad', 'good')
        >>> vocabulary.encode(["a great film", "good"], 4)
        array([[2, 1, 3, 0],
               [5, 0, 0, 0]], dtype=int32)
        >>> vocabulary.decode(_)
        ['a <unknown> film', 'good']

    Attributes:
        tokens: The words, by number; the first two stand for padding and for unknown words.
        split: ``text -> words``.

    Raises:
        ValueError: the first two are others, or a word comes twice.
        TypeError: a word is no string.
    """

    tokens: tuple[str, ...]
    split: Callable[[str], Sequence[str]] = words

    def __post_init__(self):
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if wrong := [token for token in self.tokens if not isinstance(token, str)]:
            raise TypeError(f"a vocabulary is of strings, got {wrong[0]!r}")
        if self.tokens[:2] != _SPECIAL:
            raise ValueError(f"a vocabulary begins with {_SPECIAL}, got {self.tokens[:2]}")
        if len(set(self.tokens)) < len(self.tokens):
            twice = [token for token, count in Counter(self.tokens).items() if count > 1]
            raise ValueError(f"a vocabulary has {twice[0]!r} twice")

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        *,
        split: Callable[[str], Sequence[str]] = words,
        min_count: int = 1,
        size: int | None = None,
    ) -> "Vocabulary":
        """The words of these texts, the most frequent first and equals in alphabetical order.

        Args:
            texts: What is there to train on, and no more than that.
            split: ``text -> words``; ``str.split`` for text whose words are parted already.
            min_count: Rarer words are left out.
            size: At most so many numbers, the first two among them.

        Raises:
            ValueError: ``min_count`` is less than 1, or ``size`` less than 3.
        """
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count!r}")
        if size is not None and size < 3:
            raise ValueError(f"size must be at least 3, for one word, got {size!r}")
        counts = Counter(word for text in _texts(texts, "build") for word in split(text))
        found = [word for word, n in counts.items() if n >= min_count and word not in _SPECIAL]
        ranked = sorted(found, key=lambda word: (-counts[word], word))
        return cls((*_SPECIAL, *ranked)[:size], split)

    @functools.cached_property
    def ids(self) -> dict[str, int]:
        """The number of each word; padding and unknown words are none."""
        return {token: number for number, token in enumerate(self.tokens) if number > UNKNOWN}

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"<vocabulary of {len(self):,}: {', '.join(self.tokens[2:6])}, ...>"

    def encode(self, texts: Any, length: int) -> Any:
        """Texts as numbers: int32 ``[n, length]``, cut or filled up with padding at the end.

        A dataset of texts becomes a dataset of these.

        Raises:
            ValueError: ``length`` is not a positive integer.
            TypeError: ``texts`` is a single text, or holds something else.
        """
        if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
            raise ValueError(f"length must be a positive integer, got {length!r}")
        if isinstance(texts, Dataset):
            return dataclasses.replace(texts, x=self.encode(texts.x, length))
        texts = list(_texts(texts, "encode"))
        numbers = np.full((len(texts), length), PADDING, np.int32)
        for row, text in zip(numbers, texts, strict=True):
            known = [self.ids.get(word, UNKNOWN) for word in self.split(text)[:length]]
            row[: len(known)] = known
        return numbers

    def decode(self, numbers: Any) -> list[str]:
        """The words of ``[n, length]`` numbers, parted by spaces, without the padding.

        Raises:
            ValueError: a number is no word's, or they are not ``[n, length]`` integers.
        """
        numbers = np.asarray(numbers)
        if numbers.ndim != 2 or numbers.dtype.kind not in "iu":
            raise ValueError(
                f"decode takes integers [n, length], got {numbers.dtype}{list(numbers.shape)}"
            )
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise ValueError(
                f"the words have the numbers 0 to {len(self) - 1}, "
                f"got {numbers.min()} to {numbers.max()}"
            )
        return [" ".join(self.tokens[n] for n in row if n != PADDING) for row in numbers.tolist()]

    def save(self, file: File) -> None:
        """Writes the words, and the name of ``split``, as JSON."""
        stored = {"split": _name(self.split), "tokens": self.tokens[2:]}
        text = json.dumps(stored, ensure_ascii=False, indent=0)
        Path(file).write_text(text + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, file: File, *, split: Callable[[str], Sequence[str]] = words) -> "Vocabulary":
        """The vocabulary in a file that ``save`` wrote; ``split`` is the function it had then.

        Raises:
            ValueError: the file holds something else, or was written with another ``split``.
        """
        try:
            stored = json.loads(Path(file).read_bytes())
            if not isinstance(stored, dict) or set(stored) != {"split", "tokens"}:
                raise ValueError("has not just the keys split and tokens")
            if not isinstance(stored["tokens"], list):
                raise ValueError("its tokens are no list")
            if stored["split"] != _name(split):
                raise ValueError(
                    f"was made with split={stored['split']}, and split={_name(split)} was given"
                )
            return cls((*_SPECIAL, *stored["tokens"]), split)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{file} is no such vocabulary: {error}") from error


def text(
    source: File | Sequence[File] | Mapping[str, File | Sequence[File]],
    *,
    vocabulary: Vocabulary | None = None,
    length: int | None = None,
    encoding: str = "utf-8",
) -> Dataset | tuple[Dataset, Dataset]:
    """Texts by class: ``x`` is int32 ``[n, length]``, or without a vocabulary the texts, ``[n]``.

    In a folder of folders, each folder is a class and each ``.txt`` file in it a text; where the
    folders are just ``train`` and ``test``, they hold those, and the result is ``(train, test)``.
    In a folder of files, or a list of them, each file is a class and each line a text; the class is
    where the names differ, ``.pos`` and ``.neg`` of ``rt-polarity.pos`` and ``rt-polarity.neg``, or
    the stem. ``{"pos": file, "neg": file}`` names the classes.

    A vocabulary that has seen the test texts knows too much, so build it between the two::

        data = text("rt-polarity", encoding="cp1252")
        train, test = split(data, 0.1)
        vocabulary = Vocabulary.build(train.x, size=10_000)
        train, test = vocabulary.encode(train, 60), vocabulary.encode(test, 60)

    Args:
        source: A folder, files, or classes and their files.
        vocabulary: What numbers the words.
        length: Words of a text, with a vocabulary: longer ones are cut, shorter ones padded.
        encoding: Of the files.

    Raises:
        ValueError: files are not in this encoding, all of them in one message; the classes are not
            clear from the names; or only one of ``vocabulary`` and ``length`` is given.
        FileNotFoundError: there are no such files.
    """
    if (vocabulary is None) != (length is None):
        raise ValueError("give both vocabulary and length, for numbers, or none of them, for texts")
    folder = Path(source) if isinstance(source, str | os.PathLike) else None
    if folder is not None and {path.name for path in _inside(folder) if path.is_dir()} == _PARTS:
        train = _labelled(folder / "train", encoding)
        test = _labelled(folder / "test", encoding, train.classes)
        parts = (train, test)
    else:
        parts = (_labelled(source, encoding),)
    if vocabulary is not None and length is not None:
        parts = tuple(vocabulary.encode(part, length) for part in parts)
    return parts if len(parts) > 1 else parts[0]


def _labelled(source: Any, encoding: str, classes: tuple[str, ...] | None = None) -> Dataset:
    """The texts of one part, as they are."""
    by_class, whole = _by_class(source)
    texts, labels, problems = [], [], []
    for name, files in by_class.items():
        for file in files:
            try:
                found = _whole(file, encoding) if whole else lines(file, encoding=encoding)
                if not found:
                    raise ValueError(f"{file} has no text")
            except (OSError, ValueError) as error:
                problems.append(str(error))
            else:
                texts += found
                labels += [name] * len(found)
        if not files:
            problems.append(f"the class {name} has no files")
    if problems:
        shown = "\n  ".join(problems[:_SHOWN])
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ValueError(f"{len(problems)} of the texts' files cannot be used:\n  {shown}{more}")
    y, classes = encode_labels(np.array(labels), classes or class_names(tuple(by_class)))
    name = " ".join(Path(source).parts[-1:]) if isinstance(source, str | os.PathLike) else "texts"
    return Dataset(np.array(texts, object), y, classes=classes, name=name)


def _by_class(source: Any) -> tuple[dict[str, list[Path]], bool]:
    """The files of each class, and whether each is one text."""
    if isinstance(source, Mapping):
        one = (str, os.PathLike)
        groups = {name: [at] if isinstance(at, one) else at for name, at in source.items()}
        return {str(name): [Path(file) for file in files] for name, files in groups.items()}, False
    if isinstance(source, str | os.PathLike):
        source = _inside(Path(source))
        if folders := [path for path in source if path.is_dir()]:
            return {folder.name: sorted(folder.rglob("*.txt")) for folder in folders}, True
    files = [Path(file) for file in source]
    stems, suffixes = [file.stem for file in files], [file.suffix[1:] for file in files]
    for names, others in ((suffixes, stems), (stems, suffixes)):
        if len(set(names)) == len(files) and len(set(others)) == 1:
            return {name: [file] for name, file in sorted(zip(names, files, strict=True))}, False
    raise ValueError(
        f"the names {', '.join(file.name for file in files[:5]) or 'of no files'} do not say which "
        'class is which; give {"pos": file, "neg": file}'
    )


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _whole(file: Path, encoding: str) -> list[str]:
    return [content] if (content := _decoded(file, encoding).strip()) else []


def _decoded(file: Path, encoding: str) -> str:
    """The text of a file, without the mark of its byte order."""
    raw = file.read_bytes()
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise ValueError(f"there is no encoding {encoding!r} of text") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{file}, line {line}: {raw[error.start : error.start + 1]!r} is not {encoding}; "
            f"{_advice(raw, encoding)}"
        ) from error


def _advice(raw: bytes, encoding: str) -> str:
    """An encoding in which these bytes are text, as far as that can be told."""
    marked = raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    for other in ("utf-16",) if marked else ("utf-8", "cp1252"):
        try:
            raw.decode(other)
        except UnicodeDecodeError:
            continue
        return f"the file can be read with encoding={other!r}"
    return "neither utf-8 nor cp1252 fits the file; is it text?"


def _texts(texts: Iterable[str], what: str) -> Iterable[str]:
    if isinstance(texts, str):
        raise TypeError(f"{what} takes several texts; put the one into a list")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{what} takes texts, got {type(text).__name__} {text!r:.40}")
        yield text


def _name(split: Callable) -> str:
    return getattr(split, "__qualname__", type(split).__name__)
