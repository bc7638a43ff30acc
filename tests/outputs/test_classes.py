"""Classes as an output: likeliest, drawn, given; averaged over an ensemble; and what was looked at."""

from math import log

import numpy as np
import pytest
import torch
from torch import nn

from attend.attention.glimpse import Views
from attend.contract import Answers, Batch, Cells, Look
from attend.fields.field import Fault
from attend.metrics import ERROR
from attend.outputs.classes import Classes, Decoding, MeanAnswer, seen_by
from attend.outputs.output import Output, OutputSettings, Wanted
from small_models import Config, Sorter

OUTPUT = Classes().learn(["cat", "owl", "dog", "cat"], print)
SYSTEM = Sorter(Config(), 9, 3)
# Two texts, of 3 and 2 cells.
BATCH = Batch({"text": Cells(torch.tensor([[4, 5, 3], [6, 3, 0]]), torch.tensor([[True] * 3, [True, True, False]]))})
LIKELY = SYSTEM.table.detach()[[4, 6]].double().softmax(-1).numpy()


def test_both_faces_are_what_an_output_is(tmp_path):
    assert isinstance(Classes(), OutputSettings)
    assert isinstance(OUTPUT, Output)
    assert OUTPUT.classes == ("cat", "dog", "owl")
    assert OUTPUT.sizes() == {"classes": 3}
    OUTPUT.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(Classes().kept())
    assert Classes().open(tmp_path).classes == OUTPUT.classes


def test_the_best_answers_are_the_likeliest_with_all_that_is_known_of_them():
    for row, results in enumerate(OUTPUT.predict(SYSTEM, BATCH, Decoding(), Wanted(best=2))):
        order = np.argsort(-LIKELY[row])
        assert [result.ids for result in results] == [(number,) for number in order[:2]]
        best = results[0]
        assert best.text == OUTPUT.classes[order[0]]
        assert best.log_prob == best.score == pytest.approx(log(LIKELY[row].max()), rel=1e-5)
        assert best.token_log_probs == (best.log_prob,)
        assert best.steps.labels() == ["1", "2"]
        assert best.answers == OUTPUT.classes
        np.testing.assert_allclose(best.probabilities, [[1 / 3] * 3, LIKELY[row]], rtol=1e-5)


def test_samples_come_as_often_as_they_should():
    wanted = Wanted(samples=4000, generator=torch.Generator().manual_seed(0))
    results = OUTPUT.predict(SYSTEM, BATCH, Decoding(), wanted)[1]
    shares = np.bincount([result.ids[0] for result in results], minlength=3) / 4000
    np.testing.assert_allclose(shares, LIKELY[1], atol=0.03)


def test_a_given_class_has_its_own_probability():
    found = OUTPUT.force(SYSTEM, BATCH, Decoding(), OUTPUT.encode(["owl", "cat"]), ["owl", "cat"])
    assert [one.text for one in found] == ["owl", "cat"]
    assert [one.log_prob for one in found] == pytest.approx([log(LIKELY[0, 2]), log(LIKELY[1, 0])], rel=1e-5)
    log_probs = OUTPUT.log_probs(SYSTEM, BATCH, [2])
    assert log_probs.requires_grad
    np.testing.assert_allclose(log_probs.detach().exp(), LIKELY[:, 2:], rtol=1e-5)


def test_an_ensemble_averages_probabilities():
    other = Sorter(Config(1), 9, 3)
    assert OUTPUT.join([SYSTEM]) is SYSTEM
    together = OUTPUT.join([SYSTEM, other])
    found = OUTPUT.predict(together, BATCH, Decoding(), Wanted())
    expected = (LIKELY + other.table.detach()[[4, 6]].double().softmax(-1).numpy()) / 2
    for (result,), likely in zip(found, expected, strict=True):
        np.testing.assert_allclose(result.probabilities[-1], likely, rtol=1e-5)  # type: ignore[index]
        assert result.text == OUTPUT.classes[likely.argmax()]


