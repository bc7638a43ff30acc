"""A person's own data: its parts, what is set aside to validate, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from attend.data.examples import Column, Fixed, Row
from attend.data.files import DataError
from attend.data.own import Files, read_given, set_aside

PAIR = (Column("source"), Column("target"))
IMAGE = Column("image", ("file_name",), files=True, suffixes=(".png",))
LABELLED = (IMAGE, Column("target", ("label",)))


def put(folder: Path, name: str, lines) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def silent(remark: str) -> None:
    pass


def targets(source: Fixed, split="train") -> list[str]:
    return [row.values["target"] for row in source.rows(split)]


def test_what_is_read_and_for_which_part():
    files = Files("mine", train=("a", "b"), valid=("c", "d"), test=("e", "f"))
    assert files.reads() == ("a", "b", "c", "d")
    assert (files.files("train"), files.files("test")) == (("a", "b"), ("e", "f"))
    folder = Files(folder="pictures")
    assert (folder.reads(), folder.files("valid")) == (("pictures",), ("pictures (valid)",))


def test_parts_are_read_anew_each_time(tmp_path):
    files = Files(
        train=(put(tmp_path, "t.tsv", ["a\tb"]),),
        valid=(put(tmp_path, "v.jsonl", [json.dumps({"source": "c", "target": "d"})]),),
        test=(put(tmp_path, "e.txt", ["e"]), put(tmp_path, "f.txt", ["f"])),
    )
    source = files.open(PAIR, 1, silent)
    assert isinstance(source, Fixed)
    assert source.splits == ("train", "valid", "test")
    for _ in range(2):
        assert [targets(source, split) for split in source.splits] == [["b"], ["d"], ["f"]]


def test_remarks_on_a_table_are_made_once(tmp_path):
    said: list[str] = []
    path = put(tmp_path, "t.tsv", ["source\ttarget\tid", *(f"s{n}\tt{n}\t{n}" for n in range(20))])
    source = Files(train=(path,)).open(PAIR, 1, said.append)
    for split in source.splits:
        list(source.rows(split))
    assert sum("'id'" in remark for remark in said) == 1


def test_of_each_class_a_share_is_set_aside(tmp_path):
    said: list[str] = []
    lines = [f"text {n}\t{'rare' if n % 10 == 0 else 'common'}" for n in range(100)]
    path = put(tmp_path, "t.tsv", lines)
    source = Files(train=(path,), held_out=0.2).open(PAIR, 3, said.append)
    assert source.splits == ("train", "valid")
    train, valid = (list(source.rows(split)) for split in ("train", "valid"))
    assert sorted(row.line for row in (*train, *valid)) == list(range(1, 101))
    assert [row.line for row in valid] == sorted(row.line for row in valid)
    assert [targets(source, "valid").count(name) for name in ("rare", "common")] == [2, 18]
    assert any("20 of the examples are held out" in remark for remark in said)
    again = Files(train=(path,), held_out=0.2).open(PAIR, 3, silent)
    assert list(again.rows("valid")) == valid
    assert list(Files(train=(path,), held_out=0.2).open(PAIR, 4, silent).rows("valid")) != valid


def test_of_texts_a_share_of_all_is_set_aside(tmp_path):
    paths = put(tmp_path, "t.en", [f"s{n}" for n in range(50)]), put(tmp_path, "t.de", [f"t{n}" for n in range(50)])
    source = Files(train=paths).open(PAIR, 1, silent)
    train, valid = targets(source), targets(source, "valid")
    assert (len(train), len(valid)) == (45, 5)
    assert sorted(train + valid) == sorted(f"t{n}" for n in range(50))


def test_an_empty_target_is_no_class():
    held = set_aside(rows_of(["a", "a", "b", "b ", "", "a"]), 0.1, 1, "x", silent)
    assert held.sum() == 2
    assert not held[4]


def rows_of(targets) -> list[Row]:
    return [Row({"target": target}) for target in targets]


def test_what_is_set_aside_of_classes_and_of_others():
    held = set_aside(rows_of(["a", "a", "b", "b", "b"]), 0.1, 1, "x", silent)
    assert (held[:2].sum(), held[2:].sum()) == (1, 1)
    # Several texts, arrays, or more targets than half the rows are no classes.
    for several in ([("a",)] * 40, [np.zeros(2)] * 40, [f"{n % 30}" for n in range(40)]):
        assert set_aside(rows_of(several), 0.1, 1, "x", silent).sum() == 4
    # Of a text that stands there once among many nothing is said.
    assert set_aside(rows_of([*(f"{n % 200}" for n in range(600)), "once"]), 0.1, 1, "x", silent).sum() == 60
    assert set_aside(rows_of([f"{n % 20_000}" for n in range(60_000)]), 0.1, 1, "x", silent).sum() == 6000


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["a"] * 4 + ["lonely"], ["the class 'lonely' has", "two"]),
        (["a"] * 4 + ["lone", "lonely"], ["'lone', 'lonely' have"]),
        (["a"], ["1 example"]),
        ([], ["0 examples"]),
    ],
)
def test_nothing_to_set_aside(given, names):
    with pytest.raises(DataError, match="the place") as caught:
        set_aside(rows_of(given), 0.1, 1, "the place", silent)
    assert all(name in str(caught.value) for name in names)


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = put(tmp_path, "t.tsv", [f"s{n}\tt{n}" for n in range(20)])
    source = Files(train=(path,)).open(PAIR, 1, silent)
    assert len(list(source.rows("valid"))) == 2
    put(tmp_path, "t.tsv", [f"s{n}\tt{n}" for n in range(25)])
    with pytest.raises(DataError, match=r"t\.tsv: has 25 rows now, but had 20"):
        list(source.rows("train"))


def test_a_folder_with_and_without_a_part_to_validate(tmp_path):
    for name in ("cat", "dog"):
        for number in range(10):
            put(tmp_path, f"plain/{name}/{number}.png", [])
        for split in ("train", "valid", "test"):
            put(tmp_path, f"split/{split}/{name}/1.png", [])
    said: list[str] = []
    source = Files(folder=str(tmp_path / "plain")).open(LABELLED, 1, said.append)
    assert source.splits == ("train", "valid")
    assert sorted(targets(source, "valid")) == ["cat", "dog"]
    assert len(targets(source)) == 18
    assert any("20 of 20 files" in remark for remark in said)
    source = Files(folder=str(tmp_path / "split")).open(LABELLED, 1, silent)
    assert [targets(source, split) for split in source.splits] == [["cat", "dog"]] * 3


def test_a_folder_without_training_files(tmp_path):
    put(tmp_path, "test/cat/1.png", [])
    with pytest.raises(DataError, match="train") as caught:
        Files(folder=str(tmp_path)).open(LABELLED, 1, silent)
    assert caught.value.file == str(tmp_path)


def test_arrays_are_read_once(tmp_path, monkeypatch):
    pixels = np.arange(20 * 4 * 4, dtype=np.uint8).reshape(20, 4, 4)
    np.savez(tmp_path / "t.npz", images=pixels, labels=np.arange(20) % 2)
    source = Files(train=(str(tmp_path / "t.npz"),)).open(LABELLED, 1, silent)
    train, valid = (list(source.rows(split)) for split in ("train", "valid"))
    assert (len(train), len(valid)) == (18, 2)
    arrays = {id(row.values["image"].base) for row in (*train, *valid, *source.rows("train"))}
    assert len(arrays) == 1


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"train": ("a",), "folder": "b"}, ["data.folder", "data.train"]),
        ({"valid": ("a",)}, ["data.valid", "data.train"]),
        ({"folder": "a", "test": ("b",)}, ["data.test"]),
        ({"held_out": 0.0}, ["held_out"]),
        ({"held_out": 1.0}, ["held_out"]),
        ({"columns": ("premise",)}, ["'premise'", "field=column"]),
        ({"columns": ("=a",)}, ["'=a'"]),
        ({"columns": ("a=b", "a=c")}, ["'a'", "'b'", "'c'"]),
    ],
)
def test_settings_that_do_not_go_together(settings, names):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Files(**settings)
    assert all(name in str(caught.value) for name in names), str(caught.value)


def test_what_can_not_be_opened(tmp_path):
    with pytest.raises(ValueError, match=r"data\.train or data\.folder"):
        Files().open(PAIR, 1, silent)
    path = put(tmp_path, "t.tsv", ["a\tb"])
    with pytest.raises(ValueError, match=r"'sorce'.*'source'"):
        Files(train=(path,), columns=("sorce=en",)).open(PAIR, 1, silent)
    with pytest.raises(DataError, match="-"):
        Files(train=("-",)).open(PAIR, 1, silent)
    with pytest.raises(DataError, match=r"none\.tsv"):
        Files(train=("none.tsv",)).open(PAIR, 1, silent)


def test_columns_are_named_by_settings(tmp_path):
    path = put(tmp_path, "t.tsv", ["de\ten", *(f"t{n}\ts{n}" for n in range(10))])
    source = Files(train=(path,), valid=(path,), columns=("source=en", "target=de")).open(PAIR, 1, silent)
    assert next(iter(source.rows("train"))).values == {"source": "s0", "target": "t0"}


def test_files_that_are_given(tmp_path, monkeypatch):
    for name in ("cat/a.png", "dog/b.png"):
        put(tmp_path, name, [])
    a, b = str(tmp_path / "cat/a.png"), str(tmp_path / "dog/b.png")
    assert [(row.name, row.values) for row in read_given((a, b), LABELLED, optional={"target"})] == [
        (a, {"image": Path(a)}),
        (b, {"image": Path(b)}),
    ]
    monkeypatch.chdir(tmp_path)
    (row,) = read_given(("cat/a.png",), LABELLED, optional={"target"})
    assert row.values["image"] == Path(a)
    said: list[str] = []
    found = list(read_given((str(tmp_path),), LABELLED, log=said.append))
    assert [(row.name, row.values["target"]) for row in found] == [("cat/a.png", "cat"), ("dog/b.png", "dog")]
    assert said
    table = put(tmp_path, "t.tsv", ["file_name\tlabel", "cat/a.png\tcat"])
    assert [row.values["target"] for row in read_given((table,), LABELLED)] == ["cat"]
    with pytest.raises(DataError, match=r"c\.png"):
        list(read_given(("cat/c.png",), LABELLED, optional={"target"}))


def test_parts_to_check_have_every_error(tmp_path):
    path = put(tmp_path, "t.tsv", ["a\tb", "only", "c\td"])
    (part,) = Files(train=(path,)).scan(PAIR).items()
    rows = list(part[1])
    assert part[0] == "train"
    assert [isinstance(row, DataError) for row in rows] == [False, True, False]
    ((split, (error,)),) = ((split, list(rows)) for split, rows in Files(folder="none").scan(LABELLED).items())
    assert (split, type(error)) == ("train", DataError)
