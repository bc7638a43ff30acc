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

    @torch.inference_mode()
    def decode(self, batch: Batch, beam: int, steps: int) -> None:
        if beam != 1:
            raise ValueError("the plain loop has no beam search: ask it for beam 1")
        self.model.eval()
        source, mask = batch[0], batch[0] != PAD
        annotations, state = self.model.encode(source, mask)
        token = torch.full((len(source),), BEGIN)
        for _ in range(steps):
            scores, state = self.model.step(token, state, annotations, mask)
            token = scores.argmax(1)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    serve(handlers(Plain(place), place))
