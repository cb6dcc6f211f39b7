"""What looking through pictures has shown: the report of ``fcnn.data.check``."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..tables import short, text_table

_LISTED = 20
_MODES = {
    "1": "black and white",
    "L": "gray",
    "LA": "gray with alpha",
    "I;16": "gray of 16 bits",
    "I;16B": "gray of 16 bits",
    "I": "gray of 16 bits",
    "P": "palette",
    "RGB": "colour",
    "RGBA": "colour with alpha",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """A picture as it was found.

    Attributes:
        name: Its file, below the folder or the archive.
        part: The half it lies in, such as "train"; empty where there are no halves.
        label: Its class; empty where it has none.
        reason: Why it cannot be read; None where it can.
        size: ``(height, width)``, upright.
        format: Of the file, such as "PNG".
        mode: Of its pixels, in Pillow's words.
        digest: Of the pixels; equal pictures have equal ones.
        flat: Whether it is all one colour.
    """

    name: str
    part: str
    label: str
    reason: str | None = None
    size: tuple[int, ...] = ()
    format: str = ""
    mode: str = ""
    digest: bytes = b""
    flat: bool = False


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something wrong or odd: a kind, a line that says it, and the files it is true of.

    Attributes:
        kind: "unreadable", "leak", "conflict", "repeat" and so on.
        text: One line.
        files: Pairs: a file, and what there is to say about it, which may be nothing.
    """

    kind: str
    text: str
    files: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, repr=False)
class Inspection:
    """What is in a set of pictures, and what is wrong with it; prints as a table.

    Attributes:
        path: What was looked at.
        counts: Part, class, number of files; the part is empty where there are no halves.
        sizes: How many pictures have a ``(height, width)``.
        formats: How many files are of a format.
        modes: How many have pixels of a mode, in Pillow's words ("L" is gray).
        problems: What has to be put right: files that cannot be read, pictures that lie in no class
            folder beside such folders, folders beside a train and a test folder, test pictures that
            are also in training, one picture in two classes, classes that only the test half has,
            and, in arrays, values that are not finite.
        warnings: What is worth a look.
    """

    path: str
    counts: dict[str, dict[str, int]]
    sizes: Counter
    formats: Counter
    modes: Counter
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no problems; warnings do not count."""
        return not self.problems

    @property
    def unreadable(self) -> dict[str, str]:
        """The files that cannot be read, each with the reason."""
        return {
            name: reason
            for finding in self.problems
            if finding.kind == "unreadable"
            for name, reason in finding.files
        }

    def text(self, *, limit: int | None = _LISTED) -> str:
        """The report; of a longer list of files only ``limit`` are shown, None shows all."""
        lines = self._summary()
        if any(label for part in self.counts.values() for label in part) or len(self.counts) > 1:
            lines += ["", self._class_table(limit)]
        for title, findings in (("problems", self.problems), ("warnings", self.warnings)):
            if findings:
                lines += ["", title]
                for finding in findings:
                    lines += _finding_lines(finding, limit)
        numbers = _many(len(self.problems), "problem"), _many(len(self.warnings), "warning")
        lines += ["", ", ".join(numbers)]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Everything as lists, dicts, strings and numbers."""
        return {
            "path": self.path,
            "ok": self.ok,
            "counts": self.counts,
            "sizes": [{"size": list(size), "count": n} for size, n in self.sizes.most_common()],
            "formats": dict(self.formats),
            "modes": dict(self.modes),
            "problems": [_finding_json(finding) for finding in self.problems],
            "warnings": [_finding_json(finding) for finding in self.warnings],
        }

    def __repr__(self) -> str:
        return self.text()

    def _summary(self) -> list[str]:
        files = sum(sum(part.values()) for part in self.counts.values())
        classes = {label for part in self.counts.values() for label in part if label}
        inside = f" in {_many(len(classes), 'class')}" if classes else ""
        kind = "picture" if self.formats or not self.modes else "example"
        modes = Counter()
        for mode, n in self.modes.items():
            modes[_MODES.get(mode, mode)] += n
        lines = [f"{plain(self.path)}: {_many(files, kind)}{inside}"]
        if self.sizes:
            lines.append(f"sizes    {_size_words(self.sizes)}")
        for name, found in (("pixels", modes), ("formats", self.formats)):
            if found:
                lines.append(f"{name:7}  {_shares(found)}")
        return lines

    def _class_table(self, limit: int | None) -> str:
        parts = list(self.counts)
        classes = sorted({label for part in self.counts.values() for label in part})
        shown = classes if limit is None or len(classes) <= 2 * limit else classes[: 2 * limit]
        rows = [["class", *(plain(part) or "pictures" for part in parts)]]
        for label in shown:
            numbers = (self.counts[part].get(label, 0) for part in parts)
            rows.append([short(plain(label) or "(none)"), *(f"{n:,}" for n in numbers)])
        if len(shown) < len(classes):
            rows.append([f"and {len(classes) - len(shown):,} more", *("" for _ in parts)])
        totals = (sum(self.counts[part].values()) for part in parts)
        rows.append(["total", *(f"{n:,}" for n in totals)])
        return text_table(rows, "l" + "r" * len(parts), foot=1)


def findings(kind: str, files: Iterable[tuple[str, str]], one: str, many: str) -> list[Finding]:
    """A finding about these files, or none where there are none.

    Example:
        >>> findings("odd", [("a", ""), ("b", "")], "1 file is odd", "files are odd")[0].text
        '2 files are odd'
    """
    files = tuple(files)
    if not files:
        return []
    return [Finding(kind, one if len(files) == 1 else f"{len(files):,} {many}", files)]


def plain(text: str) -> str:
    r"""The text as a terminal can show it, without breaks of lines.

    Example:
        >>> print(plain("two\nlines"))
        two\nlines
    """
    return text if text.isprintable() else repr(text)[1:-1]


def _many(n: int, what: str) -> str:
    end = "" if n == 1 else "es" if what.endswith("s") else "s"
    return f"{n:,} {what}{end}" if n else f"no {what}{end}"


def _size_words(sizes: Counter) -> str:
    """The range of the sizes and the commonest, height first."""
    common, n = sizes.most_common(1)[0]
    usual = " x ".join(map(str, common))
    if len(sizes) == 1:
        return f"{usual} pixels"
    ranges = ((min(side), max(side)) for side in zip(*sizes, strict=True))
    span = " x ".join(f"{low}" if low == high else f"{low}..{high}" for low, high in ranges)
    return f"{span} pixels, height x width; {n / sizes.total():.0%} are {usual}"


def _shares(counts: Counter) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{what} {n:,}" for what, n in counts.most_common())


def _finding_lines(finding: Finding, limit: int | None) -> Iterable[str]:
    """The line of a finding, and its files, aligned below it."""
    shown = finding.files[:limit]
    yield f"  {finding.text}{':' if shown else ''}"
    if shown:
        rows = [[plain(name), plain(detail)] for name, detail in shown]
        yield from (f"    {line}".rstrip() for line in text_table(rows, "ll").splitlines())
    if len(shown) < len(finding.files):
        yield f"    and {len(finding.files) - len(shown):,} more"


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "text": finding.text,
        "files": [{"name": name, "detail": detail} for name, detail in finding.files],
    }
