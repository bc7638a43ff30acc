import subprocess
import sys

import pytest
import torch

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
