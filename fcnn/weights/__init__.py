"""Weights from elsewhere: files of PyTorch, safetensors, Keras, TensorFlow.js and NumPy.

Every reader gives ``{name: array}``, with the names and the layout of the file, in its order, and
needs none of these frameworks. What the arrays are for is known elsewhere.
"""

from .choosing import read_weights as read_weights
from .hub import from_hub as from_hub
from .keras import read_keras as read_keras
from .pytorch import read_pytorch as read_pytorch
from .reading import WeightsError as WeightsError
from .safetensors_files import read_safetensors as read_safetensors
from .safetensors_files import write_safetensors as write_safetensors
from .tensorflow_js import read_tensorflow_js as read_tensorflow_js

__all__ = [
    "WeightsError",
    "from_hub",
    "read_keras",
    "read_pytorch",
    "read_safetensors",
    "read_tensorflow_js",
    "read_weights",
    "write_safetensors",
]
