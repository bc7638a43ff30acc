"""Entailment against the paper's equations in slow NumPy, what padding may not change, and what is handed over."""

from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attend.contract import BEGIN, END, PAD, Answerer, Answers, Batch, Cells
from attend.systems.entailment import Config, System

VOCABULARY, CLASSES = 11, 3
Attention = Literal["word-by-word", "attention", "none", "hypothesis"]
KINDS: tuple[Attention, ...] = get_args(Attention)
WORDS = Config(embedding=6, hidden=5, dropout=0.0)
PREMISES, HYPOTHESES = (5, 2, 3), (2, 4, 1)

every_kind = pytest.mark.parametrize("attention", KINDS)
every_system = pytest.mark.parametrize(
    ("attention", "two_way"),
    [(kind, both) for kind in KINDS for both in (False, True) if kind != "hypothesis" or not both],
)


def build(config: Config = WORDS) -> System:
    """A system in float64 with weights so large that everything matters."""
    torch.manual_seed(0)
    system = System(config, VOCABULARY, CLASSES).double()
    for parameter in system.parameters():
        nn.init.normal_(parameter, std=0.6)
    return system


def sentences(lengths: tuple[int, ...], seed: int, padding: int = 0) -> Cells:
    """Random sentences, END included. More padding is not of PAD, so that it would count if it were read."""
    generate = torch.Generator().manual_seed(seed)
    mask = torch.arange(max(lengths) + padding) < torch.tensor(lengths).unsqueeze(1)
    tokens = torch.full(mask.shape, PAD if padding == 0 else 7)
    for row, length in enumerate(lengths):
        tokens[row, :length] = torch.randint(END + 1, VOCABULARY, (length,), generator=generate)
        tokens[row, length - 1] = END
    return Cells(tokens, mask)


def batch(padding: int = 0) -> Batch:
    inputs = {"premise": sentences(PREMISES, 1, padding), "hypothesis": sentences(HYPOTHESES, 2, padding)}
    return Batch(inputs, torch.tensor([2, 0, 1]))


def swapped(given: Batch) -> Batch:
    return Batch({"premise": given.inputs["hypothesis"], "hypothesis": given.inputs["premise"]}, given.target)


def weights_of(answers: Answers) -> dict[str, Tensor]:
    """Each look's weights [batch step memory]."""
    return {name: look.values for name, look in answers.looks.items() if isinstance(look.values, Tensor)}


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def lstm(weight: dict[str, Any], name: str, inputs: list[np.ndarray], cell: np.ndarray) -> tuple[list[np.ndarray], Any]:
    """An LSTM from this cell state and a hidden state of zeros: its outputs, and the last cell state."""
    state, outputs = np.zeros_like(cell), []
    for each in inputs:
        gates = weight[f"{name}.weight_ih_l0"] @ each + weight[f"{name}.bias_ih_l0"]
        gates = gates + weight[f"{name}.weight_hh_l0"] @ state + weight[f"{name}.bias_hh_l0"]
        enter, keep, new, show = np.split(gates, 4)
        cell = sigmoid(keep) * cell + sigmoid(enter) * np.tanh(new)
        state = sigmoid(show) * np.tanh(cell)
        outputs.append(state)
    return outputs, cell


