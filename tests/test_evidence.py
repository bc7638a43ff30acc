"""What an output depends on, against enumeration and small changes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attend.contract import Batch, Cells
from attend.evidence import areas, covered, gradient_times_input, leave_one_out, permuted, rows_as_looks


def a_text(*ids: int) -> Batch:
    return Batch({"text": Cells(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool))})


def test_each_token_is_left_out_alone():
    seen: list[list[int]] = []

    def log_probs(batch: Batch) -> Tensor:
        text = batch.inputs["text"]
        assert bool(text.mask.all())
        seen.extend(text.values.tolist())
        # Of two steps: the sum of the ids, and their number.
        return torch.stack([text.values.sum(1).float(), torch.full((len(text.values),), text.values.shape[1])], 1)

    found = leave_one_out(log_probs, a_text(5, 7, 9), "text", ())
    assert seen == [[5, 7, 9], [7, 9], [5, 9], [5, 7]]
    assert found.tolist() == [[5, 7, 9], [1, 1, 1]]


def test_other_inputs_stay_as_they_are():
    batch = Batch({**a_text(5, 7).inputs, "image": torch.arange(4.0).reshape(1, 1, 2, 2)})

    def log_probs(changed: Batch) -> Tensor:
        assert torch.equal(changed.inputs["image"][-1], batch.inputs["image"][0])
        return changed.inputs["text"].values.sum(1, keepdim=True).float()

    assert leave_one_out(log_probs, batch, "text", ()).tolist() == [[5, 7]]


def test_nothing_is_left_of_one_token():
    with pytest.raises(ValueError, match="one token"):
        leave_one_out(lambda batch: torch.zeros(1, 1), a_text(5), "text", ())


def test_many_cells_are_left_out_some_at_a_time():
    sizes: list[int] = []

    def log_probs(batch: Batch) -> Tensor:
        sizes.append(len(batch))
        return batch.inputs["text"].values.sum(1, keepdim=True).float()

    found = leave_one_out(log_probs, a_text(*range(100, 230)), "text", (), lambda: sizes.append(0))
    assert found[0].tolist() == list(range(100, 230))
    assert sizes == [1, 0, 64, 0, 64, 0, 2]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 5)])
def test_parts_of_an_image_tile_it(shape: tuple[int, int]):
    image = torch.rand(1, 2, 7, 11)
    counted = torch.zeros(7, 11)
    for part in areas(image, shape):
        counted[part] += 1
    assert len(areas(image, shape)) == shape[0] * shape[1]
    assert bool((counted == 1).all())


def test_a_part_is_covered_with_the_mean():
    image = torch.tensor([[[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]]])
    found = covered(image, (1, 2))
    assert found[:, 0, 0].tolist() == [[0.5, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 0.5]]
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def log_probs(batch: Batch) -> Tensor:
        return (batch.inputs["image"][:, 0, 0] * weights).sum(1, keepdim=True)

    # 7 - (0.5 + 1 + 7); 7 - (1.5 + 2).
    assert leave_one_out(log_probs, Batch({"image": image}), "image", (1, 2)).tolist() == [[-1.5, 3.5]]


class Squares(nn.Module):
    """Step 1 is the sum of the squares of a text's embeddings, step 2 that of its first alone, step 3 a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 3)
        self.other = nn.Embedding(10, 3)

    def log_probs(self, batch: Batch) -> Tensor:
        text = batch.inputs["text"].values
        self.other(text + 1)
        squares = (self.embedding(text) ** 2).sum(-1)
        return torch.stack([squares.sum(1), squares[:, 0], torch.zeros(len(text))], 1)


def test_the_gradient_by_embeddings_is_that_of_small_changes():
    torch.manual_seed(0)
    system = Squares()
    found = gradient_times_input(system, system.log_probs, a_text(4, 6), "text", ())
    rows = system.embedding.weight.detach()[[4, 6]]
    twice = (2 * rows**2).sum(1).tolist()
    np.testing.assert_allclose(found, [twice, [twice[0], 0], [0, 0]], rtol=1e-5)
    # Nothing is left on the module, and no gradient in its parameters.
    assert not any(module._forward_hooks for module in system.modules())
    assert all(parameter.grad is None for parameter in system.parameters())


def test_ids_that_no_table_looks_up_have_no_gradient():
    assert gradient_times_input(Squares(), lambda batch: torch.zeros(1, 1), a_text(4, 6), "text", ()) is None


class Marked(nn.Module):
    """Words with the number of their sentence: log p is the sum of the words' numbers, squared."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding.from_pretrained(torch.arange(8.0).unsqueeze(1), freeze=False)

    def log_probs(self, batch: Batch) -> torch.Tensor:
        cells = batch.inputs["text"]
        assert cells.mask.shape == cells.values.shape[:2]
        return self.words(cells.values[..., 0]).sum(1).square()


def test_of_cells_of_several_numbers_the_first_is_the_word():
    cells = torch.tensor([[[3, 0], [1, 0], [2, 1]]])
    batch, system = Batch({"text": Cells(cells, torch.ones(1, 3, dtype=torch.bool))}), Marked()
    by_gradient = gradient_times_input(system, system.log_probs, batch, "text", ())
    assert by_gradient is not None
    assert by_gradient.tolist() == [[36, 12, 24]]
    without = leave_one_out(system.log_probs, batch, "text", ())
    assert without.tolist() == [[36 - 9, 36 - 25, 36 - 16]]


def test_the_gradient_by_an_image_is_summed_over_its_parts():
    image = torch.rand(1, 1, 2, 4)

    def log_probs(batch: Batch) -> Tensor:
        pixels = batch.inputs["image"]
        return torch.stack([(pixels**2).sum((1, 2, 3)), torch.zeros(1)], 1)

    with torch.inference_mode():  # as searches are
        found = gradient_times_input(nn.Identity(), log_probs, Batch({"image": image}), "image", (1, 2))
    expected = [float((2 * image[..., :2] ** 2).sum()), float((2 * image[..., 2:] ** 2).sum())]
    np.testing.assert_allclose(found, [expected, [0, 0]], rtol=1e-5)


def test_work_that_nobody_waits_for_ends():
    def stop() -> None:
        raise InterruptedError

    system: Any = Squares()
    for call in (
        lambda: leave_one_out(system.log_probs, a_text(4, 6), "text", (), stop),
        lambda: gradient_times_input(system, system.log_probs, a_text(4, 6), "text", (), stop),
    ):
        with pytest.raises(InterruptedError):
            call()


def test_permuted_rows_have_their_weights_on_other_cells_the_same_each_time():
    weights = np.random.default_rng(0).random((4, 9))
    found = permuted(weights)
    np.testing.assert_array_equal(np.sort(found, 1), np.sort(weights, 1))
    assert (found != weights).any(1).all()
    np.testing.assert_array_equal(permuted(weights), found)
    (looks,) = rows_as_looks(weights)
    np.testing.assert_array_equal(looks[2], weights[2])
    assert list(looks) == [0, 1, 2, 3]
