"""The plain loop as a contender."""

import sys
from pathlib import Path

import torch
from protocol import BEGIN, LARGEST_GRADIENT, LEARNING_RATE, PAD, SIZE, Pair, handlers, read_sizes, serve
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence

sys.path.append(str(Path(__file__).parents[1]))
from plain_loop import PlainLoop

Batch = tuple[Tensor, Tensor]


class Plain:
    def __init__(self, folder: Path) -> None:
        self.model = PlainLoop(read_sizes(folder), SIZE, SIZE, SIZE)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)

    def batch(self, pairs: list[Pair]) -> Batch:
        source, target = (
            pad_sequence([torch.tensor(ids) for ids in side], batch_first=True, padding_value=PAD)
            for side in zip(*pairs, strict=True)
        )
        return source, target

    def train(self, batch: Batch) -> int:
        self.model.train()
        source, target = batch
        tokens = int((target != PAD).sum())
        self.optimizer.zero_grad()
        loss = self.model(source, source != PAD, target, BEGIN, PAD) / tokens
        loss.backward()
        clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        loss.item()
        return tokens

    def decode(self, batch: Batch, beam: int, lengths: list[int]) -> list[int]:
        raise ValueError("the plain loop is for training: it has no search")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    serve(handlers(Plain(place), place))
