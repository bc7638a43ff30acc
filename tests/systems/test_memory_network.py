"""What is exact about memory networks that are taught their supporting sentences."""

import pytest
import torch
from torch.nn import functional as F

from attend.contract import Batch, Cells
from attend.systems import memory_network

CONFIG = memory_network.Config(hops=2, size=6, memories=8, noise=0.0)
STORY = Cells(torch.tensor([[[5, 6], [7, 8], [5, 9], [0, 0]]]), torch.tensor([[True, True, True, False]]))
QUERY = Cells(torch.tensor([[6, 7]]), torch.tensor([[True, True]]))


def batch(*places: int) -> Batch:
    return Batch({"story": STORY, "query": QUERY}, torch.tensor([1]), torch.tensor([[*places, -1]]))


def system() -> memory_network.System:
    torch.manual_seed(0)
    return memory_network.System(CONFIG, 20, 3).eval()


def test_a_hop_finds_the_sentence_of_the_highest_score_given_the_question_and_what_was_found():
    model = system()
    age = torch.tensor([[3, 2, 1, 0]])
    question, found = model.question(QUERY.values.unsqueeze(1))[0, 0], model.found(STORY.values, age)[0]
    candidates = model.candidates(STORY.values, age)[0, :, 0]
    first = int((candidates[:3] @ question[0]).argmax())
    asked = question[0] + found[first, 0]
    order = torch.tensor([2 if cell < first else 1 if cell == first else 0 for cell in range(3)])
    second = int((candidates[:3] @ asked + model.order.weight[order] @ asked).argmax())
    answers = model.answer(batch())
    assert answers.looks["story"].values.argmax(-1).tolist() == [[first, second]]
    assert answers.looks["story"].values.sum(-1).tolist() == [[1, 1]]
    known = question[1] + found[first, 1] + found[second, 1]
    torch.testing.assert_close(answers.logits[0, -1], model.answers(known))


def test_the_margin_is_held_against_every_other_sentence_but_not_padding():
    scores = torch.tensor([[1.0, 1.5, 0.95, 9.0], [2.0, 0.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True, False]] * 2)
    found = memory_network.margin_loss(scores, torch.tensor([0, 0]), mask, 0.1)
    torch.testing.assert_close(found, torch.tensor([0.6 + 0.05, 0.0]))


def test_hops_after_the_last_supporting_sentence_stay_there():
    model = system()
    assert model.taught(batch(2))[0].tolist() == [[2, 2]]
    assert model.taught(batch(2, 0))[0].tolist() == [[2, 0]]
    assert model.taught(batch(2, 0, 1))[0].tolist() == [[2, 0]]  # more than there are hops
    assert model.taught(batch())[1].tolist() == [False]
    loss = model.train()(batch())
    assert loss.terms["margin"] == 0


def test_answers_learn_from_the_supporting_sentences_and_are_measured_by_those_found():
    model = system()
    given = model.look(STORY, QUERY, torch.tensor([[1, 0]]))[1]
    own = model.look(STORY, QUERY)[1]
    assert not torch.equal(given, own)
    for states, mode in ((given, True), (own, False)):
        expected = F.cross_entropy(model.answers(states[:, -1]), torch.tensor([1]), reduction="sum")
        torch.testing.assert_close(model.train(mode)(batch(1, 0)).terms["nll"], expected.detach())


def test_supporting_sentences_are_learnt():
    model = system().train()
    optimiser = torch.optim.Adam(model.parameters(), 0.05)
    for _ in range(60):
        optimiser.zero_grad()
        model(batch(2, 0)).total.backward()
        optimiser.step()
    assert model.eval().answer(batch()).looks["story"].values.argmax(-1).tolist() == [[2, 0]]
    assert model.answer(batch()).logits[0, -1].argmax() == 1


@pytest.mark.parametrize(("name", "value"), [("hops", 0), ("size", 0), ("margin", -1)])
def test_settings_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        memory_network.Config(**{name: value})
