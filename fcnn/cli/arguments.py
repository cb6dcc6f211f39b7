"""What is written on the command line, as values; what cannot be one is wrong usage."""

import argparse
import math

from ..core import trees


def count(text: str) -> int:
    """A whole number from 1 on."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, got {text!r}")
    return value


def rate(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, such as 0.001, got {text!r}")
    return value


def seed(text: str) -> int:
    """A whole number that fits into 64 bits."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text!r}")
    return value


def pattern(text: str) -> str:
    """A regular expression."""
    try:
        return trees.regex(text).pattern
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def size(text: str) -> tuple[int, int]:
    """Height and width of a picture, from one number or two."""
    try:
        height, width = shape(text if "," in text else f"{text},{text}")
    except (ValueError, argparse.ArgumentTypeError):
        message = f"must be a size such as 64, or 48,64 for height and width; got {text!r}"
        raise argparse.ArgumentTypeError(message) from None
    return height, width


ON_ERROR = "about picture files that cannot be read: end with a list of them, or leave them out"


def add_on_error(parser: argparse.ArgumentParser) -> None:
    """Adds what is done about pictures that cannot be read."""
    parser.add_argument(
        "--on-error", default="raise", choices=["raise", "skip"],
        help=ON_ERROR,
    )  # fmt: skip


def shape(text: str) -> tuple[int, ...]:
    """The sizes of one example."""
    try:
        sizes = tuple(map(int, text.split(",")))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"must be sizes such as 28,28,1, got {text!r}")
    return sizes
