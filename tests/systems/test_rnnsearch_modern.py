"""The conditional GRU's scores, each with its equation written out, and the mask."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from attend.attention.memory import Memory
from attend.contract import Batch, Cells
from attend.systems.rnnsearch_modern import SHARPNESS, Config, System

SMALL = Config(embedding=6, hidden=4, alignment=5, embedding_dropout=0.0, annotation_dropout=0.0, readout_dropout=0.0)
SCORES = ("additive", "general", "dot", "cosine")
MASK = torch.tensor([[True, True, True], [True, True, False]])


def built(attention: str) -> System:
    torch.manual_seed(0)
    return System(replace(SMALL, attention=attention), 9, 8).eval().requires_grad_(False)


def scored(system: System, query: np.ndarray, cell: np.ndarray) -> float:
    """The score of a state [hidden] and an annotation [2 hidden]."""
    weight = {name: value.numpy() for name, value in system.state_dict().items()}
    both = cell[:4] + cell[4:]
    match system.config.attention:
        case "additive":
            key = weight["attend.score.key.weight"] @ cell + weight["attend.score.key.bias"]
            return float(
                (weight["attend.score.energy.weight"] @ np.tanh(weight["attend.score.query.weight"] @ query + key))[0]
            )
        case "general":
            return float(query @ weight["attend.score.project.weight"] @ cell)
        case "dot":
            return float(query @ both)
        case _:
            return float(SHARPNESS * query @ both / (np.linalg.norm(query) * np.linalg.norm(both)))


@pytest.mark.parametrize("attention", SCORES)
def test_weights_are_a_softmax_of_the_score_over_real_cells(attention: str) -> None:
    system = built(attention)
    assert system.attend is not None
    generator = torch.Generator().manual_seed(1)
    annotations, queries = torch.randn(2, 3, 8, generator=generator), torch.randn(2, 1, 4, generator=generator)
    keys = system.attend.score.prepare(annotations)
    found = system.attend(queries, Memory(keys, annotations, MASK, over="source")).weights[:, 0].numpy()
    for example, real in enumerate(MASK.sum(1).tolist()):
        scores = [
            scored(system, queries[example, 0].numpy(), annotations[example, cell].numpy()) for cell in range(real)
        ]
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(found[example, :real], expected, atol=1e-5)
        assert (found[example, real:] == 0).all()


@pytest.mark.parametrize("attention", SCORES)
def test_padding_changes_nothing(attention: str) -> None:
    system, target = built(attention), Cells(torch.tensor([[4, 5, 3]]), torch.ones(1, 3, dtype=torch.bool))
    losses = []
    for padding in (0, 2):
        source = torch.tensor([[4, 5, 6, 3] + [0] * padding])
        losses.append(float(system(Batch({"source": Cells(source, source > 0)}, target)).total))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_scores_without_parameters_have_none() -> None:
    names = {attention: {name for name in built(attention).state_dict() if "attend" in name} for attention in SCORES}
    assert names["dot"] == names["cosine"] == set()
    assert names["general"] == {"attend.score.project.weight"}
