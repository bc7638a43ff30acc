"""How well a query matches each cell: (query, keys, previous weights) -> scores.

Each score is a module with two methods: `prepare(values)` projects the memory's values to keys, once per input, and
`forward(query, keys, previous)` scores them for every query. Queries have their own axis, so a decoder step (one query
per hypothesis) and a reader (all queries at once) use the same code. `previous` holds the previous look's weights; only
location-aware scores use it.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from attend.fast import Linear, tanh_


@runtime_checkable
class Score(Protocol):
    """Two methods: `prepare` once per input, then a call per look."""

    def prepare(self, values: Float[Tensor, "batch memory value"]) -> Float[Tensor, "batch memory key"]: ...

    def __call__(
        self,
        query: Float[Tensor, "batch query size"],
        keys: Float[Tensor, "batch memory key"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]: ...


class Dot(nn.Module):
    """q . k, for queries and values of the same size (Luong et al. 2015, "dot").

    >>> import torch
    >>> score, values = Dot(), torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    >>> score(torch.tensor([[[3.0, 4.0]]]), score.prepare(values))
    tensor([[[3., 8.]]])
    """

    def prepare(self, values: Float[Tensor, "batch memory value"]) -> Float[Tensor, "batch memory value"]:
        return values

    def forward(
        self,
        query: Float[Tensor, "batch query size"],
        keys: Float[Tensor, "batch memory size"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        return query @ keys.mT


class ScaledDot(Dot):
    """q . k / sqrt(size), so that the scores' variance does not grow with the size (Vaswani et al. 2017, eq. 1).

    >>> import torch
    >>> score = ScaledDot()
    >>> score(torch.full((1, 1, 4), 2.0), score.prepare(torch.ones(1, 1, 4)))
    tensor([[[4.]]])
    """

    def forward(
        self,
        query: Float[Tensor, "batch query size"],
        keys: Float[Tensor, "batch memory size"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        return query @ keys.mT / query.shape[-1] ** 0.5


class Bilinear(nn.Module):
    """q^T W v (Luong et al. 2015, "general"): W is applied to the values, once.

    >>> import torch
    >>> score = Bilinear(query_size=3, value_size=2)
    >>> keys = score.prepare(torch.zeros(1, 5, 2))
    >>> keys.shape, score(torch.zeros(1, 4, 3), keys).shape
    (torch.Size([1, 5, 3]), torch.Size([1, 4, 5]))
    """

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__()
        self.project = Linear(value_size, query_size, bias=False)

    def prepare(self, values: Float[Tensor, "batch memory value"]) -> Float[Tensor, "batch memory size"]:
        return self.project(values)

    def forward(
        self,
        query: Float[Tensor, "batch query size"],
        keys: Float[Tensor, "batch memory size"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        return query @ keys.mT


class Additive(nn.Module):
    """v^T tanh(W q + U h): Bahdanau et al. 2014, appendix A.1.2 (v_a, W_a, U_a there).

    The paper's alignment model has no bias; `bias=True` adds one inside the tanh, as later implementations do.

    >>> import torch
    >>> score = Additive(query_size=3, value_size=2, size=8)
    >>> keys = score.prepare(torch.zeros(1, 5, 2))
    >>> score(torch.zeros(1, 1, 3), keys).shape
    torch.Size([1, 1, 5])
    """

    def __init__(self, query_size: int, value_size: int, size: int, bias: bool = False) -> None:
        super().__init__()
        self.query = Linear(query_size, size, bias=False)
        self.key = Linear(value_size, size, bias=bias)
        self.energy = Linear(size, 1, bias=False)

    def prepare(self, values: Float[Tensor, "batch memory value"]) -> Float[Tensor, "batch memory size"]:
        return self.key(values)

    def forward(
        self,
        query: Float[Tensor, "batch query query_size"],
        keys: Float[Tensor, "batch memory size"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        hidden = tanh_(self.query(query).unsqueeze(2) + keys.unsqueeze(1))  # batch query memory size
        return self.energy(hidden).squeeze(-1)


class Perceptron(nn.Module):
    """q . tanh(W v + b): a query, which may be learnt, meets a hidden layer of the value (Yang et al. 2016, eqs. 5 and
    6; without b Lin et al. 2017, eq. 6).

    >>> import torch
    >>> score = Perceptron(value_size=2, size=8)
    >>> keys = score.prepare(torch.zeros(1, 5, 2))
    >>> score(torch.zeros(1, 3, 8), keys).shape
    torch.Size([1, 3, 5])
    """

    def __init__(self, value_size: int, size: int, bias: bool = True) -> None:
        super().__init__()
        self.key = Linear(value_size, size, bias=bias)

    def prepare(self, values: Float[Tensor, "batch memory value"]) -> Float[Tensor, "batch memory size"]:
        return tanh_(self.key(values))

    def forward(
        self,
        query: Float[Tensor, "batch query size"],
        keys: Float[Tensor, "batch memory size"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        return query @ keys.mT


class Cosine(nn.Module):
    """Sharpness times the cosine of query and key (Graves et al. 2014, eqs. 5 and 6).

    A model that computes a sharpness for each look multiplies the scores itself.

    >>> import torch
    >>> score, values = Cosine(sharpness=10), torch.tensor([[[5.0, 0.0], [0.0, 5.0]]])
    >>> score(torch.tensor([[[2.0, 0.0]]]), score.prepare(values))
    tensor([[[10.,  0.]]])
    """

    def __init__(self, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = sharpness

    def prepare(self, values: Float[Tensor, "batch memory value"]) -> Float[Tensor, "batch memory value"]:
        return F.normalize(values, dim=-1, eps=1e-8)

    def forward(
        self,
        query: Float[Tensor, "batch query size"],
        keys: Float[Tensor, "batch memory size"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        return self.sharpness * (F.normalize(query, dim=-1, eps=1e-8) @ keys.mT)


class LocationAware(nn.Module):
    """v^T tanh(W q + U h + V f + b), f = F * previous: Chorowski et al. 2015, eqs. 8 and 9.

    `previous` is convolved along the memory with `filters` kernels of `width` cells (odd), zeros beyond the ends;
    before the first look it is all zeros.

    >>> import torch
    >>> score = LocationAware(query_size=3, value_size=2, size=8, filters=4, width=3)
    >>> keys, query = score.prepare(torch.zeros(1, 5, 2)), torch.zeros(1, 1, 3)
    >>> score(query, keys, previous=torch.eye(5)[None, 2:3]).shape
    torch.Size([1, 1, 5])
    """

    def __init__(self, query_size: int, value_size: int, size: int, filters: int, width: int) -> None:
        super().__init__()
        if width < 1 or width % 2 == 0:
            raise ValueError(f"width must be odd and positive, so that a kernel has a centre, not {width}")
        self.query = Linear(query_size, size, bias=False)
        self.key = Linear(value_size, size)
        self.convolve = nn.Conv1d(1, filters, width, padding=width // 2, bias=False)
        self.location = Linear(filters, size, bias=False)
        self.energy = Linear(size, 1, bias=False)

    def prepare(self, values: Float[Tensor, "batch memory value"]) -> Float[Tensor, "batch memory size"]:
        return self.key(values)

    def forward(
        self,
        query: Float[Tensor, "batch query query_size"],
        keys: Float[Tensor, "batch memory size"],
        previous: Float[Tensor, "batch query memory"] | None = None,
    ) -> Float[Tensor, "batch query memory"]:
        batch, queries, _ = query.shape
        if previous is None:
            previous = keys.new_zeros(batch, queries, keys.shape[1])
        features = self.convolve(previous.reshape(batch * queries, 1, -1))  # batch*query filters memory
        features = features.mT.reshape(batch, queries, keys.shape[1], -1)
        hidden = tanh_(self.query(query).unsqueeze(2) + keys.unsqueeze(1) + self.location(features))
        return self.energy(hidden).squeeze(-1)