class Steps(nn.Module):
    """Answers so many times: the first class at first, then the second."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def answer(self, batch: Batch) -> Answers:
        logits = torch.full((len(batch), self.steps, 2), -30.0)
        logits[:, 0, 0] = logits[:, 1:, 1] = 30.0
        return Answers(logits, {"looks": Look(torch.ones(len(batch), 1, 1) * self.steps, "text")})


def test_members_that_look_more_often_are_averaged_over_their_last_steps():
    found = MeanAnswer([Steps(2), Steps(3)]).answer(BATCH)
    assert found.logits.shape == (2, 2, 2)
    # The first of two steps is the second of three.
    np.testing.assert_allclose(found.logits.exp()[0], [[0.5, 0.5], [0.0, 1.0]], atol=1e-6)
    assert float(found.looks["looks"].values[0, 0, 0]) == 2  # type: ignore[call-overload]


def test_looks_are_without_the_padding_of_their_cells_and_steps():
    weights = torch.arange(12.0).reshape(1, 3, 4).expand(2, -1, -1)
    batch = Batch(
        {
            "premise": Cells(
                torch.ones(2, 4, dtype=torch.long), torch.tensor([[True] * 4, [True, True, False, False]])
            ),
            "hypothesis": Cells(torch.ones(2, 3, dtype=torch.long), torch.tensor([[True] * 3, [True, False, False]])),
        }
    )
    views = [Views(np.zeros((1, 2)), np.ones((1, 2)), np.ones(1))] * 2
    looks = {
        "words": Look(weights, "premise", "hypothesis"),
        "answer": Look(weights, "premise"),
        "summary": Look(weights[:, :, :1], "premise"),
        "windows": Look(views, "image"),
        "grid": Look(weights, "image", shape=(2, 2)),
    }
    found = seen_by(looks, 1, batch)
    assert found["words"].values.tolist() == [[0, 1]]  # type: ignore[union-attr]
    assert (found["words"].over, found["words"].steps) == ("premise", "hypothesis")
    assert found["answer"].values.tolist() == [[0, 1], [4, 5], [8, 9]]  # type: ignore[union-attr]
    assert found["summary"].values.tolist() == [[0], [4], [8]]  # type: ignore[union-attr]
    assert found["windows"].values is views[1]
    assert (found["grid"].values.shape, found["grid"].shape) == ((3, 4), (2, 2))  # type: ignore[union-attr]


def test_errors_and_how_undecided_each_step_is():
    results = [several[0] for several in OUTPUT.predict(SYSTEM, BATCH, Decoding(), Wanted())]
    right = [result.text for result in results]
    wrong = [right[0], next(name for name in OUTPUT.classes if name != right[1])]
    assert OUTPUT.watched([result.text for result in results], right) == {"error": 0.0, "accuracy": 1.0}
    figures, signatures = OUTPUT.figures(results, wrong)
    assert (figures["error"], figures["accuracy"], signatures) == (0.5, 0.5, {})
    assert figures["class_entropy_step_1"] == pytest.approx(log(3))
    assert figures["class_entropy_step_2"] == pytest.approx(-(LIKELY * np.log(LIKELY)).sum(1).mean(), rel=1e-5)
    assert OUTPUT.metric() is ERROR


def test_a_classifier_that_always_answers_the_same_class_is_no_better_than_that():
    answers, right = ["cat"] * 20, ["cat"] * 19 + ["dog"]
    found = OUTPUT.assess(answers, right)
    assert found.figures == {"balanced_accuracy": 0.5, "baseline_chance": 1 / 3, "baseline_majority": 0.95}
    assert found.confusion == {"cat": {"cat": 19}, "dog": {"cat": 1}}
    lower, upper = found.intervals["accuracy"]
    assert lower < 0.95 < upper
    assert found.intervals["error"] == (1 - upper, 1 - lower)
    assert len(found.remarks) == 1
    assert "'cat'" in found.remarks[0]
    answers, right = ["cat", "dog", "owl"] * 20, ["cat", "dog", "owl"] * 20
    assert OUTPUT.assess(answers, right).remarks == ()


def test_a_label_never_seen_in_training_makes_the_data_wrong():
    seen, unseen = OUTPUT.encode(["owl", "pig"])
    assert seen == 2
    assert isinstance(unseen, Fault)
    assert unseen.refused
    assert Classes().learn([3, 12, 3], print).encode([12, "3"]) == [1, 0]  # type: ignore[list-item]
    assert OUTPUT.reference(3) == "3"


def test_work_that_nobody_waits_for_ends():
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        OUTPUT.predict(SYSTEM, BATCH, Decoding(), Wanted(stop=stop))
