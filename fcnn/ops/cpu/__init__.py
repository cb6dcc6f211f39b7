"""Programs that XLA runs fast on CPUs; ``fcnn/ops/README.md`` holds the measurements."""

from .choice import input_gradient as input_gradient
from .choice import kernel_gradient as kernel_gradient
from .choice import output as output
