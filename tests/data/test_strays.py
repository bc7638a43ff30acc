"""What other programs leave in texts is named by `attend check`, and ordinary texts are not suspected."""

from pathlib import Path

import pytest

from attend.data.check import check
from attend.data.examples import Column
from attend.data.tables import scan

PAIR = (Column("source"), Column("target"))
TEXTS = {"source": "text", "target": "text"}
LINES = ["a dog runs far\tein Hund rennt weit", "the red ball\tder rote Ball", "the white house\tdas weisse Haus"]


def kinds(tmp_path: Path, text: str, name: str = "a.tsv", target: str = "text") -> dict[str, list[int | None]]:
    """The lines of problems, by kind."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    path = str(tmp_path / name)
    report = check({"train": scan((path,), PAIR)}, PAIR, TEXTS | {"target": target}, places={"train": (path,)})  # type: ignore[arg-type]
    assert not report.fatal
    found: dict[str, list[int | None]] = {}
    for problem in report.problems:
        assert problem.file == path
        assert problem.advice
        found.setdefault(problem.kind, []).append(problem.line)
    return found


@pytest.mark.parametrize("head", ["English\tGerman", "en\tde", "E_1\tT 2"])
def test_a_header_that_is_read_as_data(tmp_path: Path, head: str) -> None:
    assert kinds(tmp_path, "\n".join([head, *LINES])) == {"header as data": [1]}
    labelled = [f"{line.split(chr(9))[0]}\t{'xy'[number % 2]}" for number, line in enumerate(LINES * 2)]
    found = kinds(tmp_path, "\n".join([head, *labelled]), target="label")
    assert found["header as data"] == [1]


def test_what_is_no_header(tmp_path: Path) -> None:
    assert kinds(tmp_path, "\n".join(LINES)) == {}
    for lines in (["dog\tHund", "cat\tKatze", "ball\tBall 2"], ["Go\tGeh", *LINES[:1], "Go\tLauf"]):
        assert "header as data" not in kinds(tmp_path, "\n".join(lines))
    assert "header as data" in kinds(tmp_path, "source\tGerman\ndog\tHund\n".replace("source", "en"))
    records = '{"source": "en", "target": "de"}\n{"source": "a dog runs far", "target": "ein Hund rennt weit"}\n'
    assert kinds(tmp_path, records, "a.jsonl") == {}


def test_quotes_of_csv(tmp_path: Path) -> None:
    quoted = ['"a dog, far"\tein Hund', '"the ball"\tder Ball', "the house\tdas Haus"]
    assert kinds(tmp_path, "\n".join(quoted)) == {"quoted cell": [1]}
    assert kinds(tmp_path, "\n".join([*LINES, '"he said ""no"" to it"\tein Hund rannte weg'])) == {"quoted cell": [4]}
    # What somebody says is in quotes too.
    assert kinds(tmp_path, "\n".join([*LINES, '"the dog runs"\t"der Hund rennt"'])) == {}


@pytest.mark.parametrize("odd", [" a dog runs", "a dog runs ", "a  dog runs"])
def test_stray_spaces_are_counted(tmp_path: Path, odd: str) -> None:
    assert kinds(tmp_path, "\n".join([LINES[0], f"{odd}\tein Hund", f"{odd} far\tein Hund"])) == {"stray space": [2]}


def test_marks_and_decomposed_letters(tmp_path: Path) -> None:
    found = kinds(tmp_path, "\n".join([LINES[0], "a \ufeffdog runs\tein Hund rennt", "a cafe\u0301 there\tein Cafe"]))
    assert found == {"byte order mark": [2], "decomposed character": [3]}
