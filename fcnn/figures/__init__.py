"""Figures: what was trained, what was found and why, each one function that returns a figure.

A figure is drawn into the axes given as ``ax``, or into one of its own that fits; it belongs to no
window, and a notebook shows it. Needs the extra ``plots``. Names in it are drawn as they are, cut
where they are long, and colours are told apart by people with any kind of colour vision.
"""

from .curves import precision_recall as precision_recall
from .curves import reliability as reliability
from .curves import roc as roc
from .maps import overlay as overlay
from .maps import overlays as overlays
from .matrices import confusion as confusion
from .page import write_page as write_page
from .pictures import feature_maps as feature_maps
from .pictures import filters as filters
from .pictures import mistakes as mistakes
from .pictures import sheet as sheet
from .runs import training as training
from .scatters import predictions as predictions
