"""A score function of one's own in the conditional GRU: the negative squared distance of query and key.

    attend train own_score:RECIPE --out runs/distance --data.train train.en train.de --data.valid valid.en valid.de
    attend predict runs/distance captions.en --recipe own_score:RECIPE

Run in this folder, or with it on PYTHONPATH.
"""

from dataclasses import replace

from torch import Tensor, nn

from attend.catalogue import find
from attend.systems import rnnsearch_modern


class Distance(nn.Module):
    """-|W v - q|^2 / sqrt(size): near keys score high."""

    def __init__(self, query_size: int, value_size: int) -> None:
        super().__init__()
        self.project = nn.Linear(value_size, query_size)

    def prepare(self, values: Tensor) -> Tensor:
        """Keys [batch memory size] of values [batch memory value], once per input."""
        return self.project(values)

    def forward(self, query: Tensor, keys: Tensor, previous: Tensor | None = None) -> Tensor:
        """Scores [batch query memory] of queries [batch query size]."""
        return -(query.unsqueeze(2) - keys.unsqueeze(1)).square().sum(-1) / query.shape[-1] ** 0.5


def system(config: rnnsearch_modern.Config, source_vocabulary: int, target_vocabulary: int) -> rnnsearch_modern.System:
    """The modern system with this score. Sizes come by name from the fields of the data."""
    score = Distance(config.hidden, 2 * config.hidden)
    return rnnsearch_modern.System(config, source_vocabulary, target_vocabulary, score)


RECIPE = replace(find("rnnsearch-modern"), about="attention by distance", system=system)
