import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attend.layers import BidirectionalGRU, GatedUnit, NGrams, gaussian, masked_mean, maxout, reverse_order, shift_right


def test_a_sequence_is_reversed_within_its_own_length():
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=torch.bool)
    assert reverse_order(mask).tolist() == [[3, 2, 1, 0], [1, 0, 2, 3]]


def test_the_decoder_takes_in_begin_and_all_but_the_last():
    assert shift_right(torch.tensor([[5, 6, 3], [7, 3, 0]]), 2).tolist() == [[2, 5, 6], [2, 7, 3]]


def test_maxout_takes_the_larger_of_each_pair():
    assert maxout(torch.tensor([[1.0, 4.0, -2.0, -3.0]])).tolist() == [[4.0, -2.0]]


def test_the_mean_is_over_real_cells():
    values = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert masked_mean(values, torch.tensor([[True, True, False]])).tolist() == [[2.0]]


def test_bidirectional_gru_is_torchs_over_packed_sequences():
    torch.manual_seed(0)
    ours, reference = BidirectionalGRU(4, 5).double(), nn.GRU(4, 5, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        reference.weight_ih_l0.copy_(ours.input.weight[:15])
        reference.weight_ih_l0_reverse.copy_(ours.input.weight[15:])
        reference.bias_ih_l0.copy_(ours.input.bias[:15])
        reference.bias_ih_l0_reverse.copy_(ours.input.bias[15:])
        nn.init.normal_(ours.bias)
        for name, part in (("l0", 0), ("l0_reverse", 1)):
            getattr(reference, f"weight_hh_{name}").copy_(ours.recurrent[part])
            getattr(reference, f"bias_hh_{name}").copy_(ours.bias[part])
    inputs = torch.randn(3, 6, 4, dtype=torch.float64)
    lengths = torch.tensor([6, 2, 4])
    mask = torch.arange(6) < lengths.unsqueeze(1)
    annotations, final = ours(inputs, mask)
    packed, last = reference(pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False))
    torch.testing.assert_close(annotations, pad_packed_sequence(packed, batch_first=True)[0])
    torch.testing.assert_close(final, torch.cat([last[0], last[1]], dim=-1))


def test_the_gated_unit_is_the_papers_and_not_torchs():
    torch.manual_seed(0)
    unit = GatedUnit(3, 4).double()
    gaussian(unit, 0.5)
    inputs, state = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    found = unit(unit.input(inputs), state).detach().numpy()

    def sigmoid(values: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-values))

    weights, gates, new = (part.weight.detach().numpy() for part in (unit.input, unit.gates, unit.new))
    for x, h, expected in zip(inputs.numpy(), state.numpy(), found, strict=True):
        reset = sigmoid(weights[:4] @ x + gates[:4] @ h)
        update = sigmoid(weights[4:8] @ x + gates[4:] @ h)
        candidate = np.tanh(weights[8:] @ x + new @ (reset * h))
        np.testing.assert_allclose(expected, update * h + (1 - update) * candidate)


def test_on_padding_a_gated_units_state_stays():
    unit = GatedUnit(3, 4)
    states = unit.run(unit.input(torch.randn(1, 3, 3)), torch.zeros(1, 4), torch.tensor([[True, True, False]]))
    assert torch.equal(states[0, 2], states[0, 1])
    assert not torch.equal(states[0, 1], states[0, 0])


def test_recurrent_matrices_are_orthogonal():
    unit = GatedUnit(3, 4)
    unit.make_orthogonal()
    for block in (*unit.gates.weight.split(4), unit.new.weight):
        torch.testing.assert_close(block @ block.T, torch.eye(4))


def test_ngrams_are_the_same_wherever_they_stand():
    first, second = NGrams(3, 1000, 1).rows(torch.tensor([[5, 6, 7], [9, 6, 7]])).unbind()
    assert first[2, 0] == second[2, 0]
    assert first[2, 1] == second[2, 1]  # "6 7"
    assert first[2, 2] != second[2, 2]  # "5 6 7" and "9 6 7"


@pytest.mark.parametrize("buckets", [1000, 1024, 250_000])
def test_ngrams_are_spread_over_their_table(buckets):
    words = torch.randint(4, 30_000, (1, 2 * buckets), generator=torch.Generator().manual_seed(0))
    rows = NGrams(2, buckets, 1).rows(words)[0, :, 1]
    expected = buckets * (1 - (1 - 1 / buckets) ** (2 * buckets))
    assert len(rows.unique()) > 0.98 * expected


def test_a_word_is_the_sum_of_its_ngrams():
    grams = NGrams(2, 1000, 3)
    words = torch.tensor([[5, 6]])
    rows = grams.rows(words)[0]
    expected = grams.table.weight[rows[:, 0]] + grams.table.weight[rows[:, 1]]
    torch.testing.assert_close(grams(words)[0], expected)
