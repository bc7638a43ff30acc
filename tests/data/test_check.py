import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.check import check
from attend.data.examples import Column, Row
from attend.data.tables import scan

GOOD = [f"source number {i}\ttarget number {i}" for i in range(20)]
PAIR = (Column("source"), Column("target"))
JUDGED = (Column("premise"), Column("hypothesis"), Column("target", ("label",)))
LABEL = {"target": "label"}
PICTURE = (Column("image", ("file_name",), files=True), Column("target", ("label",)))
FILES = {"image": "file", "target": "label"}


def put(folder, name, lines):
    path = folder / name
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return str(path)


def checked(columns=PAIR, kinds=None, longest=100, probes=None, **parts):
    """The report on parts, each a file or several."""
    paths = {part: (given,) if isinstance(given, str) else given for part, given in parts.items()}
    rows = {part: scan(given, columns) for part, given in paths.items()}
    return check(rows, columns, kinds or {}, longest, probes, paths)


def found(report):
    return [(problem.line, problem.kind) for problem in report.problems]


def test_nothing_wrong(tmp_path):
    report = checked(train=put(tmp_path, "t.tsv", GOOD))
    assert report.problems == ()
    assert not report.fatal
    assert str(report) == "train: 20 usable examples\nno problem found"


@pytest.mark.parametrize(
    ("line", "kind", "what"),
    [
        ("\tb", "empty line", "the source is empty"),
        ("a\t \u3000", "empty line", "the target is blank"),
        ("a\0b\tc", "control character", "U+0000 at character 1 of the source"),
        ("a\tb\x85", "control character", "U+0085 at character 1 of the target"),
        ("a\tb\u2028", "line separator", "U+2028 at character 1 of the target"),
        ("a\u2029\tb", "line separator", "U+2029 at character 1 of the source"),
        ("\ufeffa\tb", "byte order mark", "U+FEFF at character 0 of the source"),
        ("a " * 101 + "a\t" + "b " * 90 + "b", "long line", "the source has about 102 words (203 characters)"),
        ("字" * 1010 + "\t" + "b " * 90 + "c" * 900, "long line", "the source has about 101 words (1,010 characters)"),
        ("a" * 50 + "\tb", "length ratio", "50 characters against 1"),
        (GOOD[3], "duplicate", "the same as line 4"),
        ("same\tsame", "same text twice", "source and target are the same"),
    ],
)
def test_warnings(tmp_path, line, kind, what):
    report = checked(train=put(tmp_path, "t.tsv", [*GOOD, line]))
    assert found(report)[0] == (21, kind)
    assert {problem.kind for problem in report.problems} == {kind}
    problem = report.problems[0]
    assert problem.what == what
    assert problem.severity == "warning"
    assert problem.advice
    assert problem.file.endswith("t.tsv")
    assert not report.fatal


def test_a_pair_turned_round_is_no_duplicate(tmp_path):
    assert checked(train=put(tmp_path, "t.tsv", [*GOOD, "one\tother", "other\tone"])).problems == ()


def test_a_short_pair_may_have_any_ratio(tmp_path):
    assert checked(train=put(tmp_path, "t.tsv", [*GOOD, "Hi.\tSalut tout le monde, dit-il."])).problems == ()


def test_the_ratio_is_that_of_the_two_languages(tmp_path):
    lines = [f"{i:02}\t{'a long translation ' * 3}{i}" for i in range(20)]
    assert checked(train=put(tmp_path, "t.tsv", lines)).problems == ()
    report = checked(train=put(tmp_path, "t.tsv", [*lines, f"{'x' * 60}\t{'y' * 60}"]))
    assert found(report) == [(21, "length ratio")]


def test_inputs_of_any_ratio_may_go_together(tmp_path):
    lines = [f"{'premise ' * 9}{i}\tno {i}\t{'yes' if i % 2 else 'no'}" for i in range(20)]
    lines.append(f"short\t{'a long hypothesis ' * 4}.\tyes")
    assert checked(JUDGED, LABEL, train=put(tmp_path, "t.tsv", lines)).problems == ()


