import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attend.data.check import check

GOOD = [f"source number {i}\ttarget number {i}" for i in range(20)]


def put(folder, name, lines):
    path = folder / name
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return str(path)


def found(report):
    return [(problem.line, problem.kind) for problem in report.problems]


def test_nothing_wrong(tmp_path):
    report = check((put(tmp_path, "t.tsv", GOOD),))
    assert report.problems == ()
    assert not report.fatal
    assert str(report) == "train: 20 usable pairs\nno problem found"


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
        ("a " * 101 + "\t" + "b " * 90, "long line", "the source has about 101 words (202 characters)"),
        ("字" * 1010 + "\t" + "b " * 90 + "c" * 900, "long line", "the source has about 101 words (1,010 characters)"),
        ("a" * 50 + "\tb", "length ratio", "50 characters against 1"),
        (GOOD[3], "duplicate", "the same pair as line 4"),
        ("same\tsame", "source equals target", "both sides are the same text"),
    ],
)
def test_warnings(tmp_path, line, kind, what):
    report = check((put(tmp_path, "t.tsv", [*GOOD, line]),))
    assert found(report)[0] == (21, kind)
    assert {problem.kind for problem in report.problems} == {kind}
    problem = report.problems[0]
    assert problem.what == what
    assert problem.severity == "warning"
    assert problem.advice
    assert problem.file.endswith("t.tsv")
    assert not report.fatal


def test_a_pair_turned_round_is_no_duplicate(tmp_path):
    assert check((put(tmp_path, "t.tsv", [*GOOD, "one\tother", "other\tone"]),)).problems == ()


def test_a_short_pair_may_have_any_ratio(tmp_path):
    assert check((put(tmp_path, "t.tsv", [*GOOD, "Hi.\tSalut tout le monde, dit-il."]),)).problems == ()


def test_the_ratio_is_that_of_the_two_languages(tmp_path):
    lines = [f"{i:02}\t{'a long translation ' * 3}{i}" for i in range(20)]
    assert check((put(tmp_path, "t.tsv", lines),)).problems == ()
    assert found(check((put(tmp_path, "t.tsv", [*lines, f"{'x' * 60}\t{'y' * 60}"]),))) == [(21, "length ratio")]


def test_every_broken_line_is_reported(tmp_path):
    report = check((put(tmp_path, "t.tsv", [*GOOD, b"a\xff\tb", "only one", "", "x\ty\tz"]),))
    assert found(report) == [
        (21, "invalid UTF-8"),
        (22, "malformed line"),
        (23, "malformed line"),
        (24, "malformed line"),
    ]
    assert report.fatal


def test_both_sides_of_aligned_files_are_reported(tmp_path):
    paths = put(tmp_path, "t.en", ["a", b"\xff", "", "e"]), put(tmp_path, "t.de", ["b", b"c\xff", "d", "f"])
    report = check(paths)
    assert [(problem.file, problem.line, problem.kind) for problem in report.problems] == [
        (paths[0], 2, "invalid UTF-8"),
        (paths[1], 2, "invalid UTF-8"),
        (paths[0], 3, "empty line"),
    ]


def test_line_counts_that_differ(tmp_path):
    report = check((put(tmp_path, "t.en", ["a", "b", "c"]), put(tmp_path, "t.de", ["x", "y"])))
    assert found(report) == [(None, "line counts differ")]
    assert report.fatal


def test_an_unreadable_part_does_not_hide_the_others(tmp_path):
    report = check((str(tmp_path / "none.tsv"),), valid=(put(tmp_path, "t.tsv", ["a"]),))
    assert [problem.kind for problem in report.problems] == [
        "unreadable file",
        "no usable example",
        "malformed line",
        "no usable example",
    ]
    assert report.pairs == {"train": 0, "valid": 0}


def test_parts_that_share_examples(tmp_path):
    train = put(tmp_path, "train.tsv", GOOD)
    valid = put(tmp_path, "valid.tsv", ["new\tpair", GOOD[4]])
    test = put(tmp_path, "test.tsv", ["source number 7\tanother target", "new\tpair"])
    report = check((train,), (valid,), (test,))
    assert [(problem.file, problem.line, problem.what) for problem in report.problems] == [
        (valid, 2, f"the same pair as line 5 of train ({train})"),
        (test, 1, f"the same source as line 8 of train ({train})"),
        (test, 2, f"the same pair as line 1 of valid ({valid})"),
    ]
    assert report.counts == {"shared between parts": 3}
    assert not report.fatal


def test_text_shows_a_few_of_each_kind(tmp_path):
    path = put(tmp_path, "t.tsv", [*GOOD, *[GOOD[0]] * 10, b"\xff\tb"])
    report = check((path,))
    assert str(report).splitlines() == [
        "train: 30 usable pairs",
        "fatal: invalid UTF-8 (1)",
        f"  {path}, line 31: byte 0 of the line (0xff) is not UTF-8",
        "  -> convert the file to UTF-8, or remove the line",
        "warning: duplicate (10)",
        *[f"  {path}, line {line}: the same pair as line 1" for line in (21, 22, 23)],
        "  ... and 7 more",
        "  -> remove it, unless it is meant to count twice",
    ]


def test_json_holds_every_problem(tmp_path):
    report = check((put(tmp_path, "t.tsv", [*GOOD, *[GOOD[0]] * 10]),))
    content = json.loads(json.dumps(report.to_json()))
    assert content["pairs"] == {"train": 30}
    assert content["counts"] == {"duplicate": 10}
    assert content["fatal"] is False
    assert [problem["line"] for problem in content["problems"]] == list(range(21, 31))
    assert set(content["problems"][0]) == {"file", "line", "kind", "severity", "what", "advice"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("check")


@given(
    data=st.one_of(st.binary(), st.lists(st.sampled_from([b"a", b"\t", b"\n", b" ", b"\xff", b"\0"])).map(b"".join)),
    name=st.sampled_from(["t.tsv", "t.jsonl", "t.tsv.gz", "t.jsonl.xz", "t.txt"]),
)
def test_any_bytes_give_a_report(folder, data, name):
    path = put(folder, name, [data])
    paths = (path, path) if name == "t.txt" else (path,)
    report = check(paths, valid=paths)
    assert report.fatal or report.pairs["train"] > 0
    assert report.counts.get("shared between parts", 0) == report.pairs["valid"]
    json.dumps(report.to_json())
    assert str(report)
