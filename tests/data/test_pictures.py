"""Pictures of every kind come out as an independent reading by Pillow has them, or are refused."""

import io
import struct
import zlib

import numpy as np
import pytest

from fcnn import data
from fcnn.data.pictures import header_size, pixels

image = pytest.importorskip("PIL.Image")
operations = pytest.importorskip("PIL.ImageOps")


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def smooth(height, width):
    """A picture without noise, which survives JPEG."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 40) + np.cos(y / 45), np.cos(x / 50 - y / 55), np.sin((x + y) / 60)]
    return (127 + 60 * np.stack(waves, -1)).clip(0, 255).astype(np.uint8)


def saved(picture, path, **options):
    picture.save(path, **options)
    return path


def encoded(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_colour_picture_is_its_pixels_between_0_and_1(colours, tmp_path):
    path = saved(image.fromarray(colours), tmp_path / "a.png")
    x = data.picture(path)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, colours.astype(np.float32) / 255)


def test_gray_is_one_channel(colours, tmp_path):
    path = saved(image.fromarray(colours), tmp_path / "a.bmp")
    gray = np.asarray(image.fromarray(colours).convert("L"), np.float32) / 255
    np.testing.assert_array_equal(data.picture(path, channels=1), gray[..., None])


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_every_format_is_read_as_pillow_reads_it(colours, kind, mode):
    source = image.fromarray(colours).convert(mode)
    source = source.convert("RGB") if kind in ("WEBP", "JPEG") else source
    options = {"lossless": True} if kind == "WEBP" else {}
    raw = encoded(source, kind, **options)
    for channels, wanted in ((3, "RGB"), (1, "L")):
        expected = np.asarray(image.open(io.BytesIO(raw)).convert(wanted))
        x = pixels(raw, channels=channels)
        assert (x.dtype, x.shape) == (np.uint8, (6, 9, channels))
        np.testing.assert_array_equal(x, expected.reshape(x.shape))


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {}),
        ("L", {}),
        ("RGB", {"progressive": True}),
        ("RGB", {"subsampling": 0, "quality": 95, "comment": "a comment", "dpi": (300, 300)}),
        ("RGB", {"restart_marker_blocks": 2}),
        ("RGB", {"icc_profile": b"x" * 300}),
        ("CMYK", {}),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_jpeg_is_read_as_pillow_reads_it(mode, options, channels):
    raw = encoded(image.fromarray(smooth(37, 50)).convert(mode), "JPEG", **options)
    expected = np.asarray(image.open(io.BytesIO(raw)).convert("L" if channels == 1 else "RGB"))
    np.testing.assert_array_equal(pixels(raw, channels=channels).squeeze(), expected)


def test_cmyk_becomes_rgb(colours, tmp_path):
    inks = image.fromarray(colours).convert("CMYK")
    x = data.picture(saved(inks, tmp_path / "a.tiff"))
    np.testing.assert_array_equal(x, np.asarray(inks.convert("RGB"), np.float32) / 255)


@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_transparent_pixels_lie_on_white(colours, mode, kind):
    alpha = np.full((6, 9, 1), 255, np.uint8)
    alpha[2, 3], alpha[4, 5] = 0, 128
    source = image.fromarray(np.concatenate([colours, alpha], -1)).convert(mode)
    x = pixels(encoded(source, kind, **({"lossless": True} if kind == "WEBP" else {})))
    solid = np.asarray(source.convert("RGB"), float)
    expected = solid * (alpha / 255) + 255 * (1 - alpha / 255)
    np.testing.assert_allclose(x, expected, atol=1)
    np.testing.assert_array_equal(x[2, 3], [255, 255, 255])
    np.testing.assert_array_equal(x[0, 0], solid[0, 0])


@pytest.mark.parametrize("transparency", [3, bytes([255, 255, 255, 0])])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_lies_on_white(transparency, kind):
    source = image.new("P", (4, 1))
    source.putpalette([9, 9, 9, 50, 60, 70, 0, 0, 255, 10, 20, 30])
    source.putdata([0, 1, 2, 3])
    if kind == "GIF" and isinstance(transparency, bytes):
        transparency = 3
    x = pixels(encoded(source, kind, transparency=transparency))
    assert x[0].tolist() == [[9, 9, 9], [50, 60, 70], [0, 0, 255], [255, 255, 255]]


def test_sixteen_bits_keep_their_scale(tmp_path):
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    for name in ("a.png", "a.tiff"):
        x = data.picture(saved(image.fromarray(deep), tmp_path / name), channels=1)[..., 0]
        np.testing.assert_allclose(x, deep / 65535, atol=0.002)


def test_depths_without_a_known_white_are_refused():
    floats = image.fromarray(np.array([[0.0, 1.0]], np.float32))
    with pytest.raises(ValueError, match="floating numbers"):
        pixels(encoded(floats, "TIFF"))
    deep = image.fromarray(np.array([[0, 70000]], np.int32))
    with pytest.raises(ValueError, match=r"0\.\.70000, not in 0\.\.65535"):
        pixels(encoded(deep, "TIFF"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_stands_upright_as_its_camera_says(orientation, kind):
    exif = image.Exif()
    exif[0x0112] = orientation
    raw = encoded(image.fromarray(smooth(24, 40)), kind, exif=exif)
    expected = np.asarray(operations.exif_transpose(image.open(io.BytesIO(raw))).convert("RGB"))
    np.testing.assert_array_equal(pixels(raw), expected)
    assert expected.shape[:2] == ((40, 24) if orientation > 4 else (24, 40))
    assert header_size(raw) == expected.shape[:2]


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [image.new("L", (4, 4), shade) for shade in (10, 200)]
    for name in ("a.gif", "a.png", "a.webp", "a.tiff"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert data.picture(tmp_path / name, channels=1).max() < 0.1


def test_a_picture_is_resized_as_pillow_does(colours, tmp_path):
    path = saved(image.fromarray(colours), tmp_path / "a.png")
    expected = image.fromarray(colours).resize((4, 5), image.Resampling.BILINEAR)
    x = data.picture(path, size=(5, 4))
    np.testing.assert_array_equal(x, np.asarray(expected, np.float32) / 255)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (50, 50), (31, 97)])
@pytest.mark.parametrize("size", [(20, 20), (24, 10), (100, 70)])
def test_crops_and_pads_are_those_of_pillow(shape, size):
    source = image.fromarray(smooth(*shape))
    raw = encoded(source, "PNG")
    bilinear = image.Resampling.BILINEAR
    cropped = operations.fit(source, size[::-1], bilinear)
    np.testing.assert_allclose(pixels(raw, size=size, fit="crop"), cropped, atol=1)
    padded = operations.pad(source, size[::-1], bilinear)
    np.testing.assert_array_equal(pixels(raw, size=size, fit="pad"), padded)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("orientation", [None, 3, 6, 8])
@pytest.mark.parametrize("shape", [(333, 501), (336, 504)])
def test_a_large_jpeg_decoded_at_a_smaller_scale_stays_where_it_is(fit, orientation, shape):
    exif = image.Exif()
    if orientation:
        exif[0x0112] = orientation
    raw = encoded(image.fromarray(smooth(*shape)), "JPEG", quality=95, exif=exif)
    upright = operations.exif_transpose(image.open(io.BytesIO(raw)))
    whole = encoded(upright, "PNG")
    small = pixels(raw, size=(20, 30), fit=fit)
    np.testing.assert_allclose(
        small.astype(int), pixels(whole, size=(20, 30), fit=fit).astype(int), atol=4
    )


def bomb():
    """A PNG of 100,000 x 100,000 black pixels in a few kilobytes."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(10**6), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def broken_files():
    noise = image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"):
        whole = encoded(noise, kind)
        yield f"half.{kind.lower()}", whole[: len(whole) // 2]
        yield f"head.{kind.lower()}", whole[:20]
    yield "empty.png", b""
    yield "text.png", b"no picture at all"
    yield "drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    yield "bomb.png", bomb()
    damaged = bytearray(encoded(noise, "PNG"))
    damaged[len(damaged) // 2] ^= 255
    yield "damaged.png", bytes(damaged)


@pytest.mark.parametrize(("name", "content"), list(broken_files()), ids=lambda part: str(part)[:12])
@pytest.mark.parametrize("size", [None, (4, 4)])
def test_a_broken_file_is_named_with_its_reason(name, content, size, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name} cannot be read as a picture: .+"):
        data.picture(tmp_path / name, size=size)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("size", [None, (4, 4)])
def test_a_jpeg_that_ends_early_is_an_error_wherever_it_ends(options, size):
    raw = encoded(image.fromarray(smooth(32, 32)), "JPEG", **options)
    assert pixels(raw, size=size).shape[-1] == 3
    for kept in range(len(raw)):
        with pytest.raises(ValueError, match=r".+"):
            pixels(raw[:kept], size=size)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("fcnn.data.pictures.LARGEST", 50)
    for name in ("large.png", "large.jpg"):
        path = saved(image.new("RGB", (9, 6)), tmp_path / name)
        with pytest.raises(ValueError, match="9 x 6 pixels are more than 50"):
            data.picture(path)


def test_a_long_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "long.png").open("wb") as file:
        file.truncate(2**28 + 1)
    with pytest.raises(ValueError, match="268,435,457 bytes are more than"):
        data.picture(tmp_path / "long.png")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.picture(tmp_path / "none.png")
    with pytest.raises(ValueError, match="channels must be 1 or 3, got 4"):
        data.picture(tmp_path / "none.png", channels=4)


def test_a_folder_is_named_where_a_picture_is_wanted(tmp_path):
    with pytest.raises((IsADirectoryError, PermissionError)) as caught:
        data.picture(tmp_path)
    assert caught.value.filename == str(tmp_path)
