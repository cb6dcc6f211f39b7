"""Why a network says what it says: one function a method, ``(network, x, target) -> map``."""

from .class_activation import grad_cam as grad_cam
from .gradients import saliency as saliency
