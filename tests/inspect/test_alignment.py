"""Gold files, and the alignment error rate by hand."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from attend.attention.trace import Token, Tokens, Weights
from attend.data.files import DataError, read_lines
from attend.inspect.alignment import (
    Links,
    alignment_error_rate,
    alignment_precision,
    alignment_recall,
    links,
    read_naacl,
    read_pharaoh,
)

SURE = frozenset({(0, 0), (1, 1)})
GOLD = Links(SURE, SURE | {(2, 1), (2, 2)})

link_sets = some.frozensets(some.tuples(some.integers(0, 4), some.integers(0, 4)), max_size=8)


def test_error_rate_by_hand() -> None:
    # A = 4 links: one of two sure ones, two that are only possible, one wrong.
    predicted = [{(0, 0), (2, 1), (2, 2), (3, 0)}]
    assert alignment_error_rate(predicted, [GOLD]) == pytest.approx(1 - (1 + 3) / (4 + 2))
    assert alignment_precision(predicted, [GOLD]) == 3 / 4
    assert alignment_recall(predicted, [GOLD]) == 1 / 2


def test_error_rate_is_of_the_corpus_not_the_mean_of_sentences() -> None:
    small = Links(frozenset({(0, 0)}), frozenset({(0, 0)}))
    predicted = [SURE, frozenset({(5, 5)})]
    assert alignment_error_rate(predicted, [GOLD, small]) == pytest.approx(1 - (2 + 2) / (3 + 3))


@given(link_sets, link_sets.filter(len))
def test_error_rate_stays_in_bounds_and_sure_links_alone_are_perfect(predicted, sure) -> None:
    gold = [Links(sure, sure | {(9, 9)})]
    assert 0 <= alignment_error_rate([predicted], gold) <= 1
    assert alignment_error_rate([sure], gold) == 0
    assert alignment_error_rate([sure | {(9, 9)}], gold) == 0


def test_what_cannot_be_measured_is_refused() -> None:
    nothing = Links(frozenset(), frozenset())
    with pytest.raises(ValueError, match="1 alignments for 2 gold sentences"):
        alignment_error_rate([set()], [GOLD, GOLD])
    with pytest.raises(ValueError, match="no predicted or sure links"):
        alignment_error_rate([set()], [nothing])
    with pytest.raises(ValueError, match="no predicted links"):
        alignment_precision([set()], [GOLD])
    with pytest.raises(ValueError, match="no sure links"):
        alignment_recall([{(0, 0)}], [nothing])
    with pytest.raises(ValueError, match=r"\[\(0, 0\)\] are not"):
        Links(frozenset({(0, 0)}), frozenset())


def test_links_take_each_word_s_strongest_cell() -> None:
    source = Tokens("das Haus", (Token("das", 0, 3), Token("Haus", 4, 8), Token("</s>")))
    target = Tokens("the house here", (Token("the", 0, 3), Token("house", 4, 9), Token("here", 10, 14), Token("</s>")))
    weights = np.array([[0.4, 0.3, 0.3], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.0, 0.9, 0.1]])
    # "here" reads the end of the sentence, and the end is no word: neither has a link.
    assert links(Weights(weights, target, source)) == {(0, 0), (1, 1)}


def test_naacl_form(tmp_path: Path) -> None:
    file = tmp_path / "gold.wa"
    file.write_text("0001 1 1 S\n1 2 3 P\n1 2 3 S 0.5\n3 4 1\n3 2 2 P 1\n")
    assert read_naacl(str(file), sentences=4) == [
        Links(frozenset({(0, 0), (1, 2)}), frozenset({(0, 0), (1, 2)})),
        Links(frozenset(), frozenset()),
        Links(frozenset({(3, 0)}), frozenset({(3, 0), (1, 1)})),
        Links(frozenset(), frozenset()),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 2", "not a link"),
        ("1 2 3 X", "not a link"),
        ("1 -2 3 S", "not a link"),
        ("", "not a link"),
        ("1 0 3 S", "position 0"),
        ("0 1 1 S", "no sentence 0"),
        ("3 1 1 S", "no sentence 3"),
    ],
)
def test_naacl_errors_name_file_and_line(tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "gold.wa"
    file.write_text(f"1 1 1 S\n{line}\n")
    with pytest.raises(DataError, match=rf"gold\.wa, line 2: .*{problem}"):
        read_naacl(str(file), sentences=2)


def test_pharaoh_form(tmp_path: Path) -> None:
    file = tmp_path / "gold.txt"
    file.write_text("1-1 2p3 3?1\n\n2-2\n")
    assert read_pharaoh(str(file), first=1) == [
        Links(frozenset({(0, 0)}), frozenset({(0, 0), (1, 2), (2, 0)})),
        Links(frozenset(), frozenset()),
        Links(frozenset({(1, 1)}), frozenset({(1, 1)})),
    ]
    assert read_pharaoh(str(file), first=0)[2].sure == {(2, 2)}


@pytest.mark.parametrize(("field", "problem"), [("1:2", "not a link"), ("1-", "not a link"), ("0-1", "position 0")])
def test_pharaoh_errors_name_file_and_line(tmp_path: Path, field: str, problem: str) -> None:
    file = tmp_path / "gold.txt"
    file.write_text(f"1-1\n2-2 {field}\n")
    with pytest.raises(DataError, match=rf"gold\.txt, line 2: .*{problem}"):
        read_pharaoh(str(file), first=1)


@given(some.binary(max_size=60))
def test_any_bytes_are_links_or_a_data_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.txt"
    file.write_bytes(raw)
    for read in (lambda: read_naacl(str(file), 3), lambda: read_pharaoh(str(file), 1)):
        with suppress(DataError):
            assert all(answer.sure <= answer.possible for answer in read())


@pytest.mark.data
def test_real_gold_files(data_folder: Path) -> None:
    folder = data_folder / "gold_alignments/wpt03_enfr"
    english, french = ([line.split() for line in read_lines(f"{folder}/dev.{side}.gz")] for side in "ef")
    gold = read_naacl(f"{folder}/dev.wa.nonullalign", sentences=len(english))
    assert len(gold) == 37
    assert sum(len(answer.sure) for answer in gold) == 338
    assert sum(len(answer.possible) for answer in gold) == 338 + 1446
    assert_within(gold, english, french)

    folder = data_folder / "gold_alignments/awesome_align"
    pairs = [line.split("|||") for line in read_lines(f"{folder}/roen.src-tgt")]
    gold = read_pharaoh(f"{folder}/roen.gold", first=1)
    assert sum(len(answer.sure) for answer in gold) == 6198
    assert_within(gold, [source.split() for source, _ in pairs], [target.split() for _, target in pairs])


def assert_within(gold: list[Links], sources: list[list[str]], targets: list[list[str]]) -> None:
    for answer, source, target in zip(gold, sources, targets, strict=True):
        assert all(i < len(source) and j < len(target) for i, j in answer.possible)
