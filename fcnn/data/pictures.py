"""Picture files to arrays, through Pillow (extra ``io``)."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..extras import require

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
LARGEST = 64_000_000  # pixels; a larger picture is refused before it is decoded
LARGEST_FILE = 2**28  # bytes; a longer file is refused before it is read
FITS = ("stretch", "crop", "pad")

_SIMPLE = {0xC4, 0xDB, 0xDD, 0xE0, 0xE2, 0xEC, 0xED, 0xEE, 0xFE}  # no camera data among them
_FRAME = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive
_SCAN = 0xDA
_LAST = (b"\xff\xd9", b"IEND\xaeB`\x82")  # how a whole JPEG or PNG ends


def picture(
    path: str | Path, *, size: tuple[int, int] | None = None, channels: int = 3
) -> np.ndarray:
    """One picture file as ``[h, w, channels]`` float32 in [0, 1], upright as its EXIF data say.

    16-bit grays keep their scale, transparent pixels are laid on white, of an animation the first
    frame is taken.

    Args:
        path: A PNG, JPEG, BMP, GIF, WebP or TIFF file.
        size: ``(height, width)`` to resize to, with Pillow's antialiased bilinear filter; a JPEG
            is first decoded at the smallest scale that is still twice as large.
        channels: 1 for gray, 3 for RGB.

    Raises:
        ValueError: the file is broken, too large or no picture; it is named, with the reason.
        OSError: there is no such file, or it is a folder.
        ImportError: Pillow is not installed.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")
    try:
        return pixels(file_bytes(path), size=size, channels=channels).astype(np.float32) / 255
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a picture: {error}") from error


