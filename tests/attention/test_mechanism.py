"""A mechanism as a whole: prepare once, look at each step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from attend.attention.mechanism import Attend
from attend.attention.memory import Memory
from attend.attention.normalise import Hard, Normalise, maximum, smooth, softmax, uniform
from attend.attention.score import Additive, Bilinear, Cosine, Dot, LocationAware, ScaledDot, Score

BATCH, QUERY, MEMORY, SIZE = 3, 2, 5, 4

SCORES: dict[str, Callable[[], Score]] = {
    "dot": Dot,
    "scaled dot": ScaledDot,
    "cosine": Cosine,
    "bilinear": lambda: Bilinear(SIZE, SIZE),
    "additive": lambda: Additive(SIZE, SIZE, 6),
    "location aware": lambda: LocationAware(SIZE, SIZE, 6, filters=3, width=3),
}
NORMALISERS: dict[str, Normalise] = {"softmax": softmax, "smooth": smooth, "maximum": maximum, "uniform": uniform}

every_score = pytest.mark.parametrize("score", SCORES)
every_normaliser = pytest.mark.parametrize("normaliser", NORMALISERS)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    """Queries, values, and a mask under which the examples have 5, 3 and 1 real cells."""
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(BATCH, QUERY, SIZE, dtype=torch.double, generator=generator)
    values = torch.randn(BATCH, MEMORY, SIZE, dtype=torch.double, generator=generator)
    return query, values, torch.arange(MEMORY) < torch.tensor([[5], [3], [1]])


def build(score: str, normaliser: str = "softmax") -> Attend:
    torch.manual_seed(1)
    return Attend(SCORES[score](), NORMALISERS[normaliser]).double()


def two_looks(attend: Attend, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """Contexts and weights of the second look, which knows the weights of the first."""
    read = attend(query, memory, attend(query, memory).weights)
    return read.context, read.weights


@every_score
@every_normaliser
def test_context_is_the_expectation_of_the_values(score: str, normaliser: str) -> None:
    query, values, mask = inputs()
    attend = build(score, normaliser)
    read = attend(query, attend.prepare(values, mask))
    assert read.log_prob is None
    for example in range(BATCH):
        for step in range(QUERY):
            expected = torch.zeros(SIZE, dtype=torch.double)
            for cell in range(MEMORY):
                expected += read.weights[example, step, cell] * values[example, cell]
            torch.testing.assert_close(read.context[example, step], expected)


def test_weights_are_the_normalised_scores() -> None:
    query, values, mask = inputs()
    attend = build("dot")
    weights = attend(query, attend.prepare(values, mask)).weights
    torch.testing.assert_close(weights, softmax(query @ values.mT, mask).weights)


def test_keys_are_projected_once_whatever_the_looks() -> None:
    query, values, mask = inputs()
    score = Additive(SIZE, SIZE, 6).double()
    projected: list[int] = []
    score.key.register_forward_hook(lambda *_: projected.append(1))
    attend = Attend(score, softmax)
    memory = attend.prepare(values, mask)
    assert len(projected) == 1
    for _ in range(4):
        attend(query, memory)
    assert len(projected) == 1


@every_score
@every_normaliser
def test_padding_changes_nothing(score: str, normaliser: str) -> None:
    query, values, mask = inputs()
    attend = build(score, normaliser)
    context, weights = two_looks(attend, query, attend.prepare(values, mask))
    filling = 100 * torch.randn(BATCH, 3, SIZE, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    longer = attend.prepare(torch.cat([values, filling], dim=1), nn.functional.pad(mask, (0, 3), value=False))
    longer_context, longer_weights = two_looks(attend, query, longer)
    torch.testing.assert_close(longer_context, context)
    torch.testing.assert_close(longer_weights, nn.functional.pad(weights, (0, 3)))
    assert bool((longer_weights[..., MEMORY:] == 0.0).all())


@every_score
def test_a_batch_reads_what_its_examples_read_alone(score: str) -> None:
    query, values, mask = inputs()
    attend = build(score)
    context, weights = two_looks(attend, query, attend.prepare(values, mask))
    for example, cells in enumerate(mask.sum(dim=1).tolist()):
        alone = attend.prepare(values[[example], :cells], mask[[example], :cells])
        alone_context, alone_weights = two_looks(attend, query[[example]], alone)
        torch.testing.assert_close(alone_context[0], context[example])
        torch.testing.assert_close(alone_weights[0], weights[example, :, :cells])


@every_score
@pytest.mark.parametrize("normaliser", ["softmax", "smooth"])
def test_padded_values_get_a_gradient_of_exactly_zero(score: str, normaliser: str) -> None:
    query, values, mask = inputs()
    values.requires_grad_()
    attend = build(score, normaliser)
    context, _ = two_looks(attend, query, attend.prepare(values, mask))
    context.square().sum().backward()
    assert values.grad is not None
    assert bool((values.grad[~mask] == 0.0).all())
    assert bool((values.grad[mask] != 0.0).any(dim=-1).all())


def test_a_sampled_look_reads_the_chosen_cell_and_carries_its_log_probability() -> None:
    query, values, mask = inputs()
    attend = Attend(Dot(), Hard(torch.Generator().manual_seed(0)))
    memory = attend.prepare(values, mask)
    read = attend(query, memory)
    soft = Attend(Dot(), softmax)(query, memory).weights
    assert read.log_prob is not None
    for example in range(BATCH):
        for step in range(QUERY):
            cell = int(read.weights[example, step].argmax())
            assert torch.equal(read.context[example, step], values[example, cell])
            torch.testing.assert_close(read.log_prob[example, step], soft[example, step, cell].log())


def test_a_memory_of_padding_alone_is_an_error_that_names_the_example() -> None:
    _, values, mask = inputs()
    mask[2] = False
    with pytest.raises(ValueError, match=r"\[2\].*all padding"):
        build("dot").prepare(values, mask)


@pytest.mark.parametrize("rows", [torch.tensor([2, 0]), torch.tensor([True, False, True])])
def test_selected_memories_are_those_of_the_selected_examples(rows: Tensor) -> None:
    query, values, mask = inputs()
    attend = build("bilinear")
    memory = attend.prepare(values, mask, "source")
    assert memory.over == memory.select(rows).over == "source"
    read = attend(query, memory)
    selected = attend(query[rows], memory.select(rows))
    torch.testing.assert_close(selected.context, read.context[rows])
    torch.testing.assert_close(selected.weights, read.weights[rows])
