"""What each part of a design is worth: the same training without it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tables import html_table, text_table
from .labs import Run, lab_for, plan_of, ran
from .results import Results
from .trials import Trial


@dataclass(frozen=True, repr=False)
class Ablation:
    """Scores of a design and of its variants; prints as a table.

    Attributes:
        names: "base" and the variants.
        scores: Of each and of each seed, ``[names, seeds]``.
        results: The trials behind them.
    """

    names: tuple[str, ...]
    scores: np.ndarray
    results: Results

    @property
    def differences(self) -> np.ndarray:
        """Of each variant to the base, on the same seed, ``[variants, seeds]``."""
        return self.scores[1:] - self.scores[0]

    def __repr__(self) -> str:
        return text_table(self._table(), "lrrr")

    def _repr_html_(self) -> str:
        return html_table(self._table(), "lrrr")

    def _table(self) -> list[list[str]]:
        head = ["variant", "score", "difference", "its standard error"]
        rows = [[self.names[0], f"{self.scores[0].mean():.4f}", "", ""]]
        for name, score, apart in zip(
            self.names[1:], self.scores[1:], self.differences, strict=True
        ):
            error = apart.std(ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.nan
            shown = "" if np.isnan(error) else f"{error:.4f}"
            rows.append([name, f"{score.mean():.4f}", f"{apart.mean():+.4f}", shown])
        return [head, *rows]


def ablation(
    run: Run,
    base: Mapping[str, Any],
    variants: Mapping[str, Mapping[str, Any]],
    *,
    seeds: Sequence[int] = (0, 1, 2),
    score: str | None = None,
    mode: str | None = None,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> Ablation:
    """Runs a design and, for each variant, the design with other options, all on the same seeds.

    Example:
        ``ablation(trial, {"rate": 0.5, "augment": "flip-crop"}, {"no dropout": {"rate": 0.0},
        "no augmentation": {"augment": None}})``

    Args:
        run: As in ``grid_search``; it should take ``seed``.
        base: The options of the design.
        variants: By name the options that differ.
        seeds: Of the repetitions.
        score, mode, folder, progress: As in ``grid_search``.

    Raises:
        ValueError: there is no variant or no seed, or a variant changes nothing.
    """
    if not variants or not seeds:
        raise ValueError("an ablation needs a variant and a seed")
    if same := [n for n, v in variants.items() if {**base, **v} == dict(base)]:
        raise ValueError(f"{', '.join(same)} changes nothing of the base")
    lab = lab_for(run, score, mode, folder, "raise")
    options = [dict(base), *({**base, **changed} for changed in variants.values())]
    if lab.folder is not None:
        judged = {"score": lab.score, "mode": lab.mode}
        plan = {"kind": "ablation", "options": options, "seeds": list(seeds), **judged}
        plan_of(lab.folder, plan)
    planned = [(each, seed) for each in options for seed in seeds]
    trials = (Trial(number, each, seed) for number, (each, seed) in enumerate(planned))
    results = ran(lab, trials, len(planned), progress)
    scores = np.array([trial.score for trial in results]).reshape(len(options), len(seeds))
    return Ablation(("base", *variants), scores, results)
