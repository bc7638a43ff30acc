"""Images read from files: what comes back is what was written, and hostile files are refused by name."""

import contextlib
import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attend.data.files import DataError
from attend.data.image import (
    LARGEST_PIXELS,
    Form,
    ImageError,
    Images,
    as_floats,
    decode,
    formed,
    read_idx_images,
    size_of,
)

RANDOM = np.random.default_rng(1)
GREY = RANDOM.integers(256, size=(5, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(256, size=(5, 7, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    file.seek(0)
    return file


def put(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def test_pixels_come_back():
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(GREY)), Form()).pixels, GREY[np.newaxis])
    found = decode(encoded(Image.fromarray(COLOUR)), Form("colour"))
    np.testing.assert_array_equal(found.pixels, COLOUR.transpose(2, 0, 1))
    assert found[1:] == ((5, 7), False, False, False)


@pytest.mark.parametrize("colour", ["grey", "colour"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_pixel_is_read(colour, mode):
    image = Image.fromarray(COLOUR).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(GREY.astype(np.uint16) * 257)
    found = decode(encoded(image, "JPEG" if mode == "CMYK" else "PNG"), Form(colour))
    assert found.pixels.shape == (1 if colour == "grey" else 3, 5, 7)
    if mode == "I;16":
        np.testing.assert_array_equal(found.pixels[0], GREY)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_no_known_range_are_refused(mode: str):
    with pytest.raises(ImageError, match=f"of Pillow's mode {mode}, whose maximum is not known"):
        formed(Image.fromarray(GREY).convert(mode), Form())


def test_transparent_parts_are_laid_over_black():
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], dtype=np.uint8)
    found = decode(encoded(Image.fromarray(pixels)), Form("colour"))
    np.testing.assert_array_equal(found.pixels[:, 0].T, [[200, 100, 50], [0, 0, 0], [40, 20, 10]])
    assert found.over_black
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "L").convert("P")
    palette.putpalette([255, 255, 255, 9, 9, 9])
    found = decode(encoded(palette, transparency=0), Form())
    np.testing.assert_array_equal(found.pixels[0], [[0, 9]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_in_exif_is_heeded(tmp_path, orientation):
    image = Image.fromarray(COLOUR)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = image.transpose(undo[orientation]) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.png"
    stored.save(path, exif=exif)
    found = decode(path, Form("colour"))
    np.testing.assert_array_equal(found.pixels, COLOUR.transpose(2, 0, 1))
    assert found.turned == (orientation > 1)
    assert size_of(path) == found.size == (5, 7)


def test_padding_keeps_the_whole_image_and_cropping_fills():
    white = encoded(Image.new("L", (20, 10), 255))
    padded = decode(white, Form(rows=8, columns=8, fit="pad"))
    assert (padded.pixels[0, 2:6] == 255).all()
    assert (padded.pixels[0, [0, 1, 6, 7]] == 0).all()
    assert padded.size == (10, 20)
    cropped = decode(white, Form(rows=8, columns=8, fit="crop"))
    assert (cropped.pixels == 255).all()
    with pytest.raises(ImageError, match="not of 8 x 8 pixels"):
        decode(white, Form(rows=8, columns=8, fit="exact"))


def test_large_photographs_are_resized_as_small_ones_are():
    """They are decoded at a fraction of their size; what comes out is what the whole image would give."""
    waves = 127 + 60 * np.sin(np.arange(896) / 70)[:, None] + 60 * np.cos(np.arange(1296) / 90)
    photo = Image.fromarray(waves.astype(np.uint8))
    form = Form(rows=20, columns=30, fit="crop")
    large = decode(encoded(photo, "JPEG", quality=95), form)
    assert large.size == (896, 1296)
    np.testing.assert_allclose(large.pixels, decode(encoded(photo), form).pixels, atol=3)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(columns: int, rows: int) -> io.BytesIO:
    """A small PNG that claims to be large."""
    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("columns", "rows"), [(10_000, 8_001), (10_000, 9_500), (2**20, 2**20), (2**31 - 1, 2)])
def test_decompression_bombs_are_refused(columns, rows):
    with pytest.raises(ImageError, match=f"more than {LARGEST_PIXELS:,} pixels"):
        decode(bomb(columns, rows), Form(rows=8, columns=8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_of_several_frames_the_first_is_read(kind: str):
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    file = encoded(first, kind, save_all=True, append_images=[second], lossless=True)
    alone = decode(encoded(first, kind, lossless=True), Form())
    found = decode(file, Form())
    np.testing.assert_array_equal(found.pixels, alone.pixels)
    assert (found.animated, alone.animated) == (True, False)


def test_other_formats_are_refused():
    for kind in ("BMP", "TIFF"):
        with pytest.raises(ImageError, match="not a PNG, JPEG, WebP or GIF image"):
            decode(encoded(Image.fromarray(GREY), kind), Form())


@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]),
    cut=st.none() | st.integers(0, 700),
    changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=4),
)
def test_damaged_files_are_read_or_refused(kind, cut, changes):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(encoded(Image.fromarray(COLOUR), kind, exif=exif).getvalue())
    for place, value in changes:
        data[place % len(data)] = value
    with contextlib.suppress(ImageError):
        assert decode(io.BytesIO(data[:cut]), Form("grey", 6, 6)).pixels.shape == (1, 6, 6)


