"""Convolutions with parameters, for sequences, images and volumes.

The rank comes from the input: ``conv(16, 3)`` is 3x3 on images ``[n, h, w, c]`` and 3x3x3 on
volumes. A kernel given as a tuple fixes it. ``padding`` and the other options of windows are those
of ``ops``.
"""

from .. import ops
from ..core import Layer, here, layer, wire
from ..ops.convolution import check_groups, check_output_padding
from ..ops.windows import Padding, Sides, check, per_side, positive, spatial
from .initializers import Choice
from .linear import weighted


@layer
def conv(
    features: int,
    kernel: Sides = 3,
    stride: Sides = 1,
    *,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: Sides = 1,
    groups: int = 1,
    bias: bool = True,
    kernel_init: Choice = "he_uniform",
    bias_init: Choice = "zeros",
) -> Layer:
    """A bank of filters: ``[n, h, w, c] -> [n, h', w', features]``.

    Example:
        >>> import fcnn, jax
        >>> images = jax.ShapeDtypeStruct((8, 32, 32, 3), "float32")
        >>> fcnn.out_spec(conv(16, 3, stride=2), images).shape
        (8, 16, 16, 16)

    Args:
        stride: The step from one window to the next.
        padding: ``"same"``, ``"valid"``, or as in torch a number for both sides of all dimensions
            or of each; pairs ``(before, after)`` too.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        dilation: The distance between neighbours within a window.
        groups: Parts of the channels that do not see each other.
        bias: Whether there is one; a normalization that follows makes it superfluous.
        kernel_init: A name, a name with numbers, or a function; see ``initializers``.
        bias_init: The same for the bias; ``"torch"`` takes the fan of the kernel.

    Raises:
        ValueError: an option suits no input; or, from init and apply, the window does not fit the
            input or the channels do not divide.
        TypeError: from init and apply, the input is not floating-point.
    """
    positive(features=features, groups=groups)
    check(
        kernel=kernel,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
    )
    check_groups(features, groups, "features", "conv")

    def run(x, kernel):
        return ops.conv(
            x,
            kernel,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
            dilation=dilation,
            groups=groups,
            what=here("conv"),
        )

    def kernel_shape(x):
        return (*_window(x, kernel, "conv"), x.shape[-1] // groups, features)

    return weighted(kernel_shape, run, bias, kernel_init, bias_init)


@layer
def conv_transpose(
    features: int,
    kernel: Sides = 3,
    stride: Sides = 1,
    *,
    padding: Padding = "same",
    output_padding: Sides = 0,
    dilation: Sides = 1,
    groups: int = 1,
    bias: bool = True,
    kernel_init: Choice = "he_uniform",
    bias_init: Choice = "zeros",
) -> Layer:
    """The transpose of a convolution: ``[n, h, w, c] -> [n, h * stride, w * stride, features]``.

    Its kernel is ``[*window, features / groups, c]``, that of the convolution it transposes;
    ``ops.conv_transpose`` says how torch and Keras hold it, and which sizes other paddings give.

    Args:
        stride: The step in the output from one cell of the input to the next.
        padding: What is cut off; ``"same"`` leaves ``stride`` cells for each.
        output_padding: Cells more at the end, with padding in numbers or ``"valid"``.
        dilation: The distance between neighbours within a window.
        groups: Parts of the channels that do not see each other.
        bias: Whether there is one.
        kernel_init: A name, a name with numbers, or a function; see ``initializers``.
        bias_init: The same for the bias; ``"torch"`` takes the fan of the kernel.

    Raises:
        ValueError: an option suits no input; or, from init and apply, nothing is left of the
            input or the channels do not divide.
        TypeError: from init and apply, the input is not floating-point.
    """
    positive(features=features, groups=groups)
    check(
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
    )
    check_output_padding(output_padding, padding)
    check_groups(features, groups, "features", "conv_transpose")

    def run(x, kernel):
        return ops.conv_transpose(
            x,
            kernel,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            dilation=dilation,
            groups=groups,
            what=here("conv_transpose"),
        )

    def kernel_shape(x):
        return (*_window(x, kernel, "conv_transpose"), features // groups, x.shape[-1])

    return weighted(kernel_shape, run, bias, kernel_init, bias_init)


@layer
def depthwise_conv(
    kernel: Sides = 3,
    stride: Sides = 1,
    *,
    multiplier: int = 1,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: Sides = 1,
    bias: bool = True,
    kernel_init: Choice = "he_uniform",
    bias_init: Choice = "zeros",
) -> Layer:
    """Each channel on its own: ``[n, h, w, c] -> [n, h', w', c * multiplier]``.

    Args:
        multiplier: How many filters each channel has; their features stand side by side.
        padding: As in ``conv``.
        padding_mode: As in ``conv``.
        dilation: The distance between neighbours within a window.
        bias: Whether there is one.
        kernel_init: A name, a name with numbers, or a function; see ``initializers``.
        bias_init: The same for the bias; ``"torch"`` takes the fan of the kernel.

    Raises:
        ValueError: an option suits no input; or, from init and apply, the window does not fit.
        TypeError: from init and apply, the input is not floating-point.
    """
    positive(multiplier=multiplier)
    check(
        kernel=kernel,
        stride=stride,
        padding=padding,
        padding_mode=padding_mode,
        dilation=dilation,
    )

    def run(x, kernel):
        return ops.conv(
            x,
            kernel,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
            dilation=dilation,
            groups=kernel.shape[-1] // multiplier,
            what=here("depthwise_conv"),
        )

    def kernel_shape(x):
        return (*_window(x, kernel, "depthwise_conv"), 1, x.shape[-1] * multiplier)

    return weighted(kernel_shape, run, bias, kernel_init, bias_init)


@layer
def separable_conv(
    features: int,
    kernel: Sides = 3,
    stride: Sides = 1,
    *,
    multiplier: int = 1,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: Sides = 1,
    bias: bool = True,
    kernel_init: Choice = "he_uniform",
    bias_init: Choice = "zeros",
) -> Layer:
    """Space first, then channels: ``depthwise_conv`` and ``conv(features, 1)`` (Chollet, 2017,
    arXiv:1610.02357), with ``k^2 c + c * features`` weights instead of ``k^2 c * features``.

    Options are those of the two. Only the second has a bias: two in a row would be one.
    """

    def separable_conv(f, x):
        return f.pointwise(f.depthwise(x))

    return wire(
        separable_conv,
        depthwise=depthwise_conv(
            kernel,
            stride,
            multiplier=multiplier,
            padding=padding,
            padding_mode=padding_mode,
            dilation=dilation,
            bias=False,
            kernel_init=kernel_init,
        ),
        pointwise=conv(features, 1, bias=bias, kernel_init=kernel_init, bias_init=bias_init),
    )


def _window(x, kernel, name):
    what = here(name)
    return per_side(kernel, len(spatial(x, what)), "kernel", what)
