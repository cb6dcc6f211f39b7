"""Notes: what is kept beside arrays, exactly, in strict JSON.

JSON has no NaN and no infinity; they become ``{"float": "nan"}``, ``"inf"`` or ``"-inf"``, and
floats again when read. Every other float is written with the digits that give it back.
"""

import math
from typing import Any

DEEPEST = 50  # levels


def to_json(notes: Any, path: str = "notes") -> Any:
    """Notes as JSON can hold them; a tuple becomes a list.

    Example:
        >>> to_json({"loss": [0.5, float("nan")]})
        {'loss': [0.5, {'float': 'nan'}]}

    Raises:
        TypeError: something is no dict with text as keys, list, text, number, bool or None.
        ValueError: it is nested too deep, or is itself what stands for a number.
    """
    if path.count("/") > DEEPEST:
        raise ValueError(f"{path:.80} lies more than {DEEPEST} levels deep")
    match notes:
        case None | bool() | int() | str():
            return notes
        case float():
            return notes if math.isfinite(notes) else {"float": str(float(notes))}
        case list() | tuple():
            return [to_json(note, f"{path}/{i}") for i, note in enumerate(notes)]
        case dict():
            for name in notes:
                if not isinstance(name, str):
                    raise TypeError(f"{path} has the key {name!r:.80}; keys must be text")
            written = {name: to_json(note, f"{path}/{name}") for name, note in notes.items()}
            if _is_float(written):
                raise ValueError(f"{path} is {notes}, which stands for a number")
            return written
    raise TypeError(f"{path} is {notes!r:.80}; JSON has no {type(notes).__name__}")


def from_json(notes: Any) -> Any:
    """The notes that ``to_json`` was given."""
    match notes:
        case list():
            return [from_json(note) for note in notes]
        case dict() if _is_float(notes):
            return float(notes["float"])
        case dict():
            return {name: from_json(note) for name, note in notes.items()}
    return notes


def _is_float(note: dict) -> bool:
    return note.keys() == {"float"} and note["float"] in ("nan", "inf", "-inf")
