"""bAbI's files: questions with the story up to there, and what is refused by file and line."""

import io
import tarfile
from pathlib import Path

import pytest

from attend.data.babi import Babi, read_stories
from attend.data.examples import TARGET
from attend.data.files import DataError

LINES = """1 Mary went to the kitchen.
2 John took the milk.
3 Where is Mary?\tkitchen\t1
4 Mary went to the garden.
5 Where is the milk?\tkitchen,garden\t2 4
1 Sandra left.
2 Who left?\tSandra\t1
""".splitlines()


def test_questions_have_the_story_so_far_and_where_it_says_so():
    first, second = read_stories(LINES, "f", "task1")
    assert [row.values["query"] for row in first] == ["Where is Mary?", "Where is the milk?"]
    assert [row.values[TARGET] for row in first] == ["kitchen", "kitchen,garden"]
    assert first[0].values["story"] == "Mary went to the kitchen.\nJohn took the milk."
    story, (truth,) = first[1].values["story"], first[1].truth
    assert [story[start:end] for start, end in truth.where] == ["John took the milk.", "Mary went to the garden."]
    assert (second[0].values["story"], second[0].group, second[0].line) == ("Sandra left.", "task1", 7)


@pytest.mark.parametrize(
    ("lines", "line", "what"),
    [
        (["1 a.", "3 b?\tc\t1"], 2, "3 after 1"),
        (["1 a.", "1 b.", "2 c?\td\t1"], 1, "without a question"),
        (["1 a.", "2 b."], 2, "without a question"),
        (["1 a.", "2 b?\tc\t2"], 2, "'2'"),
        (["1 a.", "2 b?\tc\tx"], 2, "'x'"),
        (["1 a.", "2 b?\t \t1"], 2, "no answer"),
        (["1 b?\tc"], 1, "before the story"),
        (["one"], 1, "no number"),
        ([], 0, "empty"),
    ],
)
def test_what_is_wrong_is_named(lines, line, what):
    with pytest.raises(DataError) as caught:
        list(read_stories(lines, "f.txt"))
    assert caught.value.file == "f.txt"
    assert (caught.value.line or 0) == line
    assert what in str(caught.value)


def stories(count: int) -> str:
    return "".join(f"1 a{number}.\n2 b?\tc{number % 2}\t1\n" for number in range(count))


def test_one_story_in_ten_is_held_out_of_each_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "babi").mkdir()
    with tarfile.open(tmp_path / "babi/tasks_1-20_v1-2.tar.xz", "w:xz") as archive:
        for name in (
            "en/qa1_one_train.txt",
            "en/qa2_two-facts_train.txt",
            "en/qa1_one_test.txt",
            "en-10k/qa1_x_train.txt",
        ):
            member = tarfile.TarInfo(f"tasks_1-20_v1-2/{name}")
            content = stories(20).encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setenv("ATTEND_DATA", str(tmp_path))
    source = Babi(tasks=(1, 2)).open([], 1, print)
    assert [len(list(source.rows(split))) for split in ("train", "valid")] == [36, 4]
    assert [row.values["story"] for row in source.rows("valid")] == ["a9.", "a19."] * 2
    assert [row.group for row in source.rows("valid")] == ["task1", "task1", "task2", "task2"]
    with pytest.raises(DataError, match="no task 3"):
        Babi(tasks=(3,)).open([], 1, print)
    (tmp_path / "mine.txt").write_text(stories(10))
    assert len(list(Babi(paths=(str(tmp_path / "mine.txt"),)).open([], 1, print).rows("train"))) == 9


@pytest.mark.parametrize("tasks", [(), (0,), (21,)])
def test_tasks_that_are_none_are_refused(tasks):
    with pytest.raises(ValueError, match="from 1 to 20"):
        Babi(tasks=tasks)
