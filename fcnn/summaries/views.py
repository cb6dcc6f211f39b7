"""What the elements of a value see of one axis of the input.

An element sees the interval ``[start + position, start + position + length]``, where the position
is the sum of ``index * step`` over the digits of its index. A dimension has one digit as a rule and
several where a reshape merged dimensions: then they are those of a number in mixed radix, so that
``((8, 4), (8, 0))`` is a dimension of 64 made of rows, 4 pixels apart, of 8 columns each.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import prod
from typing import NamedTuple, TypeAlias

Step: TypeAlias = int | Fraction  # a fraction after a transposed convolution
Digits: TypeAlias = tuple[
    tuple[int, Step], ...
]  # (how many, how far apart), the largest unit first


class View(NamedTuple):
    """One interval for each element of a value; ``steps`` holds the digits of each dimension."""

    start: Step
    length: Step
    steps: tuple[Digits, ...]

    @property
    def end(self) -> Step:
        """The last place of the interval."""
        return self.start + self.length

    def covers(self, size: int) -> bool:
        """Whether each element sees all of an axis of ``size``."""
        moves = any(step for digits in self.steps for _, step in digits)
        return not moves and self.start <= 0 and self.end >= size - 1

    def over(self, dim: int, digits: Digits) -> "View":
        """The same interval, moving by ``digits`` along ``dim``."""
        return self._replace(steps=(*self.steps[:dim], digits, *self.steps[dim + 1 :]))

    def even(self, dim: int, step: Step | None = None) -> "View":
        """One digit along ``dim``, in an interval wide enough for what the digits did."""
        digits = self.steps[dim]
        if step is None:
            if len(digits) < 2:
                return self
            step = Fraction(digits[0][1]) / prod(n for n, _ in digits[1:])
        start, length, weight = self.start, self.length, 1
        for n, own in reversed(digits):
            slack = (own - step * weight) * (n - 1)
            start, length, weight = start + min(0, slack), length + abs(slack), weight * n
        return View(start, length, self.steps).over(dim, side(weight, step))

    def spread(self, dims: Iterable[int]) -> "View":
        """Each element sees what any along ``dims`` saw."""
        view = self
        for dim in dims:
            view = view.even(dim, 0)
        return view

    def without(self, dims: Iterable[int]) -> "View":
        """``dims`` are gone; each element sees what any along them saw."""
        view, gone = self.spread(dims), set(dims)
        kept = (digits for dim, digits in enumerate(view.steps) if dim not in gone)
        return view._replace(steps=tuple(kept))

    def slide(
        self,
        dim: int,
        n: int,
        window: int = 1,
        stride: int = 1,
        low: int = 0,
        inside: int = 1,
        dilation: int = 1,
    ) -> "View":
        """``n`` windows along ``dim``: convolutions, pools, slices and pads are all of them this.

        ``low`` places are put in front, and each element takes up ``inside`` of them.
        """
        view = self.even(dim)
        step = view.step(dim) if inside == 1 else Fraction(view.step(dim)) / inside
        reach = step * (window - 1) * dilation
        start = view.start - low * step + min(0, reach)
        return View(start, view.length + abs(reach), view.steps).over(dim, side(n, step * stride))

    def step(self, dim: int) -> Step:
        """How far apart neighbours along an even ``dim`` look."""
        return self.steps[dim][0][1] if self.steps[dim] else 0

    def reshape(self, shape: Sequence[int]) -> "View":
        """The same elements in the same order under other indices."""
        left = _merged(digit for digits in self.steps for digit in digits)
        steps = []
        for n in shape:
            taken: Digits = ()
            while n > 1:
                (many, step), *left = left
                if n % many and many % n:  # part of a digit: no rule
                    return still(self.spread(range(len(self.steps))), shape)
                if many > n:  # the upper part is taken, the lower stays
                    left = [(many // n, step), *left]
                    many, step = n, step * (many // n)
                taken, n = (*taken, (many, step)), n // many
            steps.append(taken)
        return self._replace(steps=tuple(steps))


def side(n: int, step: Step = 0) -> Digits:
    """The digits of a dimension with ``n`` elements."""
    return ((n, step),) if n > 1 else ()


def still(view: View, shape: Sequence[int]) -> View:
    """All elements of the shape see the interval of ``view``."""
    return view._replace(steps=tuple(map(side, shape)))


def hull(views: Iterable[View | None], shape: Sequence[int]) -> View | None:
    """What is seen in any of the views, element by element; a scalar is seen by all."""
    views = [view for view in views if view is not None]
    if not views:
        return None
    views = [view if len(view.steps) == len(shape) else still(view, shape) for view in views]
    for dim in range(len(shape)):
        if len({view.steps[dim] for view in views}) > 1:
            views = [view.even(dim, 0) for view in views]
    start = min(view.start for view in views)
    return View(start, max(view.end for view in views) - start, views[0].steps)


def _merged(digits: Iterable[tuple[int, Step]]) -> list[tuple[int, Step]]:
    """The shortest way to write the same digits."""
    merged: list[tuple[int, Step]] = []
    for n, step in digits:
        if merged and merged[-1][1] == step * n:
            n *= merged.pop()[0]
        merged.append((n, step))
    return merged
