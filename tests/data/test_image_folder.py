"""Folders of images: what is read, what is said of it, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attend.data.files import DataError
from attend.data.image import Form
from attend.data.image_folder import read_folder


def put(folder: Path, name: str, value: int = 9, size: tuple[int, int] = (4, 4)) -> None:
    """A grey image of (columns, rows), all of one brightness."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(folder / name)


def brightness(images) -> list[int]:
    return images.pixels[:, 0, 0, 0].tolist()


def test_folders_of_classes(tmp_path):
    for number, name in enumerate(["dog/1.png", "cat/b.PNG", "cat/a.png", "cat/more/c.png"]):
        put(tmp_path, name, number)
    put(tmp_path, "stray.png")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden").write_text("hello")
    folder = read_folder(str(tmp_path))
    images = folder.parts["all"]
    assert images.classes == ("cat", "dog")
    assert images.names == ("cat/a.png", "cat/b.PNG", "cat/more/c.png", "dog/1.png")
    assert images.labels.tolist() == [0, 0, 0, 1]
    assert brightness(images) == [2, 1, 3, 0]
    assert str(folder.report) == (
        "4 of 6 files read; 1 left out, not a .png, .jpg or .jpeg file: notes.txt; "
        "1 left out, beside the folders of the classes: stray.png"
    )


def test_classes_that_are_numbers_are_in_their_order(tmp_path):
    for name in ("10", "9", "2"):
        put(tmp_path, f"{name}/a.png")
    assert read_folder(str(tmp_path)).parts["all"].classes == ("2", "9", "10")


def test_folders_of_splits(tmp_path):
    for number, name in enumerate(["test/x/1.png", "val/y/1.png", "train/x/1.png", "train/y/2.png"]):
        put(tmp_path, name, number)
    parts = read_folder(str(tmp_path)).parts
    assert list(parts) == ["train", "valid", "test"]
    assert [brightness(images) for images in parts.values()] == [[2, 3], [1], [0]]
    assert [images.labels.tolist() for images in parts.values()] == [[0, 1], [1], [0]]
    # One array, held once.
    assert parts["train"].pixels.base is parts["test"].pixels.base


def test_folders_of_splits_need_no_classes(tmp_path):
    put(tmp_path, "train/1.png")
    put(tmp_path, "test/1.png")
    parts = read_folder(str(tmp_path)).parts
    assert {name: images.labels for name, images in parts.items()} == {"train": None, "test": None}


def test_links_in_circles_are_left_out(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "metadata.csv").write_text("file_name\na.png\nb.png\n" + "x" * 5000 + ".png")
    report = read_folder(str(tmp_path)).report
    assert [(image.file[:5], image.line) for image in report.left_out] == [("b.png", 3), ("xxxxx", 4)]


def test_links_to_folders_are_followed(tmp_path):
    for number, name in enumerate(["photos/cat/1.png", "photos/dog/1.png", "mine/owl/1.png"]):
        put(tmp_path, name, number)
    for name in ("cat", "dog"):
        (tmp_path / "mine" / name).symlink_to(f"../photos/{name}")
    images = read_folder(str(tmp_path / "mine")).parts["all"]
    assert (images.classes, brightness(images)) == (("cat", "dog", "owl"), [0, 1, 2])


def test_links_to_folders_that_never_end_are_left_out(tmp_path, monkeypatch):
    put(tmp_path, "mine/cat/1.png")
    put(tmp_path, "photos/dog/1.png")
    (tmp_path / "mine" / "dog").symlink_to("../photos/dog")
    links = {
        "cat/up": "..",
        "cat/itself": ".",
        "cat/top": "/",
        "cat/above": "../..",
        "gone": "nowhere",
        "round": "round",
    }
    for name, target in links.items():
        (tmp_path / "mine" / name).symlink_to(target)
    (tmp_path / "photos" / "dog" / "back").symlink_to("../../mine")
    for path in (str(tmp_path / "mine"), "."):
        monkeypatch.chdir(tmp_path / "mine")
        folder = read_folder(path)
        assert folder.parts["all"].names == ("cat/1.png", "dog/1.png")
        found = {image.file: image.reason for image in folder.report.left_out}
        never = dict.fromkeys(
            ("cat/up", "cat/itself", "cat/top", "cat/above", "dog/back"), "a link to a folder that it is in"
        )
        assert found == never | {"gone": "no such file", "round": "no such file"}


