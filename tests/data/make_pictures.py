"""Makes a tree of small pictures in which some files are bad and others are odd but valid."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cat", "dog")
BAD = ("cut.jpg", "tail.jpg", "empty.png", "text.png", "half.png", "bomb.png")
ODD = ("palette", "alpha", "deep", "cmyk", "gray", "turned", "animated", "bilevel")


def make_tree(
    folder: str | Path, *, count: int = 1000, bad: int = 60, odd: int = 60, seed: int = 0
) -> tuple[dict[Path, str], dict[Path, str]]:
    """Writes ``folder/<class>/NNNN.jpg`` and so on; gives the bad and the odd files, with kinds.

    The kinds of ``BAD`` and ``ODD`` take turns, the bad and the odd lie at random among the others,
    each class has as many files as the others or one more, and no two pictures are equal. The
    same arguments make the same bytes.
    """
    if bad + odd > count:
        raise ValueError(f"{bad} bad and {odd} odd are more than {count} files")
    folder, rng = Path(folder), np.random.default_rng(seed)
    drawn = rng.permutation(count)
    bad_at = {int(at): BAD[i % len(BAD)] for i, at in enumerate(drawn[:bad])}
    odd_at = {int(at): ODD[i % len(ODD)] for i, at in enumerate(drawn[bad : bad + odd])}
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    bad_files, odd_files = {}, {}
    for i in range(count):
        pixels = rng.integers(0, 256, (24, 32, 3), np.uint8)
        stem = folder / CLASSES[i % len(CLASSES)] / f"{i:04d}"
        if i in bad_at:
            path = stem.with_suffix(Path(bad_at[i]).suffix)
            content = bad_bytes(bad_at[i], pixels)
            bad_files[path] = bad_at[i]
        elif i in odd_at:
            suffix, content = odd_bytes(odd_at[i], pixels)
            path = stem.with_suffix(suffix)
            odd_files[path] = odd_at[i]
        else:
            form = "JPEG" if i % 3 else "PNG"
            path = stem.with_suffix(".jpg" if i % 3 else ".png")
            content = encoded(pixels, form)
        path.write_bytes(content)
    return bad_files, odd_files


def bad_bytes(kind: str, pixels: np.ndarray) -> bytes:
    """The bytes of a file that is no picture, though it is named like one; a kind of ``BAD``."""
    if kind == "empty.png":
        return b""
    if kind == "text.png":
        return b"<html><body>404 Not Found</body></html>\n"
    if kind == "bomb.png":
        return png_bomb(100_000, 100_000)
    whole = encoded(pixels, "JPEG" if kind.endswith("jpg") else "PNG")
    if kind == "tail.jpg":  # most of the picture is there, and its end is lost
        return whole[: len(whole) * 9 // 10]
    if kind in ("cut.jpg", "half.png"):
        return whole[: len(whole) // 2]
    raise ValueError(f"no bad kind {kind!r}; there are {', '.join(BAD)}")


def odd_bytes(kind: str, pixels: np.ndarray) -> tuple[str, bytes]:
    """The suffix and the bytes of a valid picture of a rare kind; a kind of ``ODD``."""
    picture = Image.fromarray(pixels)
    if kind == "palette":
        return ".gif", encoded(picture.quantize(16), "GIF")
    if kind == "alpha":
        opacity = Image.fromarray(pixels[..., 0])
        picture.putalpha(opacity)
        return ".png", encoded(picture, "PNG")
    if kind == "deep":
        return ".png", encoded(pixels[..., 0].astype(np.uint16) * 257, "PNG")
    if kind == "cmyk":
        return ".jpg", encoded(picture.convert("CMYK"), "JPEG")
    if kind == "gray":
        return ".jpeg", encoded(picture.convert("L"), "JPEG")
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        return ".jpg", encoded(picture, "JPEG", exif=exif)
    if kind == "animated":
        frames = [Image.fromarray(255 - pixels)]
        return ".webp", encoded(picture, "WEBP", save_all=True, append_images=frames)
    if kind == "bilevel":
        return ".tiff", encoded(picture.convert("1"), "TIFF")
    raise ValueError(f"no odd kind {kind!r}; there are {', '.join(ODD)}")


def encoded(picture: np.ndarray | Image.Image, form: str, **options) -> bytes:
    """The picture as the bytes of a file."""
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100_000), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
