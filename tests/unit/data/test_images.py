"""Reading images: every odd one is either right or refused with a sentence."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from concepthash.data.images import MAX_PIXELS, quoted_name, read_image, to_rgb
from concepthash.errors import ImageError


def photo(height: int = 24, width: int = 36) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise_png() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return encoded(Image.fromarray(noise), "PNG")


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 64)
    parts = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def refusal(source: object) -> str:
    with pytest.raises(ImageError) as refused:
        read_image(source)  # type: ignore[arg-type]
    message = str(refused.value)
    assert message.endswith(".") and "\n" not in message and "Traceback" not in message and "; " in message
    return message


def test_a_png_comes_back_exactly_from_path_text_bytes_and_stream(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(photo()).save(path)
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        image = read_image(source)
        assert image.dtype == np.uint8 and image.flags.c_contiguous and image.flags.writeable
        np.testing.assert_array_equal(image, photo())


def test_a_stream_is_read_from_its_start_and_left_open_and_need_not_seek() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    content = encoded(Image.fromarray(photo()), "PNG")
    stream = io.BytesIO(content)
    stream.seek(7)
    np.testing.assert_array_equal(read_image(stream), photo())
    np.testing.assert_array_equal(read_image(Pipe(content)), photo())
    assert not stream.closed


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_every_common_format_is_read(kind: str) -> None:
    image = read_image(encoded(Image.fromarray(photo()), kind))
    assert image.shape == (24, 36, 3)
    assert np.abs(image.astype(int) - photo()).mean() < 12


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("content", [b"Notes, not an image.\n", b"\0", bytes(range(256)), b"<svg></svg>"])
def test_something_else_that_is_named_like_an_image_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"notes{suffix}"
    path.write_bytes(content)
    assert f'"notes{suffix}" is not an image' in refusal(path)


def test_a_zero_byte_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    assert '"empty.jpg" is empty (0 bytes)' in refusal(path)
    assert "empty" in refusal(b"") and "empty" in refusal(io.BytesIO())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_truncated_file_is_refused_with_a_sentence(tmp_path: Path, kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path = tmp_path / "cut.img"
    whole = encoded(noise, kind)
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        message = refusal(path)
        assert '"cut.img"' in message and "damaged" in message


def test_a_corrupt_file_is_refused() -> None:
    content = bytearray(noise_png())
    content[len(content) // 2] ^= 0xFF
    assert "damaged" in refusal(bytes(content))


def test_damage_at_random_gives_pixels_or_a_sentence_and_never_another_error() -> None:
    rng = np.random.default_rng(1)
    picture = Image.fromarray(photo())
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = picture.quantize(16)
    wholes = [encoded(picture, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    wholes += [encoded(palette, "GIF"), encoded(palette, "PNG", transparency=3), encoded(picture, "BMP")]
    wholes += [encoded(picture, "PPM"), encoded(picture, "TIFF", compression="tiff_lzw")]
    for trial in range(600):
        content = bytearray(wholes[trial % len(wholes)])
        for place in rng.integers(0, min(len(content), 400), rng.integers(1, 6)):
            content[place] = rng.integers(256)
        try:
            assert read_image(bytes(content)).dtype == np.uint8
        except ImageError as error:
            assert str(error).endswith(".")


def test_a_16_bit_png_keeps_its_tonal_range() -> None:
    values = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    image = read_image(encoded(Image.fromarray(values), "PNG"))
    np.testing.assert_array_equal(image[..., 0].ravel(), np.arange(256))
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


def test_a_16_bit_gray_map_keeps_its_tonal_range() -> None:
    values = np.linspace(0, 65535, 256, dtype=">u2")
    image = read_image(b"P5 16 16 65535 " + values.tobytes())
    np.testing.assert_array_equal(image[..., 1].ravel(), np.arange(256))


def test_a_16_bit_color_png_keeps_its_tonal_range() -> None:
    rows = np.zeros((1, 1 + 2 * 3 * 3), dtype=np.uint8)
    rows[0, 1:] = np.array([[0, 0, 0], [32768, 16384, 0], [65535] * 3], dtype=">u2").view(np.uint8).ravel()
    parts = [b"IHDR" + struct.pack(">IIBBBBB", 3, 1, 16, 2, 0, 0, 0), b"IDAT" + zlib.compress(rows.tobytes()), b"IEND"]
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    image = read_image(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    np.testing.assert_array_equal(image[0], [[0, 0, 0], [128, 64, 0], [255, 255, 255]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 200.0], [0, 100, 200]),
        ([0.0, 257.0, 65535.0], [0, 1, 255]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),
        ([5e6, 5e6, 5e6], [0, 0, 0]),
        ([-3e38, -3e38, -3e38], [0, 0, 0]),
        ([np.nan, np.inf, 1.0], [0, 0, 255]),
        ([-3e38, 0.0, 3e38], [0, 128, 255]),
    ],
)
def test_float_images_are_scaled_to_the_smallest_white_that_holds_them(
    values: list[float], expected: list[int]
) -> None:
    image = to_rgb(Image.fromarray(np.array([values], dtype=np.float32)))
    np.testing.assert_array_equal(image[0, :, 0], expected)


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    picture = Image.fromarray(np.full((16, 16, 3), (200, 40, 40), dtype=np.uint8))
    image = read_image(encoded(picture.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(image.astype(int) - (200, 40, 40)).max() < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"])
def test_every_color_mode_of_a_gray_image_becomes_the_same_gray(mode: str) -> None:
    gray = Image.new("L", (3, 2), 255)
    first = gray.convert("LA") if mode == "La" else gray.convert("RGBA") if mode == "RGBa" else gray
    np.testing.assert_array_equal(to_rgb(first.convert(mode)), np.full((2, 3, 3), 255))


def test_a_color_mode_without_a_way_to_rgb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("conversion not supported")

    picture = Image.new("LAB", (2, 2))
    monkeypatch.setattr(picture, "convert", refuse)
    with pytest.raises(ImageError, match="color mode LAB; save it as"):
        to_rgb(picture)


def test_transparency_stands_over_white() -> None:
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], dtype=np.uint8)
    image = read_image(encoded(Image.fromarray(pixels), "PNG"))
    np.testing.assert_array_equal(image[0], [[255, 0, 0], [255, 255, 255], [204, 204, 204]])


def test_a_palette_with_transparency_stands_over_white() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    for transparency in (0, bytes([0, 255])):
        image = read_image(encoded(picture, "PNG", transparency=transparency))
        np.testing.assert_array_equal(image[0], [[255, 255, 255], [200, 100, 50]])


@pytest.mark.parametrize(("mode", "key"), [("RGB", (255, 0, 0)), ("L", 9)])
def test_a_transparent_color_stands_over_white(mode: str, key: object) -> None:
    image = read_image(encoded(Image.new(mode, (2, 1), key), "PNG", transparency=key))  # type: ignore[arg-type]
    np.testing.assert_array_equal(image, np.full((1, 2, 3), 255))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    red, blue = (Image.new("RGB", (16, 16), color) for color in ((255, 0, 0), (0, 0, 255)))
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read_image(encoded(red, kind, save_all=True, append_images=[blue], **options))
    np.testing.assert_array_equal(image, np.full((16, 16, 3), (255, 0, 0)))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("orientation", range(10))
def test_an_exif_rotated_photo_is_turned_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(photo()), kind, exif=exif)
    with Image.open(io.BytesIO(content)) as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened))
    np.testing.assert_array_equal(read_image(content), upright)
    assert read_image(content).shape == ((36, 24, 3) if 5 <= orientation <= 8 else (24, 36, 3))


def test_broken_exif_does_not_hide_the_photo() -> None:
    content = encoded(Image.fromarray(photo()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert read_image(content).shape == (24, 36, 3)


def test_an_image_of_one_pixel_is_read() -> None:
    for mode in ("RGB", "L", "RGBA", "P", "1", "CMYK"):
        kind = "TIFF" if mode == "CMYK" else "PNG"
        assert read_image(encoded(Image.new(mode, (1, 1)), kind)).shape == (1, 1, 3)


@pytest.mark.parametrize("side", [8001, 10_000, 20_000])
def test_an_image_of_too_many_pixels_is_refused_before_decoding(
    tmp_path: Path, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(_: object) -> None:
        raise AssertionError("decoding has begun")

    monkeypatch.setattr(ImageFile.ImageFile, "load", decode)
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(side, side))
    message = refusal(path)
    assert '"huge.png" has too many pixels' in message and "64 million" in message


def test_a_header_that_announces_pixels_that_are_not_there_is_refused() -> None:
    assert "damaged or cut short" in refusal(png_header(2000, 2000))


def test_an_opened_image_of_too_many_pixels_is_refused() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    with Image.open(io.BytesIO(png_header(side, side))) as opened, pytest.raises(ImageError, match="too many pixels"):
        to_rgb(opened)


def test_a_folder_a_missing_file_and_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "birds.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "file.jpg").touch()
    assert '"birds.jpg" is a folder' in refusal(tmp_path / "birds.jpg")
    assert '"pipe.jpg" is a device or pipe' in refusal(tmp_path / "pipe.jpg")
    for missing in ("none.jpg", "link.jpg", "file.jpg/inside.jpg"):
        assert "does not exist" in refusal(tmp_path / missing)
    for unusable in ("a" * 300 + ".jpg", "null\0.jpg"):
        assert "cannot be opened" in refusal(tmp_path / unusable)


@pytest.mark.parametrize(
    "name", ["птица", "鳥 🐦", "e\u0301", "a\nb", "\u202egnp", "-rf %s{0}", os.fsdecode(b"no utf-8 \xff\xfe")]
)
def test_weird_names_are_read_and_named_on_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.png"
    path.write_bytes(encoded(Image.fromarray(photo()), "PNG"))
    np.testing.assert_array_equal(read_image(path), photo())
    path.write_bytes(b"x")
    message = refusal(path)
    assert message.isprintable() and message.encode("utf-8")


def test_a_message_never_holds_the_path_above_the_file(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "cut.png").write_bytes(noise_png()[:5000])
    (tmp_path / "huge.png").write_bytes(png_header(20_000, 20_000))
    for name in ("empty.png", "text.png", "cut.png", "huge.png", "missing.png", "."):
        assert str(tmp_path.parent) not in refusal(tmp_path / name)


def test_a_long_name_is_shortened() -> None:
    quoted = quoted_name(Path("start" + "x" * 200 + "end.jpg"))
    assert len(quoted) == 62 and quoted.startswith('"start') and quoted.endswith('end.jpg"')
