"""Does a model look where it should? Against gold word alignments, and against known places in the source.

A link is (source, target), positions of words counted from 0 whatever a file counts from.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from attend.attention.trace import Weights
from attend.data.files import DataError, read_lines
from attend.show.formats import Link, pharaoh


@dataclass(frozen=True)
class Links:
    """The gold links of a sentence pair: `sure` ones, and `possible` ones, which include the sure."""

    sure: frozenset[Link]
    possible: frozenset[Link]

    def __post_init__(self) -> None:
        if missing := self.sure - self.possible:
            raise ValueError(f"sure links must be possible too, but {sorted(missing)} are not; add them to `possible`")


def read_naacl(path: str, sentences: int) -> list[Links]:
    """Gold links in the format of the HLT-NAACL 2003 word alignment task (Mihalcea & Pedersen 2003).

    A line is "sentence source target [S|P] [confidence]", all counted from 1; S is the default. `sentences` is the
    number of sentence pairs: those without a line have no links. Raises `DataError` naming the line.
    """
    sure: defaultdict[int, set[Link]] = defaultdict(set)
    possible: defaultdict[int, set[Link]] = defaultdict(set)
    for line, text in enumerate(read_lines(path), start=1):
        match = re.fullmatch(r"\s*([0-9]+)\s+([0-9]+)\s+([0-9]+)(?:\s+([SP]))?(?:\s+[0-9]*\.?[0-9]+)?\s*", text)
        if not match:
            raise DataError(path, f"{text!r:.80} is not a link", 'write "sentence source target S" or "... P"', line)
        sentence, source, target = (int(field) - 1 for field in match.groups()[:3])
        if not 0 <= sentence < sentences:
            advice = f"the texts have {sentences} sentences, counted from 1: give the links that belong to them"
            raise DataError(path, f"there is no sentence {sentence + 1}", advice, line)
        if source < 0 or target < 0:
            raise DataError(path, "position 0, but words count from 1", "leave out links to no word (NULL)", line)
        possible[sentence].add((source, target))
        if match[4] != "P":
            sure[sentence].add((source, target))
    return [Links(frozenset(sure[index]), frozenset(possible[index])) for index in range(sentences)]


def read_pharaoh(path: str, first: Literal[0, 1]) -> list[Links]:
    """Gold links in Pharaoh form, a sentence pair a line: "i-j" is sure, "ipj" or "i?j" only possible.

    `first` is the number of a sentence's first word in this file: the form itself doesn't say. Raises `DataError`
    naming the line.
    """
    gold = []
    for line, text in enumerate(read_lines(path), start=1):
        sure, possible = set(), set()
        for field in text.split():
            match = re.fullmatch(r"([0-9]+)([-p?])([0-9]+)", field)
            if not match:
                raise DataError(path, f"{field!r:.80} is not a link", 'write "i-j", or "ipj" for a possible one', line)
            link = (int(match[1]) - first, int(match[3]) - first)
            if min(link) < 0:
                raise DataError(path, f"{field!r} has position 0", "read this file as counting from 0", line)
            possible.add(link)
            if match[2] == "-":
                sure.add(link)
        gold.append(Links(frozenset(sure), frozenset(possible)))
    return gold


def links(look: Weights) -> frozenset[Link]:
    """The hard alignment of a look: each target word with the source word of the largest weight.

    A word whose largest weight is on a special token (the sentence's end) has none. Merge subwords to words first.
    """
    return frozenset(pharaoh(look))


def alignment_error_rate(predicted: Sequence[AbstractSet[Link]], gold: Sequence[Links]) -> float:
    """1 - (|A n S| + |A n P|) / (|A| + |S|) over all sentences together (Och & Ney 2003), 0 is best.

    Raises `ValueError` if there are not equally many sentences, or no links at all.
    """
    count = _count(predicted, gold)
    return 1 - _share(count.in_sure + count.in_possible, count.predicted + count.sure, "predicted or sure links")


def alignment_precision(predicted: Sequence[AbstractSet[Link]], gold: Sequence[Links]) -> float:
    """|A n P| / |A| over all sentences together (Och & Ney 2003). Raises `ValueError` without predicted links."""
    count = _count(predicted, gold)
    return _share(count.in_possible, count.predicted, "predicted links")


def alignment_recall(predicted: Sequence[AbstractSet[Link]], gold: Sequence[Links]) -> float:
    """|A n S| / |S| over all sentences together (Och & Ney 2003). Raises `ValueError` without sure links."""
    count = _count(predicted, gold)
    return _share(count.in_sure, count.sure, "sure links")


@dataclass(frozen=True)
class _Count:
    predicted: int
    sure: int
    in_sure: int
    in_possible: int


def _count(predicted: Sequence[AbstractSet[Link]], gold: Sequence[Links]) -> _Count:
    if len(predicted) != len(gold):
        raise ValueError(f"{len(predicted)} alignments for {len(gold)} gold sentences; give one for each, in order")
    return _Count(
        predicted=sum(map(len, predicted)),
        sure=sum(len(answer.sure) for answer in gold),
        in_sure=sum(len(found & answer.sure) for found, answer in zip(predicted, gold, strict=True)),
        in_possible=sum(len(found & answer.possible) for found, answer in zip(predicted, gold, strict=True)),
    )


def _share(part: int, whole: int, what: str) -> float:
    if whole == 0:
        raise ValueError(f"there are no {what}, so there is nothing to measure; give sentences that have some")
    return part / whole
