"""Images: the size they are brought to, what becomes of each, and what is refused."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from attend.attention.trace import Grid, Named, Picture
from attend.data.files import DataError
from attend.fields import image
from attend.fields.field import Fault, Field, FieldSettings, Value
from attend.fields.image import Image, ImageField


def quiet(line: str) -> None:
    """Say nothing."""


def write(path: Path, rows: int = 10, columns: int = 12, mode: str = "L", **more) -> Path:
    pixels = np.random.default_rng(0).integers(256, size=(rows, columns, len(mode)), dtype=np.uint8)
    Pillow.fromarray(pixels[..., 0] if mode == "L" else pixels, mode).save(path, **more)
    return path


@pytest.fixture
def field(tmp_path: Path) -> ImageField:
    files = [write(tmp_path / f"{number}.png") for number in range(3)]
    return Image().learn([*files, write(tmp_path / "tall.png", 30, 20)], quiet)


def test_both_faces_are_what_a_field_is(field: ImageField):
    assert isinstance(Image(), FieldSettings)
    assert isinstance(field, Field)
    assert isinstance(field.prepare(np.zeros((1, 10, 12), np.uint8)), Value)
    assert Image().column("image").files
    assert Image().kept("image") == ("image.json",)


def test_the_size_is_that_of_arrays_or_of_most_files_or_is_given(field: ImageField, tmp_path: Path):
    assert field.sizes() == {"channels": 1, "rows": 10, "columns": 12}
    of_arrays = Image(rows=5, columns=5).learn([np.zeros((3, 4, 6), np.uint8)], quiet)
    assert of_arrays.sizes() == {"channels": 3, "rows": 4, "columns": 6}
    given = Image("colour", 8, 9).learn([tmp_path / "none.png"], quiet)
    assert given.sizes() == {"channels": 3, "rows": 8, "columns": 9}


def test_large_images_are_remarked_on_and_too_many_of_them_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    large = write(tmp_path / "large.png", 10, 300)
    Image().learn([large], said.append)
    assert any("10 x 300" in line for line in said)
    monkeypatch.setattr(image, "LARGEST_BYTES", 5000)
    with pytest.raises(ValueError, match="rows and columns"):
        Image().learn([large, large], quiet)


def test_a_file_its_content_and_its_pixels_are_one_image(field: ImageField, tmp_path: Path):
    path = tmp_path / "1.png"
    content = field.read(path.read_bytes())
    assert isinstance(content, BytesIO)
    (pixels,) = field.encode([path])
    for same in (content, Pillow.open(path), pixels, field.read(str(path))):
        np.testing.assert_array_equal(field.prepare(same).encoded, pixels)
    batch = field.collate([pixels, pixels])
    assert batch.shape == (2, 1, 10, 12)
    np.testing.assert_allclose(batch[0].numpy(), pixels / 255, rtol=1e-6)


def test_what_was_done_to_images_is_said_once(field: ImageField, tmp_path: Path):
    turned = Pillow.Exif()
    turned[0x0112] = 6
    files = [tmp_path / "tall.png", write(tmp_path / "turned.jpg", 12, 10, exif=turned)]
    files.append(write(tmp_path / "clear.png", mode="RGBA"))
    assert all(one.shape == (1, 10, 12) for one in field.encode(files))
    resized, turned_too, laid_over_black = field.remarks()
    assert "30 x 20" in resized
    assert "EXIF" in turned_too
    assert "black" in laid_over_black
    assert field.remarks() == []


def test_a_broken_file_is_left_out_and_pixels_of_another_form_are_refused(field: ImageField, tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    fine, broken, gone = field.encode([tmp_path / "0.png", tmp_path / "broken.png", tmp_path / "gone.png"])
    assert fine.shape == (1, 10, 12)
    assert isinstance(broken, Fault)
    assert isinstance(gone, Fault)
    assert not broken.refused
    for wrong in (np.zeros((1, 10, 13), np.uint8), np.full((1, 10, 12), 2.0)):
        (fault,) = field.encode([wrong])
        assert isinstance(fault, Fault)
        assert fault.refused
        with pytest.raises(DataError, match=r"the image.*\[1, 10, 12\]"):
            field.prepare(wrong)
    with pytest.raises(DataError, match=r"broken\.png"):
        field.prepare(tmp_path / "broken.png")


def test_a_trace_has_the_picture_without_its_folders(field: ImageField, tmp_path: Path):
    value = field.prepare(tmp_path / "1.png")
    assert value.text == "1.png"
    assert isinstance(value.media(), Picture)
    assert value.unknown() == 0
    assert field.prepare(value.encoded, "the third").text == "the third"
    assert value.axis(6, (2, 3)) == Grid(2, 3)
    assert value.axis(1, ()) == Named(("mean",))
    assert value.axis(3, ()) == Named(("0", "1", "2"))


def test_a_run_keeps_the_form(field: ImageField, tmp_path: Path):
    field.save(tmp_path, "image")
    assert Image(rows=3, columns=3).open(tmp_path, "image").form == field.form
    for damaged in ("{", '{"rows": 8}', '{"colour": "grey", "rows": 0, "columns": 4, "fit": "pad"}'):
        (tmp_path / "image.json").write_text(damaged)
        with pytest.raises(DataError, match=r"image\.json"):
            Image().open(tmp_path, "image")


def test_rows_and_columns_go_together():
    with pytest.raises(ValueError, match="rows and columns"):
        Image(rows=16)
    with pytest.raises(ValueError, match="columns"):
        Image(rows=16, columns=-1)


def test_pixels_may_have_their_channels_last_and_be_floats():
    pixels = np.random.default_rng(0).integers(256, size=(3, 4, 6), dtype=np.uint8)
    field = Image().learn([pixels], quiet)
    for same in (pixels.transpose(1, 2, 0), pixels / 255, (pixels / 255).transpose(1, 2, 0).astype(np.float32)):
        np.testing.assert_array_equal(field.prepare(same).encoded, pixels)
    grey = Image().learn([pixels[:1]], quiet)
    np.testing.assert_array_equal(grey.prepare(pixels[0]).encoded, pixels[:1])
    for wrong in (pixels.transpose(0, 2, 1), pixels[:, :2], pixels.astype(np.int64), pixels * 2.0):
        with pytest.raises(ValueError, match="array"):
            field.prepare(wrong)


def test_frames_that_are_not_read_are_said(field: ImageField, tmp_path: Path):
    frames = [Pillow.new("L", (6, 4), shade) for shade in (0, 255)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    field.prepare(tmp_path / "a.gif")
    assert sum("1 image of several frames" in remark for remark in field.remarks()) == 1


@pytest.mark.parametrize("wrong", [None, 3, [1]])
def test_what_is_no_image_is_refused(field: ImageField, wrong: object):
    with pytest.raises(TypeError, match="image"):
        field.prepare(wrong)