def test_floats_are_from_0_to_1():
    floats = as_floats(np.arange(256, dtype=np.uint8))
    np.testing.assert_allclose(floats, np.arange(256) / 255, rtol=1e-6)
    assert floats.dtype == np.float32
    assert floats[-1] == 1


def some_images() -> Images:
    pixels = RANDOM.integers(256, size=(4, 1, 2, 3), dtype=np.uint8)
    captions = (("a",), ("b", "c"), ("d",), ("e",))
    return Images(pixels, np.array([0, 1, 1, 0]), ("cat", "dog"), captions, ("1", "2", "3", "4"))


def test_a_part_is_a_view_and_a_choice_is_in_order():
    images = some_images()
    part = images.part(1, 3)
    assert np.shares_memory(part.pixels, images.pixels)
    assert (part.names, part.captions) == (("2", "3"), (("b", "c"), ("d",)))
    assert part.labels is not None
    np.testing.assert_array_equal(part.labels, [1, 1])
    chosen = images.select(np.array([3, 0]))
    np.testing.assert_array_equal(chosen.pixels, images.pixels[[3, 0]])
    assert (chosen.names, chosen.captions) == (("4", "1"), (("e",), ("a",)))
    np.testing.assert_allclose(images.floats(np.array([2])), images.pixels[2:3] / 255, rtol=1e-6)
    assert len(Images(images.pixels).select(np.array([1])).names) == 0


def test_what_does_not_go_together_is_refused():
    pixels = np.zeros((2, 1, 3, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="there are 2 images, but 1 names"):
        Images(pixels, names=("a",))
    with pytest.raises(ValueError, match="there are 2 images, but 3 captions"):
        Images(pixels, captions=(("a",), ("b",), ("c",)))
    with pytest.raises(ValueError, match="labels are 0 to 1, for 1 classes"):
        Images(pixels, np.array([0, 1]), ("a",))
    with pytest.raises(ValueError, match="give both rows and columns"):
        Form(rows=3)
    with pytest.raises(ValueError, match="must be at least 1, not 0 and 3"):
        Form(rows=0, columns=3)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files(tmp_path, suffix):
    pixels = RANDOM.integers(256, size=(3, 4, 5), dtype=np.uint8)
    labels = np.array([2, 0, 2], dtype=np.uint8)
    compress = gzip.compress if suffix else bytes
    images = read_idx_images(
        put(tmp_path, f"images{suffix}", compress(idx(pixels))), put(tmp_path, f"labels{suffix}", compress(idx(labels)))
    )
    np.testing.assert_array_equal(images.pixels[:, 0], pixels)
    assert images.labels is not None
    np.testing.assert_array_equal(images.labels, labels)
    assert images.classes == ("0", "1", "2")
    assert read_idx_images(str(tmp_path / f"images{suffix}")).labels is None


def test_idx_labels_of_other_images(tmp_path):
    images = put(tmp_path, "images", idx(np.zeros((2, 3, 3), dtype=np.uint8)))
    labels = put(tmp_path, "labels", idx(np.zeros(3, dtype=np.uint8)))
    with pytest.raises(DataError, match=r"labels of shape \(3,\), but .*images has 2 images"):
        read_idx_images(images, labels)
    with pytest.raises(DataError, match="has 1 axes"):
        read_idx_images(labels)
