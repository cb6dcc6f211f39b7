"""What leaves memory: networks as files that are checked, written whole, and hold no code."""

from .checkpoints import Checkpoint as Checkpoint
from .checkpoints import checkpoint_steps as checkpoint_steps
from .checkpoints import newest_checkpoint as newest_checkpoint
from .checkpoints import read_checkpoint as read_checkpoint
from .checkpoints import write_checkpoint as write_checkpoint
from .files import CheckpointCorruptError as CheckpointCorruptError
from .files import CheckpointError as CheckpointError
from .networks import load as load
from .networks import save as save

__all__ = [
    "Checkpoint",
    "CheckpointCorruptError",
    "CheckpointError",
    "checkpoint_steps",
    "load",
    "newest_checkpoint",
    "read_checkpoint",
    "save",
    "write_checkpoint",
]
