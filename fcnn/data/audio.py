"""Sound: WAV files to samples, and those to one rate and one length.

A WAV file is a chain of chunks, each a name, a size and that many bytes, filled up to an even
number: ``fmt`` says what the samples in ``data`` are, and all others are passed over. A size is
only a claim until the file turns out to be as long.
"""

import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .dataset import Dataset, arrays

LARGEST = 2 << 30  # bytes of samples that are held in memory
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_EXTENDED = bytes.fromhex("000000001000800000aa00389b71")  # the rest of a known format's GUID
_SHOWN = 20  # problems in one message
_FINEST = 1 << 18  # steps into which a resampler parts the time between two samples


def wav(file: str | os.PathLike) -> tuple[np.ndarray, int]:
    """A WAV file as ``(samples, rate)``: float32 ``[n]``, of several channels ``[n, channels]``.

    Integers of 8, 16, 24 and 32 bits are scaled to [-1, 1); floating samples of 32 and 64 bits are
    as they were stored, nominally in [-1, 1]. Bytes after the end that the header states are
    ignored.

    Raises:
        ValueError: the file is no WAV file, ends before its header says, is compressed, or holds
            samples that are not finite; it is named.
        OSError: there is no such file.
    """
    with open(file, "rb") as stream:
        try:
            return _read(stream)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error