def compared(system: System, premise: list[int], hypothesis: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """h* and the weights by the paper's equations, word by word and cell by cell."""
    weight = {name: value.detach().numpy() for name, value in system.named_parameters()}
    kind, size = system.config.attention, system.config.hidden

    def word(token: int) -> np.ndarray:
        return weight["project.weight"] @ weight["embedding.weight"][token] + weight["project.bias"]

    cells, cell = [], np.zeros(size)
    if kind != "hypothesis":
        cells, cell = lstm(weight, "premise", [word(token) for token in premise], cell)
    states, _ = lstm(weight, "hypothesis", [word(token) for token in (BEGIN, *hypothesis)], cell)
    states = states[1:]
    last = weight["from_state.weight"] @ states[-1]
    if kind in ("none", "hypothesis"):
        return np.tanh(last), np.zeros((0, len(premise)))

    def alphas(query: np.ndarray) -> np.ndarray:
        name = "attend.score"
        scores = [
            float(weight[f"{name}.energy.weight"][0] @ np.tanh(weight[f"{name}.key.weight"] @ each + query))
            for each in cells
        ]
        return np.exp(scores) / np.exp(scores).sum()

    read, rows = np.zeros(size), []
    for state in states if kind == "word-by-word" else states[-1:]:
        query = weight["attend.score.query.weight"] @ state
        carried = np.zeros(size)
        if kind == "word-by-word":
            of_query, of_read = np.split(weight["attend.recurrent.weight"], 2)
            query, carried = query + of_query @ read, np.tanh(of_read @ read)
        rows.append(alphas(query))
        read = sum(alpha * each for alpha, each in zip(rows[-1], cells, strict=True)) + carried
    return np.tanh(weight["from_read.weight"] @ read + last), np.stack(rows)


def tokens(cells: Cells, row: int) -> list[int]:
    return cells.values[row][cells.mask[row]].tolist()


@every_system
def test_answers_go_by_the_paper_s_equations(attention: Attention, two_way: bool):
    system, given = build(replace(WORDS, attention=attention, two_way=two_way)), batch()
    assert isinstance(system, Answerer)
    found = system.answer(given)
    assert found.logits.shape == (3, 1, CLASSES)
    names = ("premise", "hypothesis") if two_way else ("premise",)
    assert tuple(found.looks) == (names if attention in ("word-by-word", "attention") else ())
    for row in range(3):
        sides = tokens(given.inputs["premise"], row), tokens(given.inputs["hypothesis"], row)
        results = []
        for name, (first, second) in zip(names, (sides, sides[::-1]), strict=False):
            result, weights = compared(system, first, second)
            results.append(result)
            if len(weights):
                rows = weights_of(found)[name][row, : len(weights), : len(first)]
                np.testing.assert_allclose(rows.detach().numpy(), weights, rtol=1e-9)
        logits = system.output.weight.detach().numpy() @ np.concatenate(results) + system.output.bias.detach().numpy()
        np.testing.assert_allclose(found.logits[row, 0].detach().numpy(), logits, rtol=1e-9)


@every_kind
def test_the_loss_is_the_answer_s_cross_entropy(attention: Attention):
    system, given = build(replace(WORDS, attention=attention)), batch()
    loss, logits = system(given), system.answer(given).logits[:, 0]
    torch.testing.assert_close(loss.total, F.cross_entropy(logits, given.target, reduction="sum"))
    torch.testing.assert_close(loss.terms["nll"], loss.total.detach())
    assert float(loss.terms["error"]) == float((logits.argmax(-1) != given.target).sum())
    assert loss.units == 3


def test_looks_say_what_their_axes_are():
    given = batch()
    both = build(replace(WORDS, two_way=True)).answer(given)
    assert {name: (look.over, look.steps) for name, look in both.looks.items()} == {
        "premise": ("premise", "hypothesis"),
        "hypothesis": ("hypothesis", "premise"),
    }
    assert {name: weights.shape for name, weights in weights_of(both).items()} == {
        "premise": (3, max(HYPOTHESES), max(PREMISES)),
        "hypothesis": (3, max(PREMISES), max(HYPOTHESES)),
    }
    once = build(replace(WORDS, attention="attention")).answer(given)
    assert (once.looks["premise"].over, once.looks["premise"].steps) == ("premise", "output")
    assert weights_of(once)["premise"].shape == (3, 1, max(PREMISES))


@pytest.mark.parametrize("attention", ["word-by-word", "attention"])
def test_padding_of_the_premise_has_no_weight(attention: Attention):
    found = build(replace(WORDS, attention=attention, two_way=True)).answer(batch(padding=2))
    for weights, lengths in zip(weights_of(found).values(), (PREMISES, HYPOTHESES), strict=True):
        for row, length in enumerate(lengths):
            assert bool((weights[row, :, length:] == 0).all())
            torch.testing.assert_close(weights[row].sum(-1), torch.ones(weights.shape[1]).double())


@every_system
def test_padding_moves_nothing(attention: Attention, two_way: bool):
    def found(padding: int) -> list[Tensor]:
        system = build(replace(WORDS, attention=attention, two_way=two_way))
        given = batch(padding)
        loss = system(given)
        loss.total.backward()
        gradients = [parameter.grad for parameter in system.parameters() if parameter.grad is not None]
        return [loss.total.detach(), system.answer(given).logits.detach(), *gradients]

    torch.testing.assert_close(found(3), found(0))


def test_padded_steps_carry_the_read_over():
    system, given = build(), batch()
    outputs, _ = system.encode(given.inputs["premise"])
    assert outputs is not None
    assert system.attend is not None
    memory = system.attend.prepare(outputs, given.inputs["premise"].mask, "premise")
    states = torch.randn(3, 4, 5, dtype=torch.float64)
    real = given.inputs["hypothesis"].mask
    reads = system.attend(states, memory, real).context
    for row, length in enumerate(HYPOTHESES):
        assert torch.equal(reads[row, length - 1 :], reads[row, length - 1].expand(4 - length + 1, -1))
    assert not torch.equal(reads[1, 2], reads[1, 3])


@every_system
def test_a_batch_gives_what_its_examples_give_alone(attention: Attention, two_way: bool):
    system, given = build(replace(WORDS, attention=attention, two_way=two_way)), batch()
    together = system.answer(given)
    for row in range(3):
        alone = {
            name: Cells(cells.values[[row]][:, cells.mask[row]], cells.mask[[row]][:, cells.mask[row]])
            for name, cells in given.inputs.items()
        }
        found = system.answer(Batch(alone))
        torch.testing.assert_close(found.logits[0], together.logits[row])
        for name, weights in weights_of(found).items():
            steps, cells = weights.shape[1:]
            torch.testing.assert_close(weights[0], weights_of(together)[name][row, :steps, :cells])


def test_only_the_cell_state_is_handed_over(monkeypatch: pytest.MonkeyPatch):
    """The conditional encoding depends on the premise by its last cell state, and on no other."""
    system, given = build(replace(WORDS, attention="none")), batch()
    outputs, cell = system.encode(given.inputs["premise"])
    assert outputs is not None
    expected = system.answer(given).logits
    monkeypatch.setattr(system, "encode", lambda premise: (torch.full_like(outputs, 9.0), cell))
    assert torch.equal(system.answer(given).logits, expected)
    monkeypatch.setattr(system, "encode", lambda premise: (outputs, cell + 1))
    assert not torch.allclose(system.answer(given).logits, expected)


def test_the_premise_s_last_output_has_a_gradient_only_where_it_is_looked_at():
    """Its output gate is not on the way of the last cell state: that of the last word learns from a look alone."""
    for attention, reached in (("none", False), ("attention", True), ("word-by-word", True)):
        system = build(replace(WORDS, attention=attention))
        # A premise of one token: its one output enters no state.
        cells = Cells(torch.tensor([[END]]), torch.tensor([[True]]))
        system(Batch({"premise": cells, "hypothesis": sentences((3,), 2)}, torch.tensor([1]))).total.backward()
        assert system.premise is not None
        gradient = system.premise.get_parameter("bias_ih_l0").grad
        assert gradient is not None
        enter, _, new, show = gradient.split(WORDS.hidden)
        assert bool(enter.any())
        assert bool(new.any())
        assert bool(show.any()) == reached, attention


@every_system
def test_every_parameter_learns(attention: Attention, two_way: bool):
    system = build(replace(WORDS, attention=attention, two_way=two_way))
    system(batch()).total.backward()
    missing = [name for name, value in system.named_parameters() if value.grad is None or not bool(value.grad.any())]
    assert missing == []


@pytest.mark.parametrize("attention", ["word-by-word", "attention", "none"])
def test_both_ways_the_sentences_may_be_swapped(attention: Attention):
    """Swapped, the two halves of what the class is chosen from change places, and so do the looks."""
    system, given = build(replace(WORDS, attention=attention, two_way=True)), batch()
    found = system.answer(given)
    hidden = WORDS.hidden
    with torch.no_grad():
        system.output.weight.copy_(system.output.weight.roll(hidden, 1))
    other = system.answer(swapped(given))
    torch.testing.assert_close(other.logits, found.logits)
    assert len(found.looks) == (0 if attention == "none" else 2)
    for weights, expected in zip(weights_of(other).values(), reversed(weights_of(found).values()), strict=True):
        torch.testing.assert_close(weights, expected)


def test_the_control_does_not_read_the_premise():
    system, given = build(replace(WORDS, attention="hypothesis")), batch()
    others = Batch({**given.inputs, "premise": sentences((4, 4, 4), 5)}, given.target)
    assert torch.equal(system.answer(others).logits, system.answer(given).logits)
    with pytest.raises(ValueError, match="two_way"):
        replace(WORDS, attention="hypothesis", two_way=True)


def test_recurrent_matrices_start_orthogonal():
    torch.manual_seed(0)
    system = System(WORDS, VOCABULARY, CLASSES)
    assert system.premise is not None
    blocks = [system.get_parameter("attend.recurrent.weight")[WORDS.hidden :]]
    for encoder in (system.premise, system.hypothesis):
        blocks += encoder.get_parameter("weight_hh_l0").split(WORDS.hidden)
    for block in blocks:
        torch.testing.assert_close(block @ block.T, torch.eye(WORDS.hidden))


def test_a_sentence_of_padding_alone_is_refused():
    given = batch()
    for name in ("premise", "hypothesis"):
        cells = given.inputs[name]
        mask = cells.mask.clone()
        mask[1] = False
        with pytest.raises(ValueError, match=r"\[1\]"):
            build().answer(Batch({**given.inputs, name: Cells(cells.values, mask)}))


def test_half_precision_gives_about_the_same_loss():
    torch.manual_seed(0)
    system = System(replace(WORDS, hidden=16, two_way=True), VOCABULARY, CLASSES)
    expected = float(system(batch()).total.detach())
    with torch.autocast("cpu", torch.bfloat16):
        loss = system(batch())
    loss.total.backward()
    assert loss.total.dtype == torch.float32
    assert float(loss.total.detach()) == pytest.approx(expected, rel=0.02)
