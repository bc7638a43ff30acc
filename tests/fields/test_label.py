"""Names of classes and their numbers."""

import pytest

from attend.data.files import DataError
from attend.fields.field import Fault
from attend.fields.label import LabelField


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["owl", "cat", "owl", "dog"], ("cat", "dog", "owl")),
        (["10", "9", "1"], ("1", "9", "10")),
        (["10", "9", "a"], ("10", "9", "a")),
        (["b", "", " ", "a"], ("a", "b")),
        (["b ", "\ufeffb", "a  c", "b"], ("a c", "b")),
    ],
)
def test_classes_are_in_the_order_of_their_names_or_values(values, classes):
    field = LabelField.learn(values, print)
    assert field.classes == classes
    assert field.encode(list(classes)) == list(range(len(classes)))


def test_stray_spaces_make_no_other_class_unless_a_former_run_learnt_it_so():
    assert LabelField(["a c", "b"]).encode([" b", "a  c"]) == [1, 0]
    assert LabelField(["b", "b "]).encode(["b ", "b", " b"]) == [1, 0, 0]


@pytest.mark.parametrize("values", [[], ["a", "a", " "]])
def test_fewer_than_two_classes_are_refused(values):
    with pytest.raises(ValueError, match="two"):
        LabelField.learn(values, print)


def test_a_class_that_was_not_learnt_makes_the_data_wrong_and_an_empty_one_is_left_out():
    field = LabelField(["a", "b"])
    unseen, empty, number = field.encode(["z", " ", 3])
    for fault in (unseen, empty, number):
        assert isinstance(fault, Fault)
    assert "'z'" in unseen
    assert [unseen.refused, empty.refused, number.refused] == [True, False, True]  # type: ignore[union-attr]


def test_classes_are_kept_in_their_order(tmp_path):
    LabelField(["z", "ä"]).save(tmp_path, "target")
    assert LabelField.open(tmp_path, "target").classes == ("z", "ä")
    assert LabelField(["a", "b"]).collate([1, 0, 1]).tolist() == [1, 0, 1]


@pytest.mark.parametrize("damaged", ["{", "{}", '{"classes": [1, 2]}', '{"classes": 3}'])
def test_a_damaged_file_is_named(tmp_path, damaged):
    (tmp_path / "target.json").write_text(damaged)
    with pytest.raises(DataError, match=r"target\.json"):
        LabelField.open(tmp_path, "target")
