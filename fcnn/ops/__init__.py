"""Functions of arrays, each with one home and one signature, whatever computes it below."""

from .convolution import conv as conv
from .convolution import conv_transpose as conv_transpose
from .lowerings import lowering as lowering
from .pooling import adaptive_avg_pool as adaptive_avg_pool
from .pooling import adaptive_max_pool as adaptive_max_pool
from .pooling import avg_pool as avg_pool
from .pooling import blur_pool as blur_pool
from .pooling import max_pool as max_pool
from .resizing import pixel_shuffle as pixel_shuffle
from .resizing import pixel_unshuffle as pixel_unshuffle
from .resizing import resize as resize
from .windows import pad as pad