def test_classes_without_an_image_are_named(tmp_path):
    for number, name in enumerate(["train/cat/1.png", "train/cow/1.png", "valid/cat/1.png"]):
        put(tmp_path, name, number)
    (tmp_path / "train" / "cow" / "1.png").write_bytes(b"")
    assert read_folder(str(tmp_path)).notes == ("no images are left of the class: cow",)
    (tmp_path / "valid" / "pig").mkdir()
    assert read_folder(str(tmp_path)).notes == ("no images are left of the classes: cow, pig",)
    (tmp_path / "metadata.csv").write_text("file_name,label\ntrain/cat/1.png,cat\ntrain/cow/1.png,cow\n")
    assert read_folder(str(tmp_path)).notes == ("no images are left of the class: cow",)


def test_a_flat_folder(tmp_path):
    put(tmp_path, "1.png")
    images = read_folder(str(tmp_path)).parts["all"]
    assert (images.labels, images.captions, images.classes) == (None, None, ())


def test_metadata_with_labels_and_splits(tmp_path):
    for number, name in enumerate(["a.png", "b,1.png", "sub/c.png", "d.png"]):
        put(tmp_path, name, number)
    (tmp_path / "metadata.csv").write_text(
        '\ufefffile_name,label,split\nsub/c.png,red,test\n"b,1.png",blue,train\n\na.png,red,train\n', encoding="utf-8"
    )
    folder = read_folder(str(tmp_path))
    train, test = folder.parts["train"], folder.parts["test"]
    assert (train.classes, train.labels.tolist(), train.names) == (("blue", "red"), [0, 1], ("b,1.png", "a.png"))
    assert (test.labels.tolist(), brightness(test)) == ([1], [2])
    assert str(folder.report) == "3 of 4 files read; 1 left out, not in metadata.csv: d.png"


def test_an_image_can_have_several_captions(tmp_path):
    put(tmp_path, "a.png")
    put(tmp_path, "b.png")
    lines = [("a.png", 'a "red"\nline'), ("b.png", "two"), ("a.png", "three")]
    records = [json.dumps({"file_name": name, "caption": caption, "label": None}) for name, caption in lines]
    (tmp_path / "metadata.jsonl").write_text("\n".join(records))
    images = read_folder(str(tmp_path)).parts["all"]
    assert images.names == ("a.png", "b.png")
    assert images.captions == (('a "red"\nline', "three"), ("two",))
    (tmp_path / "metadata.jsonl").unlink()
    (tmp_path / "metadata.csv").write_text('caption,file_name\n"a ""red""\nline",a.png\ntwo,b.png\nthree,a.png\n')
    assert read_folder(str(tmp_path)).parts["all"].captions == images.captions


