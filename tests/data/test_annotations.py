"""Captions as COCO and Flickr8k publish them, with their pictures where those are."""

import json
from pathlib import Path
from typing import Any

import pytest

from attend.data.check import check
from attend.data.examples import Column, Row
from attend.data.files import DataError
from attend.data.tables import read, scan

IMAGE = Column("image", ("file_name",), files=True, suffixes=(".png", ".jpg"))
CAPTIONED = (IMAGE, Column("target", ("caption",), several=True))
CAPTIONS = [("a.jpg", "one"), ("b.jpg", "two"), ("a.jpg", "three")]


def coco(folder: Path, annotations: Any = None) -> str:
    """COCO's layout: annotations and pictures in folders beside one another."""
    for name in ("a.jpg", "b.jpg"):
        (folder / "train2014").mkdir(parents=True, exist_ok=True)
        (folder / "train2014" / name).touch()
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}, {"id": 11, "file_name": "c.jpg"}]
    ids = {one["file_name"]: one["id"] for one in images}
    if annotations is None:
        annotations = [{"image_id": ids[name], "caption": text, "id": 1} for name, text in CAPTIONS]
    (folder / "annotations").mkdir(exist_ok=True)
    path = folder / "annotations" / "captions.json"
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations}))
    return str(path)


def found(rows: list[Any]) -> list[Any]:
    return [(row.values["image"].name, row.values["target"]) for row in rows if isinstance(row, Row)]


def test_coco(tmp_path: Path) -> None:
    rows = list(read((coco(tmp_path),), CAPTIONED))
    assert found(rows) == [("a.jpg", ("one", "three")), ("b.jpg", ("two",))]
    assert [row.name for row in rows] == ["train2014/a.jpg", "train2014/b.jpg"]


def test_annotations_that_are_wrong_are_counted_and_others_read(tmp_path: Path) -> None:
    annotations = [{"image_id": 7, "caption": "one"}, {"image_id": 8, "caption": "?"}, {"image_id": 9}, 3, None]
    rows = list(scan((coco(tmp_path, annotations),), CAPTIONED))
    assert [row.line for row in rows if isinstance(row, DataError)] == [2, 3, 4, 5]
    assert found(rows) == [("a.jpg", ("one",))]


@pytest.mark.parametrize("text", ["[]", "{", '{"images": 3, "annotations": []}', "[" * 9000, "\ud800"])
def test_what_is_no_such_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, errors="surrogatepass")
    with pytest.raises(DataError, match=r"a\.json"):
        list(read((str(path),), CAPTIONED))


def test_it_is_for_pictures_and_captions_alone(tmp_path: Path) -> None:
    path = coco(tmp_path)
    for columns in ((Column("source"), Column("target")), (IMAGE, Column("question"), Column("target"))):
        with pytest.raises(DataError, match="pictures and captions"):
            list(read((path,), columns))


@pytest.mark.parametrize("folder", ["Flickr8k_text", "."])
def test_flickr8k(tmp_path: Path, folder: str) -> None:
    """With a picture that the published file misspells."""
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / "Flicker8k_Dataset").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "Flicker8k_Dataset" / name).touch()
    path = tmp_path / folder / "Flickr8k.token.txt"
    path.write_text("a.jpg#0\tone\na.jpg#1\tthree\nb.jpg.1#0\twhat\nb.jpg#0\ttwo\n")
    said: list[str] = []
    assert found(list(read((str(path),), CAPTIONED, log=said.append))) == [
        ("a.jpg", ("one", "three")),
        ("b.jpg", ("two",)),
    ]
    (remark,) = said
    assert "1 example left out" in remark
    assert "line 3" in remark
    report = check({"train": scan((str(path),), CAPTIONED)}, CAPTIONED, {"image": "file"})
    assert not report.fatal
    assert report.counts == {"missing file": 1}


def test_a_file_whose_pictures_are_all_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a.jpg\tone\nb.jpg\ttwo\n")
    with pytest.raises(DataError, match="not there"):
        list(read((str(tmp_path / "t.tsv"),), CAPTIONED))


def test_pictures_outside_are_not_looked_for(tmp_path: Path) -> None:
    coco(tmp_path / "set")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c.jpg").touch()
    (tmp_path / "set" / "link").symlink_to("../other")
    (tmp_path / "set" / "train2014" / "c.jpg").symlink_to("../../other/c.jpg")
    rows = list(scan((coco(tmp_path / "set", [{"image_id": 11, "caption": "x"}]),), CAPTIONED))
    assert [row.kind for row in rows if isinstance(row, DataError)] == ["missing file"]
