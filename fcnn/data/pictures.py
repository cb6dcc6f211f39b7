"""Picture files to arrays, through Pillow (extra ``io``)."""

from pathlib import Path

import numpy as np

from ..extras import require

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
LARGEST = 64_000_000  # pixels; a larger picture is refused before it is decoded


def picture(
    path: str | Path, *, size: tuple[int, int] | None = None, channels: int = 3
) -> np.ndarray:
    """One picture file as ``[h, w, channels]`` float32 in [0, 1], upright as its EXIF data say.

    16-bit grays keep their scale, transparent pixels are laid on white, of an animation the first
    frame is taken.

    Args:
        path: A PNG, JPEG, BMP, GIF, WebP or TIFF file.
        size: ``(height, width)`` to resize to, with Pillow's antialiased bilinear filter.
        channels: 1 for gray, 3 for RGB.

    Raises:
        ValueError: the file is broken, too large or no picture; it is named, with the reason.
        OSError: there is no such file.
        ImportError: Pillow is not installed.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")
    image_module = require("PIL.Image", "io")
    operations = require("PIL.ImageOps", "io")
    with open(path, "rb") as file:
        try:
            with image_module.open(file, formats=FORMATS) as image:
                width, height = image.size
                if width * height > LARGEST:
                    raise ValueError(f"{width} x {height} pixels are more than {LARGEST:,}")
                image.load()
                image = operations.exif_transpose(image)
                if image.mode.startswith("I;16") or image.mode == "I":
                    image = image_module.fromarray(
                        (np.asarray(image) / 257).round().astype(np.uint8)
                    )
                if "A" in image.getbands() or "transparency" in image.info:
                    image = image.convert("RGBA")
                    white = image_module.new("RGBA", image.size, "white")
                    image = image_module.alpha_composite(white, image)
                image = image.convert("L" if channels == 1 else "RGB")
                if size is not None and image.size != (size[1], size[0]):
                    image = image.resize((size[1], size[0]), image_module.Resampling.BILINEAR)
                x = np.asarray(image, np.float32) / 255
        except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
            raise ValueError(f"{path} cannot be read as a picture: {error}") from error
    return x if x.ndim == 3 else x[..., None]