def test_every_broken_line_is_reported(tmp_path):
    report = checked(train=put(tmp_path, "t.tsv", [*GOOD, b"a\xff\tb", "only one", "", "x\ty\tz"]))
    assert found(report) == [
        (21, "invalid UTF-8"),
        (22, "malformed line"),
        (23, "malformed line"),
        (24, "malformed line"),
    ]
    assert report.fatal


def test_both_sides_of_aligned_files_are_reported(tmp_path):
    paths = put(tmp_path, "t.en", ["a", b"\xff", "", "e"]), put(tmp_path, "t.de", ["b", b"c\xff", "d", "f"])
    report = checked(train=paths)
    assert [(problem.file, problem.line, problem.kind) for problem in report.problems] == [
        (paths[0], 2, "invalid UTF-8"),
        (paths[1], 2, "invalid UTF-8"),
        (paths[0], 3, "empty line"),
    ]


def test_the_file_of_the_column_is_named(tmp_path):
    paths = tuple(put(tmp_path, f"t.{name}", lines) for name, lines in zip("phl", ("ab", "c\0", "xx"), strict=True))
    problems = checked(JUDGED, LABEL, train=paths).problems
    assert [(problem.file, problem.line, problem.kind) for problem in problems] == [(paths[1], 2, "control character")]


def test_line_counts_that_differ(tmp_path):
    report = checked(train=(put(tmp_path, "t.en", ["a", "b", "c"]), put(tmp_path, "t.de", ["x", "y"])))
    assert found(report) == [(None, "line counts differ")]
    assert report.fatal


def test_an_unreadable_part_does_not_hide_the_others(tmp_path):
    report = checked(train=str(tmp_path / "none.tsv"), valid=put(tmp_path, "t.tsv", ["a"]))
    assert [problem.kind for problem in report.problems] == [
        "unreadable file",
        "no usable example",
        "malformed line",
        "no usable example",
    ]
    assert report.rows == {"train": 0, "valid": 0}


def test_parts_that_share_examples(tmp_path):
    train = put(tmp_path, "train.tsv", GOOD)
    valid = put(tmp_path, "valid.tsv", ["new\tpair", GOOD[4]])
    test = put(tmp_path, "test.tsv", ["source number 7\tanother target", "new\tpair"])
    report = checked(train=train, valid=valid, test=test)
    assert [(problem.file, problem.line, problem.what) for problem in report.problems] == [
        (valid, 2, f"the same example as line 5 of train ({train})"),
        (test, 1, f"the same input as line 8 of train ({train})"),
        (test, 2, f"the same example as line 1 of valid ({valid})"),
    ]
    assert report.counts == {"shared between parts": 3}
    assert not report.fatal


def test_labels_that_contradict_and_classes_that_are_rare_or_unknown(tmp_path):
    train = put(tmp_path, "train.tsv", ["p\th\tyes", "q\th\tno", "p\th\tno", "r\th\tyes", "s\th\tmaybe", "p\th\tyes"])
    valid = put(tmp_path, "valid.tsv", ["t\th\tno", "u\th\tnever", "v\th\tnever"])
    report = checked(JUDGED, LABEL, train=train, valid=valid)
    assert [(problem.file, problem.line, problem.kind, problem.severity) for problem in report.problems] == [
        (train, 6, "duplicate", "warning"),
        (train, 3, "conflicting labels", "warning"),
        (train, 5, "single example", "warning"),
        (valid, 2, "unknown class", "fatal"),
    ]
    assert "line 1" in report.problems[1].what
    assert "'maybe'" in report.problems[2].what
    assert "'never'" in report.problems[3].what
    assert report.fatal


def test_an_empty_label_is_no_class(tmp_path):
    report = checked(JUDGED, LABEL, train=put(tmp_path, "t.tsv", ["p\th\t", "q\th\ta", "r\th\ta"]))
    assert found(report) == [(1, "empty line")]
    assert report.rows == {"train": 2}


def probe(path: Path) -> str:
    if path.read_bytes() == b"broken":
        raise ValueError("this is no picture")
    return path.read_text()


