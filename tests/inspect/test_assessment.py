"""Figures with intervals, and tables of classes."""

from attend.inspect.assessment import FEW, by_class, figure_rows, tables

CONFUSION = {"cat": {"cat": 19}, "dog": {"cat": 1}, "owl": {"owl": 3, "cat": 1}}


def test_each_class_has_its_own_figures() -> None:
    cat, dog, owl = by_class(CONFUSION)
    assert cat == {"class": "cat", "examples": 19, "recall": 1.0, "precision": 19 / 21, "f1": 2 * 19 / 40}
    assert dog == {"class": "dog", "examples": 1, "recall": 0.0, "precision": None, "f1": 0.0}
    assert (owl["recall"], owl["precision"]) == (0.75, 1.0)


def test_few_classes_have_a_matrix_and_none_no_table() -> None:
    each, matrix = tables(CONFUSION)
    assert [row["class"] for row in each] == ["cat", "dog", "owl"]
    assert [list(row.values()) for row in matrix] == [["cat", 19, 0, 0], ["dog", 1, 0, 0], ["owl", 1, 0, 3]]
    assert tables({}) == []
    assert len(tables({str(number): {str(number): 1} for number in range(FEW + 1)})) == 1


def test_figures_have_a_column_of_intervals_where_any_has_one() -> None:
    assert figure_rows({"loss": 2.0}, {}) == [{"figure": "loss", "value": 2.0}]
    rows = figure_rows({"loss": 2.0, "exact_match": 0.5}, {"exact_match": (0.25, 0.75)})
    assert [row["95% interval"] for row in rows] == [None, "0.25 to 0.75"]
