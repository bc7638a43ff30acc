"""One attention mechanism: a score and a normaliser."""

from jaxtyping import Bool, Float
from torch import Tensor, nn

from attend.attention.memory import Memory, Read
from attend.attention.normalise import Normalise, check_mask
from attend.attention.score import Score


class Attend(nn.Module):
    """Prepare a memory once per input, then attend to it once per step.

    The context is the expectation of the values under the weights (Bahdanau et al. 2014, eq. 5); for one-hot weights
    that is the value of the sampled cell.

    >>> import torch
    >>> from attend.attention.normalise import softmax
    >>> from attend.attention.score import Dot
    >>> attend = Attend(Dot(), softmax)
    >>> memory = attend.prepare(torch.tensor([[[20.0, 0.0], [0.0, 20.0]]]), torch.tensor([[True, True]]))
    >>> read = attend(torch.tensor([[[1.0, 1.0], [20.0, 0.0]]]), memory)
    >>> read.weights
    tensor([[[0.5000, 0.5000],
             [1.0000, 0.0000]]])
    >>> read.context.shape
    torch.Size([1, 2, 2])
    """

    def __init__(self, score: Score, normalise: Normalise) -> None:
        super().__init__()
        self.score = score
        self.normalise = normalise

    def prepare(
        self, values: Float[Tensor, "batch memory value"], mask: Bool[Tensor, "batch memory"], over: str = ""
    ) -> Memory:
        """Project the keys. `over` is the field of the cells. Raises `ValueError` if an example is all padding."""
        check_mask(mask)
        return Memory(self.score.prepare(values), values, mask, over=over)

    def forward(
        self,
        query: Float[Tensor, "batch query size"],
        memory: Memory,
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Read:
        choice = self.normalise(self.score(query, memory.keys, previous), memory.mask)
        weights = memory.or_forced(choice.weights)
        return Read(weights @ memory.values, weights, choice.log_prob)
