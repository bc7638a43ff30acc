import pytest
import torch
from torch.nn import functional as F

from attend.learning import cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_cross_entropy_is_torchs_whatever_the_rows(smoothing: float, rows: int):
    torch.manual_seed(1)
    hidden = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(9, 4, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(9, dtype=torch.float64, requires_grad=True)
    target = torch.randint(9, (7,))
    logits = hidden @ weight.T + bias
    expected = F.cross_entropy(logits, target, label_smoothing=smoothing, reduction="sum")
    found = cross_entropy(hidden, weight, bias, target, smoothing, rows)
    torch.testing.assert_close(found.total, expected)
    torch.testing.assert_close(found.nll, F.cross_entropy(logits, target, reduction="sum"))
    torch.testing.assert_close(
        torch.autograd.grad(3 * found.total, [hidden, weight, bias]),
        torch.autograd.grad(3 * expected, [hidden, weight, bias]),
    )


def test_the_reported_likelihood_carries_no_gradient():
    hidden = torch.randn(2, 3, requires_grad=True)
    assert not cross_entropy(hidden, torch.randn(4, 3), torch.zeros(4), torch.tensor([0, 1])).nll.requires_grad


def test_huge_scores_stay_finite():
    hidden = torch.tensor([[1e4, -1e4]], requires_grad=True)
    found = cross_entropy(hidden, torch.eye(2), torch.zeros(2), torch.tensor([1]))
    torch.testing.assert_close(found.total, torch.tensor(2e4))
    found.total.backward()
    assert hidden.grad is not None
    torch.testing.assert_close(hidden.grad, torch.tensor([[1.0, -1.0]]))
