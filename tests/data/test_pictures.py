import io

import numpy as np
import pytest

from fcnn import data

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def saved(picture, path, **options):
    picture.save(path, **options)
    return path


def test_a_colour_picture_is_its_pixels_between_0_and_1(colours, tmp_path):
    path = saved(image.fromarray(colours), tmp_path / "a.png")
    x = data.picture(path)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, colours.astype(np.float32) / 255)


def test_gray_is_one_channel(colours, tmp_path):
    path = saved(image.fromarray(colours), tmp_path / "a.bmp")
    gray = np.asarray(image.fromarray(colours).convert("L"), np.float32) / 255
    np.testing.assert_array_equal(data.picture(path, channels=1), gray[..., None])


def test_palettes_and_cmyk_become_rgb(colours, tmp_path):
    palette = image.fromarray(colours).quantize(8)
    x = data.picture(saved(palette, tmp_path / "a.gif"))
    np.testing.assert_array_equal(x, np.asarray(palette.convert("RGB"), np.float32) / 255)
    inks = image.fromarray(colours).convert("CMYK")
    x = data.picture(saved(inks, tmp_path / "a.tiff"))
    np.testing.assert_array_equal(x, np.asarray(inks.convert("RGB"), np.float32) / 255)


def test_transparent_pixels_lie_on_white(colours, tmp_path):
    alpha = np.full((6, 9, 1), 255, np.uint8)
    alpha[2, 3] = 0
    path = saved(image.fromarray(np.concatenate([colours, alpha], -1)), tmp_path / "a.png")
    x = data.picture(path)
    np.testing.assert_array_equal(x[2, 3], [1, 1, 1])
    np.testing.assert_array_equal(x[0, 0], colours[0, 0].astype(np.float32) / 255)


def test_sixteen_bits_keep_their_scale(tmp_path):
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    path = saved(image.fromarray(deep), tmp_path / "a.png")
    x = data.picture(path, channels=1)[..., 0]
    np.testing.assert_allclose(x, deep / 65535, atol=0.002)


def test_a_picture_stands_upright_as_its_camera_says(colours, tmp_path):
    exif = image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    path = saved(image.fromarray(colours), tmp_path / "a.png", exif=exif)
    assert data.picture(path).shape == (9, 6, 3)


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [image.new("L", (4, 4), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert data.picture(tmp_path / "a.gif", channels=1).max() < 0.1


def test_a_picture_is_resized_as_pillow_does(colours, tmp_path):
    path = saved(image.fromarray(colours), tmp_path / "a.png")
    expected = image.fromarray(colours).resize((4, 5), image.Resampling.BILINEAR)
    x = data.picture(path, size=(5, 4))
    np.testing.assert_array_equal(x, np.asarray(expected, np.float32) / 255)


def broken_files(colours):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    image.fromarray(noise).save(buffer, "PNG")
    yield "half.png", buffer.getvalue()[: len(buffer.getvalue()) // 2]
    buffer = io.BytesIO()
    image.fromarray(noise).save(buffer, "JPEG")
    yield "half.jpg", buffer.getvalue()[: len(buffer.getvalue()) // 2]
    yield "empty.png", b""
    yield "text.png", b"no picture at all"
    yield "drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"


def test_a_broken_file_is_named_with_its_reason(colours, tmp_path):
    for name, content in broken_files(colours):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} cannot be read as a picture: "):
            data.picture(tmp_path / name)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("fcnn.data.pictures.LARGEST", 50)
    path = saved(image.new("RGB", (9, 6)), tmp_path / "large.png")
    with pytest.raises(ValueError, match="9 x 6 pixels are more than 50"):
        data.picture(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.picture(tmp_path / "none.png")
    with pytest.raises(ValueError, match="channels must be 1 or 3, got 4"):
        data.picture(tmp_path / "none.png", channels=4)
