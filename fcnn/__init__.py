"""fcnn: convolutional networks in JAX, as pairs of pure functions.

A layer is a value with two functions: ``init(key, x) -> (params, state)`` makes plain pytrees,
``apply(params, state, x, *, train, key) -> (y, state)`` uses them. Everything else is a function
over those values.

Example:
    >>> import fcnn
    >>> from fcnn import conv, dense, flatten, max_pool, relu, serial
    >>> train, test = fcnn.data.digits()
    >>> model = serial(conv(8, 3), relu, max_pool(2), flatten, dense(10))
    >>> network, history = fcnn.fit(model, train, epochs=10, progress=False)
    >>> fcnn.evaluate(network, test).accuracy > 0.9
    True
"""

from typing import Any as _Any

from . import augment as augment
from . import data as data
from . import evaluation as evaluation
from . import explain as explain
from . import figures as figures
from . import layers as layers
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import ops as ops
from . import optimizers as optimizers
from . import store as store
from . import study as study
from . import train as train
from .core import Layer as Layer
from .core import Network as Network
from .core import Recipe as Recipe
from .core import build as build
from .core import capture as capture
from .core import cast as cast
from .core import concat as concat
from .core import frozen as frozen
from .core import function as function
from .core import identity as identity
from .core import layer as layer
from .core import lazy as lazy
from .core import nudge as nudge
from .core import out_spec as out_spec
from .core import parallel as parallel
from .core import pure as pure
from .core import remat as remat
from .core import repeat as repeat
from .core import residual as residual
from .core import serial as serial
from .core import spec as spec
from .core import stateless as stateless
from .core import trees as trees
from .core import up_to as up_to
from .core import wire as wire
from .extras import require as _require
from .layers import activation as activation
from .layers import adaptive_avg_pool as adaptive_avg_pool
from .layers import adaptive_max_pool as adaptive_max_pool
from .layers import alpha_dropout as alpha_dropout
from .layers import attention as attention
from .layers import avg_pool as avg_pool
from .layers import batch_norm as batch_norm
from .layers import blur_pool as blur_pool
from .layers import celu as celu
from .layers import conv as conv
from .layers import conv_transpose as conv_transpose
from .layers import crop as crop
from .layers import dense as dense
from .layers import depthwise_conv as depthwise_conv
from .layers import drop_path as drop_path
from .layers import dropout as dropout
from .layers import elu as elu
from .layers import embedding as embedding
from .layers import flatten as flatten
from .layers import gaussian_dropout as gaussian_dropout
from .layers import gaussian_noise as gaussian_noise
from .layers import gelu as gelu
from .layers import global_avg_pool as global_avg_pool
from .layers import global_max_pool as global_max_pool
from .layers import global_response_norm as global_response_norm
from .layers import glu as glu
from .layers import group_norm as group_norm
from .layers import gru as gru
from .layers import hard_sigmoid as hard_sigmoid
from .layers import hard_silu as hard_silu
from .layers import hard_swish as hard_swish
from .layers import hard_tanh as hard_tanh
from .layers import initializers as initializers
from .layers import instance_norm as instance_norm
from .layers import layer_norm as layer_norm
from .layers import layer_scale as layer_scale
from .layers import leaky_relu as leaky_relu
from .layers import local_response_norm as local_response_norm
from .layers import log_mel as log_mel
from .layers import log_sigmoid as log_sigmoid
from .layers import log_softmax as log_softmax
from .layers import lstm as lstm
from .layers import max_pool as max_pool
from .layers import mish as mish
from .layers import normalize as normalize
from .layers import pixel_shuffle as pixel_shuffle
from .layers import pixel_unshuffle as pixel_unshuffle
from .layers import prelu as prelu
from .layers import relu as relu
from .layers import relu6 as relu6
from .layers import rescale as rescale
from .layers import reshape as reshape
from .layers import resize as resize
from .layers import rms_norm as rms_norm
from .layers import selu as selu
from .layers import separable_conv as separable_conv
from .layers import sigmoid as sigmoid
from .layers import silu as silu
from .layers import soft_sign as soft_sign
from .layers import softmax as softmax
from .layers import softplus as softplus
from .layers import sparse_plus as sparse_plus
from .layers import sparse_sigmoid as sparse_sigmoid
from .layers import spatial_dropout as spatial_dropout
from .layers import spectrogram as spectrogram
from .layers import squareplus as squareplus
from .layers import squeeze_excite as squeeze_excite
from .layers import swish as swish
from .layers import tanh as tanh
from .layers import weight_standardized as weight_standardized
from .layers import zero_pad as zero_pad
from .store import load as load
from .store import save as save
from .summaries import summary as summary
from .train import calibrate as calibrate
from .train import evaluate as evaluate
from .train import features as features
from .train import fine_tune as fine_tune
from .train import fit as fit
from .train import linear_probe as linear_probe
from .train import predict as predict

__version__ = "0.1.0"


def __getattr__(name: str) -> _Any:
    """``fcnn.estimators``, which needs scikit-learn as nothing else does."""
    if name == "estimators":
        return _require("fcnn.estimators", "sklearn")
    raise AttributeError(f"module 'fcnn' has no attribute {name!r}")