def test_a_caption_that_is_repeated_is_kept_once(tmp_path):
    put(tmp_path, "a.png")
    put(tmp_path, "b.png")
    lines = ["file_name,caption", "a.png,one", "b.png,one", "./a.png,one", "a.png,two"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    folder = read_folder(str(tmp_path))
    assert folder.parts["all"].captions == (("one", "two"), ("one",))
    assert folder.notes == ("1 repeated caption of metadata.csv left out (line 4)",)
    (tmp_path / "metadata.csv").write_text("\n".join([*lines, *lines[1:]]))
    assert read_folder(str(tmp_path)).notes == ("5 repeated captions of metadata.csv left out (lines 4, 6, 7, ...)",)


def test_other_spellings_of_a_file_name_are_that_file(tmp_path):
    for name in ("a.png", "sub/b.png", "other/sub/c.png", "other/a.png"):
        put(tmp_path, name)
    (tmp_path / "link").symlink_to("other/sub")
    names = ["./a.png", "sub//../sub/b.png", "link/../a.png"]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name", *names]))
    # What ".." leads to from a link is not what stands beside the link.
    assert read_folder(str(tmp_path)).parts["all"].names == ("a.png", "sub/b.png", "link/../a.png")


def test_columns_that_are_not_known_are_not_used(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text(",file_name,caption,caption_id,author\n0,a.png,x,7,\n")
    folder = read_folder(str(tmp_path))
    assert folder.parts["all"].captions == (("x",),)
    assert folder.notes == tuple(
        f"column {name!r} of metadata.csv is not used" for name in ("", "caption_id", "author")
    )
    (tmp_path / "metadata.csv").unlink()
    records = [{"file_name": "a.png", "caption": "x", "box": [1]}, {"file_name": "a.png", "caption": "y"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, records)))
    folder = read_folder(str(tmp_path))
    assert folder.parts["all"].captions == (("x", "y"),)
    assert folder.notes == ("column 'box' of metadata.jsonl is not used",)


def test_labels_can_be_whole_numbers(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "label": 7}\n')
    assert read_folder(str(tmp_path)).parts["all"].classes == ("7",)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("file_name,lable\na.png,1", r"metadata\.csv, line 1: the column 'lable' is not known; did you mean 'label'\?"),
        ("filename,label\na.png,1", "line 1: the column 'filename' is not known; did you mean 'file_name'"),
        ("file_name,captions\na.png,1", "line 1: the column 'captions' is not known; did you mean 'caption'"),
        ("file_name,Label\na.png,1", "line 1: the column 'Label' is not known; did you mean 'label'"),
        ("label\n1", "line 1: no file_name"),
        ("", "line 1: no file_name"),
        ("file_name,label,label\na.png,1,2", "line 1: a column stands in the head line twice"),
        ("file_name,label\na.png", "line 2: 1 field instead of 2"),
        ("file_name,label\na.png,1\nb.png,a,b", "line 3: 3 fields instead of 2"),
        ('file_name,label\n"a.png"x,1', "line 2: not CSV"),
        ('file_name,label\n"a.png,1', "line 2: not CSV"),
        ("file_name,label\n,1", "line 2: no file_name"),
        ("file_name,label\na.png, ", "line 2: an empty label"),
        ("file_name,label\na.png,1\na.png,2", "line 3: 'a.png' has another label or split than in line 2"),
        ("file_name,label\na.png,1\na.png,1", "line 3: 'a.png' stands in line 2 already"),
        ("file_name,label\na.png,1\n./a.png,2", "line 3: 'a.png' has another label or split than in line 2"),
        ("file_name,label\nx/../a.png,1\na.png,1", "line 3: 'a.png' stands in line 2 already"),
        ("file_name,split\na.png,tain", "line 2: split 'tain' is not known; did you mean 'train'"),
        ("file_name,split\na.png,", "line 2: the split is empty; write train, valid or test, or leave the column"),
        ("file_name\n../secret.png", r"line 2: file_name '\.\./secret\.png' leaves the folder"),
        ("file_name\nsub/../../secret.png", "leaves the folder"),
        ("file_name\n/etc/passwd", "leaves the folder"),
        ("file_name\nlink/secret.png", "leaves the folder"),
        ("file_name\nlink/../a.png", "leaves the folder"),
        ("file_name\na\0.png", "holds a null character|line contains NUL"),
        ("file_name,caption\na.png," + "x" * 200_000, "line 2: not CSV .field larger"),
    ],
)
def test_csv_metadata_that_can_not_be_used(tmp_path, lines, problem):
    outside = tmp_path / "outside"
    put(outside, "secret.png")
    folder = tmp_path / "folder"
    put(folder, "a.png")
    (folder / "link").symlink_to(outside)
    (folder / "metadata.csv").write_text(lines)
    with pytest.raises(DataError, match=problem):
        read_folder(str(folder))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", r"metadata\.jsonl, line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ('{"file_name": "b.png", "caption": 1}', "line 2: the value of 'caption' is not a text"),
        ('{"file_name": "b.png", "caption": "x", "label": true}', "line 2: the value of 'label' is not a text"),
        ('{"file_name": "b.png"}', "line 2: has file_name, but the first line has caption, file_name"),
        ('{"file_name": "b.png", "captoin": "x"}', "line 2: the column 'captoin' is not known; did you mean 'caption'"),
        ('{"file_name": "b.png", "text": "x"}', "line 2: has file_name, but the first line has caption, file_name"),
        ('{"caption": "x"}', "line 2: no file_name"),
        ('{"file_name": "../b.png", "caption": "x"}', "leaves the folder"),
        ('{"file_name": "b\\u0000.png", "caption": "x"}', "null character"),
        ('{"file_name": "b\\ud800.png", "caption": "x"}', "line 2: the value of 'file_name' has a lone surrogate"),
    ],
)
def test_json_metadata_that_can_not_be_used(tmp_path, line, problem):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "caption": "x"}\n' + line + "\n")
    with pytest.raises(DataError, match=problem):
        read_folder(str(tmp_path))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60), kind=st.sampled_from(["csv", "jsonl"]))
def test_any_metadata_is_read_or_refused(tmp_path_factory, text, kind):
    folder = tmp_path_factory.mktemp("folder")
    put(folder, "a.png")
    head = "file_name,label\n" if kind == "csv" else ""
    (folder / f"metadata.{kind}").write_text(head + text, encoding="utf-8")
    with pytest.raises(DataError):
        read_folder(str(folder))


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_than_commas_are_told_of(tmp_path, mark, name):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text(f"file_name{mark}label\na.png{mark}x\n")
    with pytest.raises(DataError, match=rf"line 1: its columns are separated by {name}; separate them with commas"):
        read_folder(str(tmp_path))


