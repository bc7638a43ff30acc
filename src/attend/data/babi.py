"""bAbI: questions about short stories, with the sentences that an answer follows from (Weston et al. 2015).

A file has numbered lines; number 1 begins a story. A line is a sentence of the story, or a question, its answer and the
numbers of its supporting facts, separated by tabs:

    1 Mary went to the kitchen.
    2 John took the milk.
    3 Where is Mary?	kitchen	1
"""

import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from attend.data.examples import TARGET, Column, Fixed, Kept, Log, Row, Split, Truth, check_columns
from attend.data.files import DataError, locate, read_lines

ARCHIVE = "babi/tasks_1-20_v1-2.tar.xz"
FOLDERS = {"1k": "tasks_1-20_v1-2/en/", "10k": "tasks_1-20_v1-2/en-10k/"}
HELD_OUT = 10
"""One story in this many is held out."""

LINE = re.compile(r"(\d+) (.*)")


@dataclass(frozen=True)
class Babi:
    """Stories and questions of bAbI's training files, from the folder that ATTEND_DATA names, or of files of one's own:

        Mary went to the kitchen.     <- what the answer follows from
        John took the milk.
        Mary went to the garden.      <- the newest sentence
        Where is Mary?                -> garden

    Rows have a `story` (a sentence a line), a `query`, the `target`, and which sentences the answer follows from. One
    story in ten is held out for validation, in each task: the published test files are not used. Measures are also
    taken by task.
    """

    name: str = "babi"
    """What the data is called in results and model cards."""
    tasks: tuple[int, ...] = tuple(range(1, 21))
    """Which of the 20 tasks."""
    size: Literal["1k", "10k"] = "1k"
    """Questions for each task."""
    paths: tuple[str, ...] = ()
    """Files of this form to read instead."""

    def __post_init__(self) -> None:
        if not self.tasks or not set(self.tasks) <= set(range(1, 21)):
            raise ValueError(f"tasks must be numbers from 1 to 20, not {self.tasks}")

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        """Raises `DataError` if the files are missing or malformed."""
        check_columns(columns, ("story", "query", TARGET), "bAbI's tasks")
        parts: dict[Split, list[Row]] = {"train": [], "valid": []}
        for place, lines, group in self.sources():
            for number, story in enumerate(read_stories(lines, place, group)):
                parts["valid" if number % HELD_OUT == HELD_OUT - 1 else "train"] += story
        return Kept(parts)

    def sources(self) -> Iterator[tuple[str, Iterable[str], str]]:
        """The name, the lines and the group of each file."""
        if self.paths:
            for path in self.paths:
                yield path, read_lines(path), ""
            return
        try:
            with tarfile.open(locate(ARCHIVE), "r:xz") as archive:
                files = {}
                for member in archive:
                    found = re.fullmatch(re.escape(FOLDERS[self.size]) + r"qa(\d+)_[\w-]+_train\.txt", member.name)
                    if found and int(found[1]) in self.tasks and (file := archive.extractfile(member)):
                        files[int(found[1])] = member.name, file.read().decode().splitlines()
        except (tarfile.TarError, OSError, EOFError, UnicodeDecodeError) as error:
            raise DataError(ARCHIVE, f"cannot be read ({error})", "give bAbI's archive, version 1.2") from error
        for number in self.tasks:
            if number not in files:
                raise DataError(ARCHIVE, f"has no task {number} of {self.size} questions", "leave it out of data.tasks")
            yield *files[number], f"task{number}"

    def reads(self) -> tuple[str, ...]:
        return self.paths or (ARCHIVE,)

    def files(self, split: Split) -> tuple[str, ...]:
        return tuple(f"{path} ({split})" for path in self.reads())


def read_stories(lines: Iterable[str], path: str, group: str = "") -> Iterator[list[Row]]:
    """The questions of each story, each a row with the story up to there.

    Raises `DataError` for a line out of order, a story without a question, a question without an answer, or a
    supporting fact that is no sentence before its question.
    """

    def wrong(problem: str, advice: str, line: int) -> DataError:
        return DataError(path, problem, advice, line, "malformed line")

    rows: list[Row] = []
    sentences: dict[int, str] = {}
    last = line = 0
    for line, text in enumerate(lines, start=1):
        found = LINE.fullmatch(text.strip())
        if found is None:
            raise wrong("has no number", "write its number in the story, a space, and the sentence or question", line)
        number, rest = int(found[1]), found[2]
        if number == 1 and last:
            if not rows:
                raise wrong("ends a story without a question", "ask one, or remove the story", line - 1)
            yield rows
            rows, sentences = [], {}
        elif number != last + 1:
            raise wrong(f"has the number {number} after {last}", "number the lines of each story from 1", line)
        last = number
        question, *more = rest.split("\t")
        if not more:
            sentences[number] = rest.strip()
            continue
        if not sentences:
            raise wrong("asks before the story begins", "write a sentence before it", line)
        if not question.strip() or not more[0].strip():
            raise wrong("has no question or no answer", "write the question, a tab and the answer", line)
        facts = more[1].split() if len(more) > 1 else []
        for fact in facts:
            if not fact.isdecimal() or int(fact) not in sentences:
                raise wrong(f"has the supporting fact {fact!r}", "name sentences before it by their numbers", line)
        values = {"story": "\n".join(sentences.values()), "query": question.strip(), TARGET: more[0].strip()}
        truth = tuple(spans(sentences, [int(fact) for fact in facts]))
        rows.append(Row(values, f"{path}, line {line}", line, truth, group))
    if not rows:
        raise wrong("ends a story without a question" if line else "is empty", "ask one, or remove the story", line)
    yield rows


def spans(sentences: dict[int, str], facts: Sequence[int]) -> Iterator[Truth]:
    """Where the facts are in the story: one truth, for whatever looks at it."""
    places, start = {}, 0
    for number, sentence in sentences.items():
        places[number] = (start, start + len(sentence))
        start += len(sentence) + 1
    if facts:
        yield Truth("story", tuple(places[fact] for fact in facts))
