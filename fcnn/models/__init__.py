"""Networks by name. A model ends in raw outputs, the logits; its channels come from the input."""

from .mobilenet import mobilenet_v2 as mobilenet_v2
from .registry import build as build
from .registry import names as names
from .resnet import resnet18 as resnet18
from .resnet import resnet20 as resnet20
from .resnet import resnet32 as resnet32
from .resnet import resnet34 as resnet34
from .resnet import resnet44 as resnet44
from .resnet import resnet50 as resnet50
from .resnet import resnet56 as resnet56
from .resnet import resnet110 as resnet110
from .small import guide_cnn as guide_cnn
from .small import lenet5 as lenet5
from .small import mlp as mlp
from .small import mnist_cnn as mnist_cnn
from .small import small_cnn as small_cnn
