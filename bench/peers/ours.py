"""attend's RNNsearch as a contender, and what is measured of it alone: where its time goes, and the machine's peak."""

import json
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from protocol import END, LARGEST_GRADIENT, LEARNING_RATE, SIZE, Pair, handlers, own_loader, read_sizes, serve
from torch.nn.utils import clip_grad_norm_
from torch.profiler import ProfilerActivity, profile

from attend.contract import BEGIN, PAD, Batch
from attend.decoding import beam_search, greedy
from attend.fast import keep_memory, multiply
from attend.fields.field import stack_cells
from attend.systems.rnnsearch_modern import Config, System
from attend.task import Supervised

sys.path.append(str(Path(__file__).parents[1]))
from corpus import multi30k, silent

# What an operation's name must contain one of, to belong to a group; the first group that fits takes it.
GROUPS = {
    "matrix products": ("_linear_pointwise", "mm", "bmm", "addmv", "linear", "matmul", "dot"),
    "optimiser": ("adam", "foreach", "norm"),
    "softmax": ("softmax", "logsumexp"),
    "gates and tanh": ("sigmoid", "tanh", "addcmul", "lerp"),
    "copies and indexing": ("copy", "index", "gather", "scatter", "cat", "embedding", "stack", "contiguous", "where"),
    "memory": ("empty", "zero", "fill", "resize", "alloc"),
    "views": ("view", "slice", "select", "transpose", "permute", "reshape", "expand", "as_strided", "squeeze", "split"),
    "sums and pointwise": ("aten::",),
}


class Ours:
    def __init__(self, folder: Path, bf16: bool = False) -> None:
        self.folder, self.bf16 = folder, bf16
        keep_memory()  # as training and loading a run do
        # Without dropout and label smoothing, which the other contenders don't have here either.
        config = Config(SIZE, SIZE, SIZE, "additive", 0.0, 0.0, 0.0, 0.0)
        self.system = System(config, *read_sizes(folder))
        self.optimizer = torch.optim.Adam(self.system.parameters(), lr=LEARNING_RATE, fused=True)

    def batch(self, pairs: list[Pair]) -> Batch:
        sources, targets = zip(*pairs, strict=True)
        return Batch({"source": stack_cells(sources)}, stack_cells(targets))

    def own_batches(self) -> Iterator[Batch]:
        """The batches of one epoch after the other, as training gets them."""
        made_by = multi30k(json.loads((self.folder / "own.json").read_text())["seed"])
        task = Supervised.open(made_by, made_by.settings, self.folder)
        task.read(silent)
        for epoch in count():
            for members in task.plan(epoch):
                yield task.batch(epoch, members)

    def train(self, batch: Batch) -> int:
        self.system.train()
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):  # as training.precision bf16 does
            loss = self.system(batch)
        (loss.total / loss.units).backward()
        clip_grad_norm_(self.system.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        loss.total.item()
        return loss.units

    def decode(self, batch: Batch, beam: int, lengths: list[int]) -> list[int]:
        self.system.eval()
        # An output that may not end is cut off at its longest.
        forbid, longest = (PAD, BEGIN, END), torch.tensor(lengths)
        if beam == 1:
            found = greedy(self.system, batch, longest, forbid=forbid)
        else:
            found = beam_search(self.system, batch, longest, beam, forbid=forbid)
        return [len(best[0].tokens) for best in found]


def measure_peak(size: int = 2048, products: int = 6) -> dict[str, float]:
    """The rate of large matrix products, in GFLOP/s: what this machine does at best with these threads."""
    left, right = torch.randn(2, size, size)
    begin = time.perf_counter()
    for _ in range(products):
        multiply(left, right)
    return {"gflops": products * 2 * size**3 / (time.perf_counter() - begin) / 1e9}


def where_time_goes(ours: Ours, pairs: list[list[Pair]]) -> dict[str, float]:
    """The share of each group of operations in the time of updates; what is left is Python between them."""
    batches = [ours.batch(part) for part in pairs]
    begin = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for batch in batches:
            ours.train(batch)
        seconds = time.perf_counter() - begin
    shares = dict.fromkeys(GROUPS, 0.0)
    for event in record.key_averages():
        if event.key.startswith(("aten::", "mkldnn::")):
            group = next(name for name, parts in GROUPS.items() if any(part in event.key for part in parts))
            shares[group] += event.self_cpu_time_total / 1e6 / seconds
    return {**shares, "Python and autograd": 1 - sum(shares.values())}


def main(bf16: bool) -> None:
    place = Path(sys.argv[1])
    contender = Ours(place, bf16)
    train: list[list[Pair]] = json.loads((place / "train.json").read_text())
    serve(
        {
            **handlers(contender, place),
            "train own": own_loader(contender, contender.own_batches()),
            "peak": measure_peak,
            "profile": lambda count: where_time_goes(contender, train[:count]),
        }
    )


if __name__ == "__main__":
    main(bf16=False)