def file_bytes(path: str | os.PathLike) -> bytes:
    """The content of a file; a ValueError where it is longer than any picture that is read."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        parts = [os.read(file, 1 << 16)]
        if parts[0].endswith(_LAST) and len(parts[0]) < 1 << 16:
            return parts[0]  # each call lets other threads in, and waits for its turn again
        if len(parts[0]) == 1 << 16:  # a small file need not be asked for its size
            length = os.fstat(file).st_size
            if length > LARGEST_FILE:
                raise ValueError(f"{length:,} bytes are more than {LARGEST_FILE:,}")
        while part := os.read(file, 1 << 22):
            parts.append(part)
        return b"".join(parts)
    except OSError as error:  # of a read, which knows no name
        error.filename = error.filename or os.fspath(path)
        raise
    finally:
        os.close(file)


def pixels(
    raw: bytes, *, size: tuple[int, int] | None = None, channels: int = 3, fit: str = "stretch"
) -> np.ndarray:
    """The picture in the bytes of a file, uint8 ``[h, w, channels]``.

    Args:
        raw: The whole file.
        size: ``(height, width)`` of the result; None keeps that of the picture.
        channels: 1 for gray, 3 for RGB.
        fit: How another shape becomes this size: ``"stretch"`` it, ``"crop"`` what goes beyond it,
            the same on both sides, or ``"pad"`` the rest with black.

    Raises:
        ValueError: the file is broken, too large or no picture; the reason, without a name.
        ImportError: Pillow is not installed.
    """
    image_module = require("PIL.Image", "io")
    try:
        image, scale = _plain_jpeg(raw, size, image_module) or _any(raw, size, image_module)
        mode = "L" if channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if size is not None and (image.height, image.width) != size:
            image = _fitted(image, scale, size, fit, image_module)
        values = np.frombuffer(image.tobytes(), np.uint8)
        return values.reshape(image.height, image.width, channels)
    except Exception as error:  # foreign bytes: a parser may fail in any way
        if not raw:
            raise ValueError("the file is empty") from None
        if isinstance(error, image_module.UnidentifiedImageError):
            raise ValueError(f"it is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
        raise ValueError(str(error) or type(error).__name__) from error


def header_size(raw: bytes) -> tuple[int, int]:
    """``(height, width)`` of the picture in the bytes of a file, upright, by its header alone.

    Raises:
        ValueError: there is no header of a picture.
    """
    image_module = require("PIL.Image", "io")
    try:
        with image_module.open(io.BytesIO(raw), formats=FORMATS) as image:
            return image.size if _turned(image) else image.size[::-1]
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from error


_ORIENTATION = 0x0112  # of EXIF; 5 to 8 swap height and width


def _turned(image: Any) -> bool:
    """Whether height and width are swapped in the file; Pillow stands a TIFF upright itself."""
    return image.format != "TIFF" and image.getexif().get(_ORIENTATION, 1) > 4


def _check_size(width: int, height: int) -> None:
    if width * height > LARGEST:
        raise ValueError(f"{width} x {height} pixels are more than {LARGEST:,}")


def _plain_jpeg(raw: bytes, size: tuple[int, int] | None, image_module: Any) -> tuple | None:
    """A JPEG of the usual kind, decoded without Pillow's own reading of the header, and its scale.

    At 32 x 32 that reading costs as much as the decoding. None for whatever is unusual or broken:
    Pillow then reads it, or finds the words for what is wrong.
    """
    if raw[:3] != b"\xff\xd8\xff":
        return None
    found = None
    at, end = 2, len(raw) - 9
    while at < end and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker in _FRAME:
            if found is not None or raw[at + 4] != 8:
                return None
            height, width = raw[at + 5] << 8 | raw[at + 6], raw[at + 7] << 8 | raw[at + 8]
            found = width, height, raw[at + 9]
        elif marker == _SCAN:
            break
        elif marker not in _SIMPLE:
            return None
        at += 2 + (raw[at + 2] << 8 | raw[at + 3])
    else:
        return None
    if found is None or found[2] not in (1, 3) or width * height == 0:
        return None
    _check_size(width, height)
    mode = "L" if found[2] == 1 else "RGB"
    scale = 1
    if size is not None:
        larger = min(width // (2 * size[1]), height // (2 * size[0]))
        scale = 8 if larger >= 8 else 4 if larger >= 4 else 2 if larger >= 2 else 1
    scaled = (width + scale - 1) // scale, (height + scale - 1) // scale
    try:
        image = image_module.frombytes(mode, scaled, raw, "jpeg", (mode, "", scale, 0))
    except (ValueError, OSError):
        return None
    return image, (scaled[0] * scale / width, scaled[1] * scale / height)


def _any(raw: bytes, size: tuple[int, int] | None, image_module: Any) -> tuple:
    """A picture of any format, upright, 8 bits deep and opaque, and its scale.

    The scale is that by which the width and the height are larger than those of the picture, as
    a JPEG's are where its size is no multiple of the factor at which it is decoded.
    """
    operations = require("PIL.ImageOps", "io")
    with image_module.open(io.BytesIO(raw), formats=FORMATS) as image:
        width, height = image.size
        _check_size(width, height)
        scale = (1.0, 1.0)
        even = width % 8 == height % 8 == 0  # else the rest of a block would move when turned
        if size is not None and (even or image.getexif().get(_ORIENTATION, 1) == 1):
            turned = _turned(image)
            drafted = image.draft(None, [2 * n for n in (size if turned else size[::-1])])
            if drafted is not None:
                _, (_, _, covered_width, covered_height) = drafted
                scale = image.width / covered_width, image.height / covered_height
        image.load()
        operations.exif_transpose(image, in_place=True)
        return _opaque(image, image_module), scale


def _opaque(image: Any, image_module: Any) -> Any:
    """The picture with 8 bits a channel; transparent pixels are laid on white."""
    if image.mode == "F":
        raise ValueError("its pixels are floating numbers, whose white is not known")
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError(f"its pixels lie in {deep.min()}..{deep.max()}, not in 0..65535")
        return image_module.fromarray((deep / 257).round().astype(np.uint8))
    if {"A", "a"} & set(image.getbands()) or "transparency" in image.info:
        image = image.convert("RGBA")
        white = image_module.new("RGBA", image.size, "white")
        image = image_module.alpha_composite(white, image)
    return image


def _fitted(image: Any, scale: tuple, size: tuple[int, int], fit: str, image_module: Any) -> Any:
    """The picture resized; ``scale`` says how much of it lies beyond its right and lower edge."""
    height, width = size
    bilinear = image_module.Resampling.BILINEAR
    w, h = image.width / scale[0], image.height / scale[1]  # of what the picture really covers
    if fit == "pad":
        inner = (width, min(height, max(1, round(h / w * width))))
        if w / h < width / height:
            inner = (min(width, max(1, round(w / h * height))), height)
        resized = image.resize(inner, bilinear, box=(0, 0, w, h))
        canvas = image_module.new(image.mode, (width, height))
        at = round((width - inner[0]) / 2), round((height - inner[1]) / 2)
        canvas.paste(resized, at)
        return canvas
    box = (0, 0, w, h)
    if fit == "crop":
        kept_w, kept_h = min(w, h * width / height), min(h, w * height / width)
        left, top = (w - kept_w) / 2, (h - kept_h) / 2
        box = (left, top, left + kept_w, top + kept_h)
    return image.resize((width, height), bilinear, box=box)