def test_spaces_around_the_fields_of_metadata_mean_nothing(tmp_path):
    for name in ("a.png", "b.png"):
        put(tmp_path, name)
    (tmp_path / "metadata.csv").write_text("file_name, label\na.png, x y\nb.png ,x y \n")
    assert read_folder(str(tmp_path)).parts["all"].classes == ("x y",)


def test_both_kinds_of_metadata_are_refused(tmp_path):
    put(tmp_path, "a.png")
    for kind in ("csv", "jsonl"):
        (tmp_path / f"metadata.{kind}").touch()
    with pytest.raises(DataError, match=r"has both metadata\.csv and metadata\.jsonl"):
        read_folder(str(tmp_path))


def test_images_that_can_not_be_used_are_left_out_with_their_line(tmp_path):
    put(tmp_path, "good.png")
    noise = np.random.default_rng(1).integers(256, size=(4, 4), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "broken.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "broken.png").read_bytes()[:48])
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "moving.gif").write_text("GIF89a")
    names = ["missing.png", "broken.png", "good.png", "text.jpg", "moving.gif", "folder"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name", *names]))
    folder = read_folder(str(tmp_path))
    assert folder.parts["all"].names == ("good.png",)
    found = {(image.file, image.line): image.reason for image in folder.report.left_out}
    assert found[("missing.png", 2)] == "no such file"
    assert found[("broken.png", 3)].startswith("unreadable (")
    assert found[("text.jpg", 5)] == found[("moving.gif", 6)] == "not a PNG or JPEG image"
    assert ("folder", 7) in found
    assert len(found) == len(folder.report.left_out) == 5
    assert "left out, no such file: missing.png (line 2)" in str(folder.report)


def test_the_commonest_size_is_taken_where_none_is_given(tmp_path):
    put(tmp_path, "0.png", size=(9, 9))
    put(tmp_path, "1.png", size=(5, 4))
    put(tmp_path, "2.png", size=(5, 4))
    folder = read_folder(str(tmp_path))
    assert folder.parts["all"].pixels.shape == (3, 1, 4, 5)
    assert "1 resized to 4 x 5, fitted in and padded with black (from 9 x 9)" in str(folder.report)
    folder = read_folder(str(tmp_path), Form(fit="exact"))
    assert folder.parts["all"].pixels.shape == (2, 1, 4, 5)
    assert "1 left out, not of 4 x 5 pixels: 0.png" in str(folder.report)


@pytest.mark.parametrize(("fit", "how"), [("pad", "fitted in and padded with black"), ("crop", "filled and cropped")])
def test_what_was_resized_is_said(tmp_path, fit, how):
    put(tmp_path, "0.png", size=(6, 6))
    put(tmp_path, "1.png", size=(8, 4))
    put(tmp_path, "2.png", size=(8, 4))
    folder = read_folder(str(tmp_path), Form(rows=6, columns=6, fit=fit))
    assert len(folder.parts["all"]) == 3
    assert str(folder.report) == f"3 of 3 files read; 2 resized to 6 x 6, {how} (from 4 x 8)"


def test_turned_and_transparent_images_are_counted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 4)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGBA", (4, 4)).save(tmp_path / "clear.png")
    report = str(read_folder(str(tmp_path), Form("colour")).report)
    assert "1 turned as their EXIF orientation says; 1 with transparent parts laid over black" in report


def test_images_too_large_together_are_refused(tmp_path):
    put(tmp_path, "a.png")
    with pytest.raises(DataError, match="1 image of 100000 x 100000 would take 9 GiB; give fewer rows"):
        read_folder(str(tmp_path), Form(rows=100_000, columns=100_000))


def test_folders_without_images(tmp_path):
    with pytest.raises(DataError, match=r"no image is left to use \(0 of 0 files read"):
        read_folder(str(tmp_path))
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match=r"is not a folder"):
        read_folder(str(tmp_path / "a.png"))
    with pytest.raises(DataError, match=r"there is no file"):
        read_folder(str(tmp_path / "b"))


def test_a_folder_is_looked_for_in_the_data_folder(tmp_path, monkeypatch):
    put(tmp_path, "mine/a.png")
    monkeypatch.setenv("ATTEND_DATA", str(tmp_path))
    images = read_folder("mine").parts["all"]
    np.testing.assert_array_equal(images.pixels, np.full((1, 1, 4, 4), 9))
