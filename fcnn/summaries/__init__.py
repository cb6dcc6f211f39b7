"""What a network is made of, known before it runs."""

from .table import Row as Row
from .table import Summary as Summary
from .table import summary as summary