def resample(samples: Any, rate: int, new_rate: int) -> np.ndarray:
    """Samples ``[n, ...]`` of one rate at another: float32 ``[ceil(n * new_rate / rate), ...]``.

    A sinc under a Kaiser window (beta 5, ten zero crossings a side) lets through what lies below
    half of the lower rate; each output is computed once, by the phase of that filter that falls
    upon it (Crochiere & Rabiner, 1983, Multirate Digital Signal Processing).

    Example:
        >>> resample(np.ones(8000), 16000, 8000).shape
        (4000,)

    Raises:
        ValueError: a rate is not a positive integer, or the two have no ratio of small integers.
    """
    _check_rates(rate=rate, new_rate=new_rate)
    samples = np.asarray(samples, np.float32)
    common = math.gcd(rate, new_rate)
    up, down = int(new_rate // common), int(rate // common)
    coarser = max(up, down)
    if coarser > _FINEST:
        raise ValueError(f"{rate} Hz cannot be brought to {new_rate} Hz: their ratio is too fine")
    if up == down or not len(samples):
        return samples

    half = 10 * coarser
    kernel = np.sinc(np.arange(-half, half + 1) / coarser) * np.kaiser(2 * half + 1, 5.0)
    kernel = (kernel * (up / kernel.sum())).astype(np.float32)
    reach = -(-half // up)  # how many samples on either side an output may see
    kernel = np.pad(kernel, (reach + 1) * up - half)
    around = [(reach, reach)] + [(0, 0)] * (samples.ndim - 1)
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(samples, around), 2 * reach + 1, axis=0)

    out = np.empty((-(-len(samples) * up // down), *samples.shape[1:]), np.float32)
    for i in range(min(up, len(out))):  # outputs i, i + up, ... are in one phase
        first, phase = divmod(i * down, up)
        taps = kernel[phase + up :: up][: 2 * reach + 1][::-1]
        into = out[i::up]
        into[...] = np.einsum("...t,t->...", seen[first::down][: len(into)], taps)
    return out


def recordings(
    folder: str | os.PathLike,
    *,
    rate: int = 8000,
    seconds: float | None = None,
    label: Callable[[Path], Any] | None = None,
    test: Callable[[Path], bool] | None = None,
    mono: bool = True,
) -> Dataset | tuple[Dataset, Dataset]:
    """The WAV files in a folder, at all depths: ``x`` is float32 ``[n, samples]``.

    All are read at once, resampled where their rate is another, and filled up with silence at the
    end. The class of a file is the folder it lies in, directly under ``folder``; where the folders
    there are just ``train`` and ``test``, the classes lie in those, and the result is
    ``(train, test)``.

    Example:
        The Free Spoken Digit Dataset keeps digit, speaker and number in its names, and the first
        five numbers are its test::

            train, test = recordings(
                "fsdd/recordings",
                seconds=1.0,
                label=lambda path: path.name[0],
                test=lambda path: int(path.stem.split("_")[2]) < 5,
            )

    Args:
        folder: Where the files lie.
        rate: Samples a second of ``x``.
        seconds: The length, to which longer files are cut; the longest file's if none.
        label: The label of a file, from its path within ``folder``, in place of the folder.
        test: Which files are held out, by the same paths; the result is then ``(train, test)``.
        mono: Whether channels are averaged; if not, ``x`` is ``[n, samples, channels]``.

    Raises:
        ValueError: files cannot be read, all of them in one message; there is no label for a file;
            or all samples together would take more than 2 GiB.
        FileNotFoundError: there are no WAV files.
    """
    _check_rates(rate=rate)
    limit = None if seconds is None else round(seconds * rate)
    if limit is not None and limit < 1:
        raise ValueError(f"seconds must be positive, got {seconds!r}")
    folder = Path(folder)
    files = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() == ".wav" and not path.name.startswith(".")
    )
    if not files:
        raise FileNotFoundError(f"{folder} has no .wav files")
    parted = {path.parts[0] for path in files} == {"train", "test"}
    depth = 1 if test is None and parted else 0
    if depth:
        test = _in_test

    heard, labels, problems = [], [], []
    for path in files:
        try:
            labels.append(_folder_name(path, depth) if label is None else label(path))
            heard.append(_recording(folder / path, rate, limit, mono))
        except (OSError, ValueError) as error:
            problems.append(str(error))
        else:
            _check_room(heard[-1], limit, len(files), folder)
    if problems:
        shown = "\n  ".join(problems[:_SHOWN])
        more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ValueError(
            f"{folder}: {len(problems)} of {len(files)} recordings cannot be used:\n  {shown}{more}"
        )
    data = arrays(_filled_up(heard, limit, folder), labels, name=folder.name)
    if test is None:
        return data
    held_out = np.array([bool(test(path)) for path in files])
    if held_out.all() or not held_out.any():
        raise ValueError(f"{folder}: test holds out {held_out.sum()} of {len(files)} recordings")
    return (
        data.take(np.flatnonzero(~held_out), name=f"{data.name} train"),
        data.take(np.flatnonzero(held_out), name=f"{data.name} test"),
    )


def _in_test(path: Path) -> bool:
    return path.parts[0] == "test"


def _folder_name(path: Path, depth: int) -> str:
    """The class of a file: the name of its folder, at that depth."""
    if len(path.parts) < depth + 2:
        raise ValueError(f"{path} lies in no folder of a class; label= can name the class")
    return path.parts[depth]


def _recording(file: Path, rate: int, limit: int | None, mono: bool) -> np.ndarray:
    """One file at that rate, at most so many samples long: ``[n]``, or ``[n, channels]``."""
    samples, own_rate = wav(file)
    if not len(samples):
        raise ValueError(f"{file}: has no samples")
    if limit is not None:  # a second more, for the filter; a copy lets go of the rest
        samples = samples[: -(-limit * own_rate // rate) + own_rate].copy()
    samples = samples.reshape(len(samples), -1)
    try:
        return resample(samples.mean(1) if mono else samples, own_rate, rate)[:limit]
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _check_room(samples: np.ndarray, limit: int | None, n: int, folder: Path) -> None:
    """Refuses a recording as long as which ``n`` would not fit; the others need not be read."""
    length = len(samples) if limit is None else limit
    size = n * length * samples[:1].nbytes
    if size > LARGEST:
        raise ValueError(
            f"{folder}: {n:,} recordings of {length:,} samples take {size / 2**30:.1f} GiB, "
            f"and {LARGEST / 2**30:g} are the most; cut them by seconds=, or lower the rate"
        )


def _filled_up(heard: list[np.ndarray], limit: int | None, folder: Path) -> np.ndarray:
    """Recordings as one array, silent where they have ended."""
    channels = {samples.shape[1:] for samples in heard}
    if len(channels) > 1:
        counts = ", ".join(str(*count) for count in sorted(channels))
        raise ValueError(f"{folder}: the recordings have {counts} channels; mono=True joins them")
    length = max(map(len, heard)) if limit is None else limit
    x = np.zeros((len(heard), length, *channels.pop()), np.float32)
    for row, samples in zip(x, heard, strict=True):
        row[: len(samples)] = samples
    return x


def _check_rates(**rates: int) -> None:
    for name, rate in rates.items():
        if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or rate < 1:
            raise ValueError(f"{name} must be a positive integer, in Hz, got {rate!r}")


class _Format(NamedTuple):
    """What the samples are, and how many there are a second."""

    kind: int
    bits: int
    channels: int
    rate: int


def _read(stream: BinaryIO) -> tuple[np.ndarray, int]:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    head = stream.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise ValueError(f"is no WAV file: it begins with {head!r}")
    end = 8 + int.from_bytes(head[4:8], "little")
    if end > size:
        raise ValueError(f"ends after {size:,} of the {end:,} bytes that its header claims")
    form, at = None, 12
    while at + 8 <= end:
        name, length = struct.unpack("<4sI", stream.read(8))
        at += 8
        if length > end - at:
            raise ValueError(f"ends after {end - at:,} of the {length:,} bytes of its {name!r}")
        if name == b"fmt ":
            form = _format(stream.read(min(length, 40)))
        elif name == b"data":
            if form is None:
                raise ValueError("has its samples before their format")
            return _samples(stream.read(length), form), form.rate
        at = stream.seek(at + length + length % 2)
    raise ValueError("has no samples: it ends without a data chunk")


def _format(chunk: bytes) -> _Format:
    if len(chunk) < 16:
        raise ValueError(f"has a format of {len(chunk)} bytes, and 16 are the least")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", chunk[:16])
    if kind == _EXTENSIBLE and chunk[26:40] == _EXTENDED:
        kind = int.from_bytes(chunk[24:26], "little")
    if bits not in {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}.get(kind, ()):
        raise ValueError(
            f"has samples of format {kind:#06x} with {bits} bits; read are integers (0x0001) of "
            "8, 16, 24 and 32 bits and floats (0x0003) of 32 and 64"
        )
    if not channels or not rate or block * 8 != channels * bits:
        raise ValueError(
            f"contradicts itself: {channels} channels of {bits} bits in {block} bytes, {rate} Hz"
        )
    return _Format(kind, bits, channels, rate)


def _samples(raw: bytes, form: _Format) -> np.ndarray:
    width = form.bits // 8
    if len(raw) % (width * form.channels):
        raise ValueError(f"ends within a sample: {len(raw):,} bytes of {width * form.channels}")
    if form.kind == _FLOAT:
        stored = np.frombuffer(raw, f"<f{width}")
        with np.errstate(over="ignore"):
            samples = stored.astype(np.float32)
        if not np.isfinite(samples).all():
            raise ValueError("has samples that are not finite")
    elif width == 1:
        samples = (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        left = np.zeros((len(raw) // 3, 4), np.uint8)  # the upper bytes of 32 bits
        left[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        samples = left.view("<i4")[:, 0].astype(np.float32) / 2**31
    else:
        samples = np.frombuffer(raw, f"<i{width}").astype(np.float32) / 2 ** (form.bits - 1)
    return samples if form.channels == 1 else samples.reshape(-1, form.channels)
