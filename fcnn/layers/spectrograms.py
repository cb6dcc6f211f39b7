"""Sound to pictures: which frequency is how strong and when, as an image of one channel.

Samples are cut into frames of ``window`` samples, one every ``hop``, each under a Hann window, and
the power of a frame is ``|rfft(frame)|^2`` (Allen & Rabiner, 1977, A unified approach to short-time
Fourier analysis). Nothing is learned; it is computed in float32 or wider.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Layer, here, layer, pure
from ..ops.windows import Padding, check, describe, place, positive

_SLOPE, _BEND, _BASE = (
    200 / 3,
    1000.0,
    6.4 ** (1 / 27),
)  # Slaney: straight to 1 kHz, then in octaves


@layer
def spectrogram(
    window: int = 256,
    hop: int | None = None,
    *,
    floor: float | None = 1e-6,
    padding: Padding = "valid",
) -> Layer:
    """The power at each frequency over time: ``[n, samples] -> [n, frames, window // 2 + 1, 1]``.

    Frequency ``k`` is ``k * rate / window`` Hz.

    Example:
        >>> import fcnn, jax
        >>> second = jax.ShapeDtypeStruct((8, 8000), "float32")
        >>> fcnn.out_spec(fcnn.spectrogram(256, 128), second).shape
        (8, 61, 129, 1)

    Args:
        window: Samples in a frame; powers of two are the fastest.
        hop: Samples from one frame to the next; half a window if none.
        floor: The result is the natural logarithm of the power, taken of at least this much; None
            for the power itself.
        padding: As for ``conv``: the silence added around the samples.

    Raises:
        ValueError: an option suits no input; or, from init and apply, no frame fits.
        TypeError: from init and apply, the input is complex.
    """
    hop = _checked(window, hop, floor, padding)

    def spectrogram(x):
        return _on_samples(x, window, hop, padding, lambda power: power, floor, "spectrogram")

    return pure(spectrogram)


@layer
def log_mel(
    rate: int,
    *,
    bands: int = 64,
    window: int | None = None,
    hop: int | None = None,
    low: float = 0.0,
    high: float | None = None,
    scale: str = "htk",
    equal_area: bool = False,
    floor: float = 1e-6,
    padding: Padding = "valid",
) -> Layer:
    """The log power in bands as wide as the ear hears: ``[n, samples] -> [n, frames, bands, 1]``.

    The bands are triangles that overlap by half, equally spaced in mel.

    Example:
        >>> import fcnn, jax
        >>> from fcnn import conv, dense, global_avg_pool, log_mel, max_pool, relu, serial
        >>> model = serial(log_mel(8000), conv(8), relu, max_pool(2), global_avg_pool, dense(10))
        >>> fcnn.out_spec(model, jax.ShapeDtypeStruct((8, 8000), "float32")).shape
        (8, 10)

    Args:
        rate: Samples a second, in Hz.
        bands: How many bands there are.
        window: Samples in a frame; if none, the power of two that lasts 25 ms or just longer.
        hop: Samples from one frame to the next; half a window if none.
        low: Where the lowest band begins, in Hz.
        high: Where the highest band ends, in Hz; half the rate if none.
        scale: The formula of the mel: ``"htk"``, ``2595 log10(1 + f / 700)`` (O'Shaughnessy, 1987),
            or ``"slaney"``, which is straight up to 1 kHz (Slaney, 1998, Auditory Toolbox).
        equal_area: Whether each band is divided by half its width in Hz, as in the Auditory
            Toolbox; if not, each has its peak at 1.
        floor: The natural logarithm is taken of at least this much.
        padding: As for ``conv``: the silence added around the samples.

    Raises:
        ValueError: an option suits no input, or a band holds no frequency of the spectrum; or, from
            init and apply, no frame fits.
        TypeError: from init and apply, the input is complex.
    """
    positive(rate=rate, bands=bands)
    window = 2 ** math.ceil(math.log2(rate / 40)) if window is None else window
    hop = _checked(window, hop, floor, padding)
    high = rate / 2 if high is None else high
    weights = mel_weights(
        rate, window, bands, low=low, high=high, scale=scale, equal_area=equal_area
    )

    def log_mel(x):
        def in_bands(power):
            across = jnp.asarray(weights, power.dtype)
            return jnp.matmul(power, across, precision=jax.lax.Precision.HIGHEST)

        return _on_samples(x, window, hop, padding, in_bands, floor, "log_mel")

    return pure(log_mel)


def mel_weights(
    rate: int, window: int, bands: int, *, low: float, high: float, scale: str, equal_area: bool
) -> np.ndarray:
    """How much each frequency counts in each band, float64 ``[window // 2 + 1, bands]``.

    Raises:
        ValueError: the range is empty, the scale unknown, or a band holds no frequency.
    """
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"low and high must lie in 0 <= low < high <= {rate / 2:g} Hz, got {low!r} and {high!r}"
        )
    if scale not in ("htk", "slaney"):
        raise ValueError(f"scale must be 'htk' or 'slaney', got {scale!r}")
    edges = _hertz(np.linspace(*_mel(np.array([low, high]), scale), bands + 2), scale)
    frequency = np.arange(window // 2 + 1)[:, None] * (rate / window)
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0, np.minimum(rising, falling))
    if empty := np.flatnonzero(~weights.any(0)).tolist():
        raise ValueError(
            f"{len(empty)} of {bands} bands lie between two frequencies of a window of {window} "
            f"samples, {rate / window:g} Hz apart; take fewer bands or a longer window"
        )
    return weights * (2 / (edges[2:] - edges[:-2])) if equal_area else weights


def _mel(hertz: np.ndarray, scale: str) -> np.ndarray:
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    bent = np.log(np.maximum(hertz, _BEND) / _BEND) / np.log(_BASE)
    return np.minimum(hertz, _BEND) / _SLOPE + bent


def _hertz(mel: np.ndarray, scale: str) -> np.ndarray:
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    bend = _BEND / _SLOPE
    return np.minimum(mel, bend) * _SLOPE * _BASE ** np.maximum(mel - bend, 0)


def _checked(window: int, hop: int | None, floor: float | None, padding: Padding) -> int:
    """The hop, once the options are in order."""
    positive(window=window)
    hop = max(1, window // 2) if hop is None else hop
    positive(hop=hop)
    check(padding=padding)
    if floor is not None and not 0 < floor < math.inf:
        raise ValueError(f"floor must be positive, got {floor!r}")
    return hop


def _on_samples(x, window, hop, padding, bands, floor, name):
    """The power of frames, in bands, or its logarithm; floats keep their dtype."""
    what = here(name)
    if x.ndim != 2:
        raise ValueError(f"{what} needs samples of one channel, [n, samples], got {describe(x)}")
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise TypeError(f"{what} takes integers or floats, got {x.dtype.name}")
    dtype = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32
    wide = jnp.asarray(x, np.promote_types(dtype, np.float32))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    spectrum = jnp.fft.rfft(_frames(wide, window, hop, padding, what) * hann.astype(wide.dtype))
    y = bands(spectrum.real**2 + spectrum.imag**2)
    if floor is not None:
        y = jnp.log(jnp.maximum(y, floor))
    return y.astype(dtype)[..., None]


def _frames(x: jax.Array, window: int, hop: int, padding: Any, what: str) -> jax.Array:
    """``[n, frames, window]``: blocks of one hop, side by side as often as they fill a window."""
    ((before, _),), (count,) = place(x.shape[1:], window, hop, padding, what=what)[-2:]
    blocks = -(-window // hop)
    behind = (count + blocks - 1) * hop - before - x.shape[1]
    x = jnp.pad(x, ((0, 0), (before, max(behind, 0))))[:, : (count + blocks - 1) * hop]
    x = x.reshape(len(x), -1, hop)
    side_by_side = [x[:, i : i + count] for i in range(blocks)]
    return jnp.concatenate(side_by_side, axis=-1)[..., :window]
