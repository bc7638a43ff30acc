import json
from pathlib import Path

from attend.inspect.curve import first_at_most
from attend.recipes.recipe import Milestone
from attend.record import means, passed


def test_the_first_update_at_or_below_a_value():
    curve = [(10, 0.5), (20, 0.1), (30, 0.3), (40, 0.05)]
    assert first_at_most(curve, 0.1) == 20
    assert first_at_most(curve, 0.09) == 40
    assert first_at_most(curve, 0.01) is None
    assert first_at_most([], 1.0) is None


def test_a_milestone_is_read_off_the_log_and_left_out_where_it_was_not_passed(tmp_path: Path):
    lines = [{"update": 5, "loss": 0.01}, {"update": 10, "valid_error": 0.2}, {"update": 20, "valid_error": 0.08}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    marks = {"updates_to_10_percent": Milestone("error", 0.1), "updates_to_1_percent": Milestone("error", 0.01)}
    assert passed(marks, tmp_path) == {"updates_to_10_percent": 20}


def test_a_mean_is_of_all_of_training_and_left_out_where_it_was_not_logged(tmp_path: Path):
    lines = [{"update": 10, "worth": 2.0}, {"update": 15, "valid_error": 0.2}, {"update": 20, "worth": 3.0}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert means({"worth_while_learning": "worth", "other": "nothing"}, tmp_path) == {"worth_while_learning": 2.5}
