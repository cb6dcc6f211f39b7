"""``python -m fcnn`` is the command ``fcnn``."""

import sys

from .cli import main

sys.exit(main())