def test_files_are_compared_by_what_they_hold(tmp_path):
    contents = {"a": "1", "b": "2", "c": "1", "d": "1", "e": "broken", "g": "3"}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    lines = ["file_name\tlabel", "a\tx", "b\ty", "c\tx", "d\ty", "e\ty", "f\ty"]
    train, valid = put(tmp_path, "train.tsv", lines), put(tmp_path, "valid.tsv", [lines[0], "g\tx", "b\ty"])
    report = checked(PICTURE, FILES, probes={"image": probe}, train=train, valid=valid)
    assert [(problem.file, problem.line, problem.kind) for problem in report.problems] == [
        (train, 6, "broken file"),
        (train, 7, "missing file"),
        (train, 4, "duplicate"),
        (train, 5, "conflicting labels"),
        (valid, 3, "shared between parts"),
    ]
    assert "no picture" in report.problems[0].what
    assert [problem.severity for problem in report.problems[:2]] == ["warning", "warning"]
    assert report.rows == {"train": 4, "valid": 2}


def test_rows_without_lines_are_named(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("same")
    rows = [Row({"image": tmp_path / name, "target": "x"}, name) for name in ("a.png", "b.png", "c.png")]
    report = check({"train": rows}, PICTURE, FILES, places={"train": ("pictures",)})
    assert [(problem.file, problem.line, problem.kind) for problem in report.problems] == [
        ("pictures", None, "broken file"),
        ("pictures", None, "duplicate"),
    ]
    assert report.problems[0].what.startswith("c.png: ")
    assert report.problems[1].what == "b.png: the same as a.png"


def test_arrays_are_compared_too():
    arrays = [np.zeros((2, 2)), np.ones((2, 2)), np.zeros((2, 2))]
    rows = [Row({"image": array, "target": "x"}, f"line {line}", line) for line, array in enumerate(arrays, start=1)]
    assert found(check({"train": rows}, PICTURE, FILES)) == [(3, "duplicate")]


def test_several_texts_are_all_looked_at():
    columns = (Column("image", files=True), Column("target", several=True))
    rows = [
        Row({"image": np.array([float(line)]), "target": texts}, f"line {line}", line)
        for line, texts in enumerate([("a", "b\0"), ("", " "), ("", "c"), ("word " * 101 + "end",)], start=1)
    ]
    report = check({"train": rows}, columns, {"image": "file"})
    assert found(report) == [(1, "control character"), (2, "empty line"), (4, "long line")]
    assert report.rows == {"train": 3}


def test_text_shows_a_few_of_each_kind(tmp_path):
    path = put(tmp_path, "t.tsv", [*GOOD, *[GOOD[0]] * 10, b"\xff\tb"])
    assert str(checked(train=path)).splitlines() == [
        "train: 30 usable examples",
        "fatal: invalid UTF-8 (1)",
        f"  {path}, line 31: byte 0 of the line (0xff) is not UTF-8",
        "  -> convert the file to UTF-8, or remove the line",
        "warning: duplicate (10)",
        *[f"  {path}, line {line}: the same as line 1" for line in (21, 22, 23)],
        "  ... and 7 more",
        "  -> remove it, unless it is meant to count twice",
    ]


def test_json_holds_every_problem(tmp_path):
    report = checked(train=put(tmp_path, "t.tsv", [*GOOD, *[GOOD[0]] * 10]))
    content = json.loads(json.dumps(report.to_json()))
    assert content["rows"] == content["pairs"] == {"train": 30}
    assert content["counts"] == {"duplicate": 10}
    assert content["fatal"] is False
    assert [problem["line"] for problem in content["problems"]] == list(range(21, 31))
    assert set(content["problems"][0]) == {"file", "line", "kind", "severity", "what", "advice"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("check")


@given(
    data=st.one_of(st.binary(), st.lists(st.sampled_from([b"a", b"\t", b"\n", b" ", b"\xff", b"\0"])).map(b"".join)),
    name=st.sampled_from(["t.tsv", "t.jsonl", "t.csv", "t.tsv.gz", "t.jsonl.xz", "t.txt"]),
    kinds=st.sampled_from([{}, LABEL]),
)
def test_any_bytes_give_a_report(folder, data, name, kinds):
    path = put(folder, name, [data])
    paths = (path, path) if name == "t.txt" else (path,)
    report = checked(kinds=kinds, train=paths, valid=paths)
    assert report.fatal or report.rows["train"] > 0
    assert report.counts.get("shared between parts", 0) == report.rows["valid"]
    json.dumps(report.to_json())
    assert str(report)
