"""The operations in PyTorch, channels last in memory where PyTorch has that layout."""

from torch.nn import functional as F

from ..operations import Operation

CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _conv(op: Operation, x, kernel):
    return CONVS[op.rank](x, kernel, None, op.stride, op.padding, op.dilation, op.groups)


def _conv_transpose(op: Operation, x, kernel):
    return F.conv_transpose2d(x, kernel, None, op.stride, op.padding, op.extra)


def _max_pool(op: Operation, x):
    return F.max_pool2d(x, op.window, op.stride, op.padding)


def _avg_pool(op: Operation, x):
    return F.avg_pool2d(x, op.window, op.stride, op.padding)


def _resize(op: Operation, x):
    return F.interpolate(x, scale_factor=2, mode=op.method)


def _batch_norm(op: Operation, x, scale, bias):
    return F.batch_norm(x, None, None, scale, bias, training=True)


FUNCTIONS = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "resize": _resize,
    "batch_norm": _batch_norm,
}
