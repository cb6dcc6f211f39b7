"""Trials: one call of a function with certain options, and what came of it."""

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One call and what came of it.

    Attributes:
        number: In the order in which trials were planned, from 0.
        options: What the function was called with.
        seed: The seed that it was given, if it takes one.
        epochs: How many epochs it was given, where the search decides that.
        figures: What it found, by name.
        score: The figure that decides; NaN where the trial failed.
        mode: Whether the "max" or the "min" of it is the best.
        seconds: How long it took.
        error: Why it failed, if it did.
    """

    number: int
    options: dict[str, Any]
    seed: int = 0
    epochs: int | None = None
    figures: dict[str, float] = field(default_factory=dict)
    score: float = math.nan
    mode: str = "max"
    seconds: float = 0.0
    error: str | None = None

    @property
    def rank(self) -> float:
        """The score, turned so that larger is better; a trial that failed is below all."""
        if math.isnan(self.score):
            return -math.inf
        return self.score if self.mode == "max" else -self.score
