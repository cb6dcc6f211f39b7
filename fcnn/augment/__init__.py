"""Augmentation: pure functions ``(key, image) -> image``, for one example, on the device.

An image is ``[h, w, c]``, uint8 from 0 to 255 or floating from 0 to 1, and stays so. The same key
gives the same picture. Ranges: a number r draws from (-r, r) for angles, shifts, shears and hue and
from (1 - r, 1 + r) for factors; a pair is (low, high), and (a, a) always a.

    >>> import jax, numpy
    >>> from fcnn import augment
    >>> pipeline = augment.compose(
    ...     augment.affine(rotate=10, zoom=0.1, flip=0.5),
    ...     augment.color_jitter(brightness=0.4, contrast=0.4),
    ... )
    >>> image = numpy.zeros([32, 32, 3], numpy.uint8)
    >>> pipeline(jax.random.key(0), image).shape
    (32, 32, 3)

These are our own, though there is dm-pix: it has no masks and boxes, no mixing and no policies. On
two CPU cores, for [256, 32, 32, 3], dm-pix 0.4.5 takes 4 times as long for a rotation, 20 for a
blur, and 1 to 3 times as long for hue, saturation and flips.
"""

from .batches import on_batch as on_batch
from .carrying import with_boxes as with_boxes
from .carrying import with_masks as with_masks
from .colours import brightness as brightness
from .colours import color_jitter as color_jitter
from .colours import contrast as contrast
from .colours import grayscale as grayscale
from .colours import hue as hue
from .colours import saturation as saturation
from .composing import compose as compose
from .composing import maybe as maybe
from .composing import pointwise as pointwise
from .cropping import center_crop as center_crop
from .cropping import crop as crop
from .cropping import random_resized_crop as random_resized_crop
from .cropping import resize as resize
from .deforming import elastic as elastic
from .erasing import cutout as cutout
from .erasing import erase as erase
from .filters import blur as blur
from .filters import noise as noise
from .filters import sharpness as sharpness
from .flipping import flip as flip
from .geometry import affine as affine
from .geometry import perspective as perspective
from .geometry import rotate as rotate
from .geometry import shear as shear
from .geometry import translate as translate
from .geometry import zoom as zoom
from .mixing import cutmix as cutmix
from .mixing import mixup as mixup
from .policies import aug_mix as aug_mix
from .policies import rand_augment as rand_augment
from .policies import trivial_augment as trivial_augment
from .protocol import Augmentation as Augmentation
from .recipes import names as names
from .recipes import recipe as recipe
from .sheets import preview as preview
from .tones import autocontrast as autocontrast
from .tones import equalize as equalize
from .tones import invert as invert
from .tones import posterize as posterize
from .tones import solarize as solarize
from .warping import warp as warp
