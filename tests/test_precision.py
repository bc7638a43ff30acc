"""Mixed precision of hand-written functions: what is taken in which type."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from attend.learning import cross_entropy
from attend.precision import bf16_speed, plus_product, product
from attend.recurrence import conditional_gru, gru

# bfloat16 has eight significant bits: next to 1 it drops this.
BELOW = 2.0**-9


def test_factors_are_rounded_and_the_sum_is_not():
    left = torch.tensor([[1 + BELOW, 1.0]])
    right = torch.tensor([[1.0], [4 * BELOW]])
    addend = torch.tensor([[BELOW]])
    assert product(left, right, torch.float32).item() == 1 + 5 * BELOW
    assert product(left, right, torch.bfloat16).item() == 1 + 4 * BELOW
    assert product(left, right, torch.bfloat16).dtype == torch.float32
    assert plus_product(addend, left, right).item() == 1 + 6 * BELOW
    assert plus_product(addend, left, right.bfloat16()).item() == 1 + 5 * BELOW


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sum_can_be_written_into_a_place(dtype: torch.dtype):
    addend, left, right = torch.ones(2, 3), torch.ones(2, 4), torch.ones(4, 3, dtype=dtype)
    place = torch.zeros(2, 3)
    assert plus_product(addend, left, right, out=place) is place
    assert place.eq(5).all()
    plus_product(place, left, right, out=place)
    assert place.eq(9).all()


def leaves(*shapes: Sequence[int]) -> list[Tensor]:
    torch.manual_seed(0)
    return [(0.5 * torch.randn(*shape)).requires_grad_() for shape in shapes]


def two_grus(inputs: Tensor, initial: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return gru(inputs, initial, weight, bias).square().sum()


def a_decoder(
    inputs: Tensor, initial: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, *looks: Tensor
) -> Tensor:
    query, energy, keys, projected = looks
    mask = torch.ones(keys.shape[:2], dtype=torch.bool)
    return (
        conditional_gru(inputs, initial, (weight1, bias1), (weight2, bias2), query, energy, keys, projected, mask)[0]
        .square()
        .sum()
    )


def a_loss(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return cross_entropy(hidden, weight, bias, torch.arange(6), 0.1, 4).total


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (two_grus, [(5, 2, 3, 24), (2, 3, 8), (2, 24, 8), (2, 24)]),
        (a_decoder, [(5, 3, 24), (3, 8), (24, 8), (24,), (24, 8), (24,), (7, 8), (7,), (3, 4, 7), (3, 4, 24)]),
        (a_loss, [(6, 8), (9, 8), (9,)]),
    ],
)
def test_autocast_narrows_the_products_of_a_hand_written_function(
    function: Callable[..., Tensor], shapes: list[tuple[int, ...]]
):
    arguments = leaves(*shapes)
    exact = function(*arguments)
    with torch.autocast("cpu", torch.bfloat16):
        found = function(*arguments)
    assert found.dtype == torch.float32
    assert found.item() != exact.item()
    assert found.item() == pytest.approx(exact.item(), rel=0.01)
    expected = torch.autograd.grad(exact, arguments)
    for gradient, wanted in zip(torch.autograd.grad(found, arguments), expected, strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - wanted).norm() <= 0.03 * wanted.norm()


def test_a_processor_is_measured():
    assert 0.01 < bf16_speed(size=64, tries=2) < 100
