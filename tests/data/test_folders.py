"""Folders of files: what is read, what is said of it, and what is refused."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.examples import Column
from attend.data.files import DataError
from attend.data.folders import Folder, read_folder

IMAGE = Column("image", ("path",), files=True, suffixes=(".png", ".jpg", ".jpeg"))
LABEL = Column("target", ("label", "class"))
CAPTION = Column("target", ("caption",), several=True)


def put(folder: Path, *names: str) -> None:
    """Files, which nothing looks into."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def labels(folder: Folder, part="train") -> list[tuple[str, str | None]]:
    return [(row.name, row.values.get("target")) for row in folder.parts[part]]


def captions(folder: Folder, part="train") -> list[tuple[str, tuple[str, ...]]]:
    return [(row.name, row.values["target"]) for row in folder.parts[part]]


def test_folders_of_classes(tmp_path):
    put(tmp_path, "dog/1.png", "cat/b.PNG", "cat/a.png", "cat/more/c.png", "stray.png", "notes.txt", ".hidden")
    folder = read_folder(str(tmp_path), [IMAGE, LABEL])
    assert labels(folder) == [
        ("cat/a.png", "cat"),
        ("cat/b.PNG", "cat"),
        ("cat/more/c.png", "cat"),
        ("dog/1.png", "dog"),
    ]
    assert folder.parts["train"][0].values["image"] == tmp_path / "cat/a.png"
    assert {each.file: each.reason for each in folder.left_out} == {
        "notes.txt": "not a .png, .jpg or .jpeg file",
        "stray.png": "outside the class folders",
    }
    assert str(folder).startswith("4 of 6 files used; 1 left out, ")


def test_paths_are_absolute(tmp_path, monkeypatch):
    put(tmp_path, "cat/a.png", "dog/b.png")
    monkeypatch.chdir(tmp_path.parent)
    folder = read_folder(tmp_path.name, [IMAGE, LABEL])
    assert [row.values["image"] for row in folder.parts["train"]] == [tmp_path / "cat/a.png", tmp_path / "dog/b.png"]
    monkeypatch.chdir("/")
    monkeypatch.setenv("ATTEND_DATA", str(tmp_path.parent))
    assert read_folder(tmp_path.name, [IMAGE, LABEL]).parts == folder.parts


def test_folders_of_splits(tmp_path):
    put(tmp_path, "test/x/1.png", "val/y/1.png", "Train/x/1.png", "Train/y/2.png", "3.png")
    folder = read_folder(str(tmp_path), [IMAGE, LABEL])
    assert list(folder.parts) == ["train", "valid", "test"]
    assert labels(folder) == [("Train/x/1.png", "x"), ("Train/y/2.png", "y")]
    assert (labels(folder, "valid"), labels(folder, "test")) == ([("val/y/1.png", "y")], [("test/x/1.png", "x")])
    assert [(each.file, each.reason) for each in folder.left_out] == [("3.png", "outside the split folders")]


def test_files_alone_need_no_target(tmp_path):
    put(tmp_path, "train/1.png", "test/a/1.png")
    folder = read_folder(str(tmp_path), [IMAGE])
    assert [list(row.values) for rows in folder.parts.values() for row in rows] == [["image"]] * 2
    flat = tmp_path / "test"
    put(flat, "2.png")
    assert labels(read_folder(str(flat / "a"), [IMAGE, LABEL], optional={"target"})) == [("1.png", None)]
    for target in (LABEL, CAPTION):
        with pytest.raises(DataError, match=target.aliases[0]) as caught:
            read_folder(str(flat / "a"), [IMAGE, target])
        assert caught.value.file == str(flat / "a")
        assert "metadata.csv" in caught.value.advice


def test_an_empty_target_is_a_row_which_is_left_out_where_it_is_read(tmp_path):
    put(tmp_path, "a.png", "b.png")
    (tmp_path / "metadata.csv").write_text("file_name,label\na.png,1\nb.png, \n")
    assert labels(read_folder(str(tmp_path), [IMAGE, LABEL])) == [("a.png", "1"), ("b.png", "")]


def test_classes_are_no_captions(tmp_path):
    put(tmp_path, "cat/1.png", "dog/1.png")
    with pytest.raises(DataError, match="caption"):
        read_folder(str(tmp_path), [IMAGE, CAPTION])


