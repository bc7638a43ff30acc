import gzip
import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from attend.data.examples import Column, Fixed
from attend.data.files import DataError
from attend.data.image import Form
from attend.data.nlvr import FORM, Nlvr, divide, item_of, read_nlvr

ITEMS = [
    {"identifier": "10-0", "sentence": "There is  a box. ", "label": "true"},
    {"identifier": "10-1", "sentence": "There is a box.", "label": "false"},
    {"identifier": "7-3", "sentence": "Two are blue.", "label": "true"},
]
PICTURES = {
    "dev/dev-10-0-0.png": 0,
    "dev/dev-10-0-1.png": 1,
    "../dev-10-1-0.png": 2,
    "/dev-7-3-0.png": 3,
    "../../dev-7-3-1.png": 4,
    "readme.txt": 5,
}


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 4), value).save(file, "PNG")
    return file.getvalue()


def put(folder, items=ITEMS, pictures=None) -> None:
    (folder / "nlvr").mkdir(exist_ok=True)
    lines = [item if isinstance(item, str) else json.dumps(item) for item in items]
    (folder / "nlvr/dev.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    pictures = {name: png(value) for name, value in PICTURES.items()} if pictures is None else pictures
    with tarfile.open(folder / "nlvr/dev_images.tar", "w") as tar:
        for name, data in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTEND_DATA", str(tmp_path))
    put(tmp_path)
    return tmp_path


def test_pictures_go_with_the_sentences_that_are_true_of_them(folder):
    before = sorted(path.name for path in folder.rglob("*"))
    images = read_nlvr("dev", Form("colour", 4, 8))
    assert images.names == ("dev-10-0-0.png", "dev-10-0-1.png", "dev-7-3-0.png", "dev-7-3-1.png")
    assert images.captions == (("There is a box.",),) * 2 + (("Two are blue.",),) * 2
    assert images.pixels[:, 0, 0, 0].tolist() == [0, 1, 3, 4]
    # Whatever the archive's paths, nothing is written.
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_what_was_presented_together_stays_together(folder):
    train, valid = divide(read_nlvr("dev", Form("colour", 4, 8)))
    assert train.names == ("dev-7-3-0.png", "dev-7-3-1.png")
    assert valid.names == ("dev-10-0-0.png", "dev-10-0-1.png")


def test_names():
    assert item_of("dev-1021-0-1.png") == "1021-0"
    assert item_of("dev-1021-0.png") == item_of("dev-1021-0-1.png.txt") == ""


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1: not a line of NLVR"),
        ("[1]", "line 1: not a line of NLVR"),
        ('{"identifier": "1-1", "sentence": "x"}', "line 1: not a line of NLVR .KeyError.'label'"),
        ('{"identifier": 1, "sentence": "x", "label": "true"}', "line 1: identifier and sentence must be texts"),
        ('{"identifier": "1-1", "sentence": "x", "label": true}', "label true or false"),
        ('{"identifier": "1-1", "sentence": "x", "label": "true"}', "has no picture of item 1-1"),
    ],
)
def test_sentences_that_can_not_be_used(folder, line, problem):
    put(folder, [line, *ITEMS])
    with pytest.raises(DataError, match=problem):
        read_nlvr("dev")


def test_archives_that_can_not_be_used(folder):
    pictures = {name: png(1) for name in PICTURES} | {"dev-7-3-0.png": b"hello"}
    put(folder, pictures=pictures)
    with pytest.raises(DataError, match=r"dev_images\.tar: dev-7-3-0\.png: not a PNG, JPEG, WebP or GIF image"):
        read_nlvr("dev")
    put(folder, pictures=pictures | {"dev-7-3-0.png": bytes(5 << 20)})
    with pytest.raises(DataError, match=r"dev-7-3-0\.png is not a picture"):
        read_nlvr("dev")
    path = folder / "nlvr/dev_images.tar"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(DataError, match="cannot be read"):
        read_nlvr("dev")
    path.unlink()
    with pytest.raises(DataError, match="there is no file"):
        read_nlvr("dev")


@pytest.mark.parametrize("several", [False, True])
def test_rows_are_pictures_with_their_sentences(folder, several):
    for suffix in (".jsonl.gz", "_images.tar"):
        (folder / f"nlvr/hidden{suffix}").write_bytes((folder / f"nlvr/dev{suffix}").read_bytes())
    source = Nlvr().open((Column("image", files=True), Column("target", several=several)), 1, print)
    assert isinstance(source, Fixed)
    assert source.splits == ("train", "valid", "test")
    train, valid = divide(read_nlvr("dev", FORM))
    for part, images in (("train", train), ("valid", valid), ("test", read_nlvr("hidden", FORM))):
        rows = list(source.rows(part))
        np.testing.assert_array_equal(np.stack([row.values["image"] for row in rows]), images.pixels)
        assert [row.name for row in rows] == list(images.names)
        assert [row.values["target"] for row in rows] == [each if several else each[0] for each in images.captions]
    assert all((folder / path).exists() for path in Nlvr().reads())
    with pytest.raises(ValueError, match="'source'"):
        Nlvr().open((Column("source"), Column("target")), 1, print)


@pytest.mark.data
def test_the_real_pictures(data_folder):
    for part, count in (("dev", 2 * 547), ("hidden", 2 * 546)):
        images = read_nlvr(part)
        assert images.pixels.shape == (count, 3, 50, 200)
        assert images.pixels.std() > 10
    train, valid = divide(images)
    assert len(train) + len(valid) == count
    assert 0.05 < len(valid) / count < 0.15
    assert not {item_of(name).split("-")[0] for name in train.names} & {
        item_of(name).split("-")[0] for name in valid.names
    }
    whole = read_nlvr("hidden", Form("grey"))
    assert whole.pixels.shape == (count, 1, 100, 400)
    assert np.shares_memory(whole.pixels, whole.part(0, 1).pixels)
