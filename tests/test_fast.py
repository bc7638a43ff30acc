import subprocess
import sys
from itertools import product

import pytest
import torch
from torch.nn import functional as F

from attend import fast
from attend.fast import tanh_


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_tanh(dtype: torch.dtype):
    values = torch.cat([torch.linspace(-30, 30, 4001, dtype=dtype), torch.tensor([-torch.inf, torch.inf], dtype=dtype)])
    expected = torch.tanh(values)
    found = tanh_(values)
    torch.testing.assert_close(found, expected, rtol=0, atol=4 * torch.finfo(dtype).eps)
    assert found.data_ptr() == values.data_ptr()
    assert found.abs().max() <= 1


def test_with_a_gradient_nothing_is_overwritten():
    values = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: tanh_(x + 0), values)


LARGE_ARRAYS = """
import resource, sys, torch
from attend.fast import keep_memory
if sys.argv[1:]:
    keep_memory()
def work():
    for _ in range(20):
        torch.ones(1000, 10_000), torch.ones(1000, 10_000)
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
def test_memory_is_kept_for_the_next_arrays():
    def pages(*arguments: str) -> int:
        command = [sys.executable, "-c", LARGE_ARRAYS, *arguments]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert pages("keep") < 0.5 * pages()


ONEDNN = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN to take products"
)


@pytest.fixture
def on_any_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast, "by_onednn", lambda: True)


@ONEDNN
@pytest.mark.usefixtures("on_any_processor")
@pytest.mark.parametrize("shape", [(256,), (8, 32)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_a_large_linear_layer_and_its_gradients_are_torch_s(shape: tuple[int, ...], bias: bool):
    torch.manual_seed(0)
    # Every second column: neither the inputs nor the gradient lie as the product would have them.
    inputs = torch.randn(*shape, 192)[..., ::2].requires_grad_()
    layer = fast.Linear(96, 128, bias)
    given = [inputs, *layer.parameters()]
    weights = torch.randn(128, *shape).movedim(0, -1)
    assert fast.gains(inputs, 128, fast.GAIN_WITH_GRADIENT)
    found, expected = layer(inputs), F.linear(inputs, layer.weight, layer.bias)
    assert found.grad_fn.name() == "_LinearBackward"
    torch.testing.assert_close(found, expected)
    found_grads, expected_grads = (torch.autograd.grad((output * weights).sum(), given) for output in (found, expected))
    for found_grad, expected_grad in zip(found_grads, expected_grads, strict=True):
        torch.testing.assert_close(found_grad, expected_grad, rtol=1e-4, atol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(layer(inputs), expected)


@ONEDNN
@pytest.mark.usefixtures("on_any_processor")
@pytest.mark.parametrize("pairs", [None, 2])
def test_a_large_product_is_torch_s(pairs: int | None):
    torch.manual_seed(0)
    left, right = (torch.randn(*(() if pairs is None else (pairs,)), 128, 128) for _ in range(2))
    wide = torch.cat([right, left], dim=-1)
    with_gaps = wide[..., :128], wide[..., 128:].mT
    for one, other in (*product((left, left.mT), (right, right.mT)), with_gaps, with_gaps[::-1]):
        assert fast.gains(one, 128)
        torch.testing.assert_close(fast.multiply(one, other), one @ other, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("on_any_processor")
def test_other_types_and_small_products_are_left_to_torch():
    large = torch.ones(128, 128)
    assert fast.gains(large, 128)
    assert not fast.gains(large.double(), 128)
    assert not fast.gains(large.bfloat16(), 128)
    assert not fast.gains(torch.ones(8, 8), 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fast.gains(large, 128)
        assert fast.Linear(128, 128)(large).dtype == torch.bfloat16