def test_links_to_folders_are_followed(tmp_path):
    put(tmp_path, "photos/cat/1.png", "photos/dog/1.png", "mine/owl/1.png")
    for name in ("cat", "dog"):
        (tmp_path / "mine" / name).symlink_to(f"../photos/{name}")
    folder = read_folder(str(tmp_path / "mine"), [IMAGE, LABEL])
    assert labels(folder) == [("cat/1.png", "cat"), ("dog/1.png", "dog"), ("owl/1.png", "owl")]


def test_links_to_folders_that_never_end_are_left_out(tmp_path, monkeypatch):
    put(tmp_path, "mine/cat/1.png", "photos/dog/1.png")
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
        folder = read_folder(path, [IMAGE, LABEL])
        assert [name for name, _ in labels(folder)] == ["cat/1.png", "dog/1.png"]
        found = {each.file: each.reason for each in folder.left_out}
        back = {"cat/up", "cat/itself", "cat/top", "cat/above", "dog/back"}
        assert {file for file, reason in found.items() if reason == "a cyclic link"} == back
        assert set(found) - back == {"gone", "round"}


def test_classes_without_a_file_are_named(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/cow/1.txt", "valid/cat/1.png")
    (tmp_path / "valid" / "pig").mkdir()
    (remark,) = read_folder(str(tmp_path), [IMAGE, LABEL]).remarks
    assert remark.endswith("classes: cow, pig")


def test_metadata_with_labels_and_splits(tmp_path):
    put(tmp_path, "a.png", "b,1.png", "sub/c.png", "d.png", "e.txt")
    (tmp_path / "metadata.csv").write_text(
        '\ufefffile_name,label,split\nsub/c.png,red,test\n"b,1.png", blue,Training\n\na.png,red,train\n'
    )
    folder = read_folder(str(tmp_path), [IMAGE, LABEL])
    assert labels(folder) == [("b,1.png", "blue"), ("a.png", "red")]
    assert labels(folder, "test") == [("sub/c.png", "red")]
    assert [row.line for row in folder.parts["train"]] == [3, 5]
    assert [list(row.values) for row in folder.parts["train"]] == [["image", "target"]] * 2, "split is no value"
    assert {each.file: each.reason for each in folder.left_out} == {
        "d.png": "not in metadata.csv",
        "e.txt": "not a .png, .jpg or .jpeg file",
    }


def test_an_image_can_have_several_captions(tmp_path):
    put(tmp_path, "a.png", "b.png")
    lines = [("a.png", 'a "red"\nline'), ("b.png", "two"), ("a.png", "three"), ("b.png", "two")]
    records = [json.dumps({"file_name": name, "caption": caption, "label": None}) for name, caption in lines]
    (tmp_path / "metadata.jsonl").write_text("\n".join(records))
    folder = read_folder(str(tmp_path), [IMAGE, CAPTION])
    assert captions(folder) == [("a.png", ('a "red"\nline', "three")), ("b.png", ("two",))]
    assert any("line 4" in remark for remark in folder.remarks)


def test_columns_that_are_not_used_are_told_of(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text(",file_name,caption,caption_id,author\n0,a.png,x,7,\n")
    folder = read_folder(str(tmp_path), [IMAGE, CAPTION])
    assert captions(folder) == [("a.png", ("x",))]
    (remark,) = folder.remarks
    assert all(repr(name) in remark for name in ("", "caption_id", "author"))


def test_other_fields_are_columns_too_and_need_metadata(tmp_path):
    put(tmp_path, "a.png", "b.png")
    columns = [Column("question"), IMAGE, Column("target", ("answer",))]
    with pytest.raises(DataError, match="question, image"):
        read_folder(str(tmp_path), columns)
    (tmp_path / "metadata.csv").write_text("file_name,question,answer\na.png,why,x\na.png,how,y\nb.png,why,y\n")
    found = [tuple(row.values.values()) for row in read_folder(str(tmp_path), columns).parts["train"]]
    assert found == [
        ("why", tmp_path / "a.png", "x"),
        ("how", tmp_path / "a.png", "y"),
        ("why", tmp_path / "b.png", "y"),
    ]


def test_metadata_may_name_columns_otherwise(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text("picture,kind\na.png,x\n")
    folder = read_folder(str(tmp_path), [IMAGE, LABEL], {"image": "picture", "target": "kind"})
    assert labels(folder) == [("a.png", "x")]


def test_labels_can_be_whole_numbers(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.png", "label": 7}\n')
    assert labels(read_folder(str(tmp_path), [IMAGE, LABEL])) == [("a.png", "7")]


@pytest.mark.parametrize(
    ("lines", "line", "names"),
    [
        ("file_name,lable\na.png,1", 1, ["'lable'", "target"]),
        ("filename,label\na.png,1", 1, ["'filename'", "'file_name'"]),
        ("label\n1", 1, ["'file_name'"]),
        ("", 1, ["'file_name'"]),
        ("file_name,label,label\na.png,1,2", 1, ["'label'", "duplicated"]),
        ("file_name,label\na.png", 2, ["1 column instead of 2"]),
        ("file_name,label\na.png,1\nb.png,a,b", 3, ["3 columns instead of 2"]),
        ('file_name,label\n"a.png"x,1', 2, ["not CSV"]),
        ('file_name,label\n"a.png,1', 2, ["not CSV"]),
        ("file_name,label\n,1", 2, ["image"]),
        ("file_name,label\na.png,1\na.png,2", 3, ["'a.png'", "target", "line 2"]),
        ("file_name,label\na.png,1\na.png,1", 3, ["'a.png'", "line 2"]),
        ("file_name,label\na.png,1\n./a.png,2", 3, ["'a.png'", "line 2"]),
        ("file_name,label\nx/../a.png,1\na.png,1", 3, ["'a.png'", "line 2"]),
        ("file_name,label,split\na.png,1,train\na.png,1,test", 3, ["'a.png'", "split", "line 2"]),
        ("file_name,label,split\na.png,1,tain", 2, ["'tain'", "'train'"]),
        ("file_name,label,split\na.png,1,", 2, ["split"]),
        ("file_name,label,splitt\na.png,1,test", 1, ["'splitt'", "'split'"]),
        ("file_name,label\n../secret.png,1", 2, ["'../secret.png'", "leaves"]),
        ("file_name,label\n/etc/passwd,1", 2, ["'/etc/passwd'", "leaves"]),
        ("file_name,label\nlink/secret.png,1", 2, ["'link/secret.png'", "leaves"]),
        ("file_name,label\nb.png,1", 2, ["'b.png'", "'a.png'"]),
        ('file_name,label\na.png,"x"y', 2, ["not CSV"]),
    ],
)
def test_metadata_that_can_not_be_used(tmp_path, lines, line, names):
    folder = tmp_path / "folder"
    put(tmp_path, "outside/secret.png", "folder/a.png")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "metadata.csv").write_text(lines)
    with pytest.raises(DataError) as caught:
        read_folder(str(folder), [IMAGE, LABEL])
    assert (caught.value.file, caught.value.line) == (str(folder / "metadata.csv"), line)
    assert all(name in str(caught.value) for name in names), str(caught.value)


def test_an_image_in_two_splits_is_refused_whatever_its_captions(tmp_path):
    put(tmp_path, "a.png")
    (tmp_path / "metadata.csv").write_text("file_name,caption,split\na.png,x,train\na.png,y,test\n")
    with pytest.raises(DataError, match=r"metadata\.csv, line 3: 'a\.png' has another split than in line 2"):
        read_folder(str(tmp_path), [IMAGE, CAPTION])


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60), kind=st.sampled_from(["csv", "jsonl"]))
def test_any_metadata_is_read_or_refused(tmp_path_factory, text, kind):
    folder = tmp_path_factory.mktemp("folder")
    put(folder, "a.png")
    head = "file_name,label\n" if kind == "csv" else ""
    (folder / f"metadata.{kind}").write_text(head + text, encoding="utf-8")
    with pytest.raises(DataError):
        read_folder(str(folder), [IMAGE, LABEL])


def test_both_kinds_of_metadata_are_refused(tmp_path):
    put(tmp_path, "a.png", "metadata.csv", "metadata.jsonl")
    with pytest.raises(DataError, match=r"metadata\.csv and metadata\.jsonl") as caught:
        read_folder(str(tmp_path), [IMAGE, LABEL])
    assert caught.value.file == str(tmp_path)


def test_folders_without_files_and_columns_without_folders(tmp_path):
    with pytest.raises(DataError, match="no file to use"):
        read_folder(str(tmp_path), [IMAGE, LABEL])
    put(tmp_path, "a.png")
    for path, columns in ((tmp_path / "a.png", [IMAGE]), (tmp_path / "b", [IMAGE]), (tmp_path, [Column("source")])):
        with pytest.raises(DataError) as caught:
            read_folder(str(path), columns)
        assert caught.value.file == str(path)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path):
    put(tmp_path, "cat/a.png")
    (tmp_path / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match="cat"):
            read_folder(str(tmp_path), [IMAGE, LABEL])
    finally:
        (tmp_path / "cat").chmod(0o700)
