"""What would need more memory than there is, is refused before it is asked for."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from attend.memory import free_memory, kept_for_backward, require, said_when_out, within_memory

CPU = torch.device("cpu")


def test_what_fits_is_not_refused() -> None:
    assert free_memory(CPU) > 2**20
    require(2**20, CPU, "this", "nothing to do")
    with within_memory("this", "nothing to do"):
        layer = nn.Linear(3, 4)
    assert layer.weight.shape == (4, 3)


def test_what_does_not_fit_is_refused_before_it_is_made() -> None:
    with pytest.raises(ValueError, match=r"a beam.*GiB.*choose a smaller one"):
        require(2.0**60, CPU, "a beam of a million", "choose a smaller one")
    with pytest.raises(ValueError, match=r"this layer.*choose"), within_memory("this layer", "choose a smaller one"):
        nn.Linear(10**9, 10**9)
    with pytest.raises(ValueError, match="copies"), within_memory("copies", "choose fewer", copies=10**6):
        nn.Sequential(*(nn.Linear(2000, 2000) for _ in range(4)))


def test_what_is_built_is_the_same() -> None:
    torch.manual_seed(1)
    plain = nn.GRUCell(3, 4)
    torch.manual_seed(1)
    with within_memory("this", "nothing to do"):
        again = nn.GRUCell(3, 4)
    assert torch.equal(plain.weight_hh, again.weight_hh)


def test_sizes_are_counted_however_they_are_given() -> None:
    with within_memory("numbers", "choose fewer", copies=10**6):
        torch.zeros(())
        torch.empty(2, 3)
        torch.full((2, 3), 1.0)
        with pytest.raises(ValueError, match="numbers"):
            torch.ones(size=(3000, 4000))


def test_what_is_kept_for_the_backward_pass_is_counted_and_nothing_changed() -> None:
    system = nn.Sequential(nn.Linear(100, 10), nn.BatchNorm1d(10), nn.Dropout(0.5), nn.Tanh())
    running, few, many = system.state_dict()["1.running_mean"].clone(), torch.randn(10, 100), torch.randn(1000, 100)
    chance = torch.get_rng_state()
    assert 4 * 10 * 100 < kept_for_backward(system, few) < 4 * 10 * 200  # the input, and results of a tenth of its size
    assert kept_for_backward(system, many) == pytest.approx(100 * kept_for_backward(system, few), rel=0.1)
    assert torch.equal(system.state_dict()["1.running_mean"], running)
    assert torch.equal(torch.get_rng_state(), chance)


def test_memory_that_runs_out_is_said_with_advice() -> None:
    with pytest.raises(ValueError, match="out of memory: choose fewer"), said_when_out("choose fewer"):
        torch.empty(2**50)
    with pytest.raises(RuntimeError, match="another"), said_when_out("choose fewer"):
        raise RuntimeError("another")


def test_the_compiler_is_not_imported() -> None:
    """It takes a second, in every command that loads a model."""
    lines = "import sys; from torch import nn; from attend.memory import within_memory\n"
    lines += "with within_memory('this', ''): nn.Linear(2, 2)\nsys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", lines], check=False).returncode == 0
