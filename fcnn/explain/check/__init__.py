"""Whether a map means anything: what it says against what the network does, and against chance.

Each check is a function ``(network, x, maps, target) -> result``; a result prints as a sentence or
a table. ``maps`` are the maps of the examples, or a method such as ``fcnn.explain.saliency`` that
makes them. The same is found out for random maps: what is not better than those means nothing.
"""

from .chance import random_maps as random_maps
from .moving import Infidelity as Infidelity
from .moving import Sensitivity as Sensitivity
from .moving import infidelity as infidelity
from .moving import sensitivity as sensitivity
from .randomising import Randomisation as Randomisation
from .randomising import randomisation as randomisation
from .removing import Removal as Removal
from .removing import deletion as deletion
from .removing import insertion as insertion
