"""What leaves memory: networks as files that are checked, written whole, and hold no code."""

from .files import CheckpointCorruptError as CheckpointCorruptError
from .files import CheckpointError as CheckpointError
from .networks import load as load
from .networks import save as save

__all__ = ["CheckpointCorruptError", "CheckpointError", "load", "save"]
