"""Speed of hierarchical attention, side by side with the same model as a plain loop: see README.md beside this file."""

import argparse
import json
import resource
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from attend.contract import PAD, Batch, Cells
from attend.systems import hierarchical
from plain_hierarchical import PlainHierarchical
from rounds import alternate, ratio
from run import commit, cpu_seconds, machine

SEED = 1
ROUNDS = 9
BATCH, VOCABULARY, CLASSES = 64, 20_000, 5
# As in reviews of films: sentences of a text and words of a sentence are about log-normal, with these medians and
# deviations.
SENTENCES, WORDS, MOST = (10, 0.6), (18, 0.65), 40

console = Console(width=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the contenders take turns")
    parser.add_argument(
        "--out", type=Path, default=Path("results/bench-hierarchical.json"), help="where the record goes"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    started, batch = time.perf_counter(), texts(np.random.default_rng(SEED))
    words = int(batch.inputs["text"].mask.sum())
    turns = {"ours": rate(ours(batch), words), "plain": rate(plain(batch), words)}
    for turn in turns.values():
        turn(0)
    rates = alternate(turns, arguments.rounds)
    faster = ratio(rates["ours"], rates["plain"])
    metrics = {f"train_vs_plain_loop{end}": value for end, value in zip(("", "_low", "_high"), faster, strict=True)}
    metrics |= {f"words_per_second_{name}": median(rates[name]) for name in turns}
    console.print(f"hierarchical attention, batches of {BATCH} texts, one thread: {faster[0]:.2f} times as fast")
    console.print(f"({faster[1]:.2f} to {faster[2]:.2f}); words a second: {rates}")
    record = {
        "recipe": "hierarchical bench",
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "commit": commit(),
        "seed": SEED,
        "machine": machine(threads=1),
        "data": "random words",
        "split": "none",
        "metrics": {name: float(f"{value:.5g}") for name, value in metrics.items()},
        "train_seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": cpu_seconds(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")
    console.print(f"recorded in {arguments.out}")


def texts(rng: np.random.Generator) -> Batch:
    """Texts of like length, as training has them."""
    counts = np.sort(rng.lognormal(np.log(SENTENCES[0]), SENTENCES[1], 20 * BATCH).astype(int).clip(1, 60))
    cells = [sentences(rng, count) for count in counts[10 * BATCH : 11 * BATCH]]
    mask = np.arange(max(map(len, cells))) < np.array([len(one) for one in cells])[:, None]
    values = np.full((*mask.shape, 2), PAD)
    values[mask] = np.concatenate(cells)
    target = torch.from_numpy(rng.integers(CLASSES, size=BATCH))
    return Batch({"text": Cells(torch.from_numpy(values), torch.from_numpy(mask))}, target)


def sentences(rng: np.random.Generator, count: int) -> np.ndarray:
    lengths = rng.lognormal(np.log(WORDS[0]), WORDS[1], count).astype(int).clip(1, MOST)
    return np.stack([rng.integers(4, VOCABULARY, size=lengths.sum()), np.repeat(np.arange(count), lengths)], 1)


def apart(text: Cells) -> tuple[Tensor, Tensor]:
    """Words [batch sentence word], with a mask."""
    of = hierarchical.sentences_of(text)
    shape = len(text.mask), int(of.place.max()) + 1, of.mask.shape[1]
    words, mask = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool)
    words[of.text, of.place] = text.values[..., 0][text.mask][of.words] * of.mask
    mask[of.text, of.place] = of.mask
    return words, mask


def ours(batch: Batch) -> Callable[[], None]:
    system = hierarchical.System(hierarchical.Config(), VOCABULARY, CLASSES)
    optimiser = torch.optim.Adam(system.parameters(), 1e-4, fused=True)

    def work() -> None:
        optimiser.zero_grad()
        (system(batch).total / BATCH).backward()
        optimiser.step()

    return work


def plain(batch: Batch) -> Callable[[], None]:
    config = hierarchical.Config()
    system = PlainHierarchical(VOCABULARY, CLASSES, config.embedding, config.hidden, config.attention)
    optimiser = torch.optim.Adam(system.parameters(), 1e-4, fused=True)
    words, mask = apart(batch.inputs["text"])

    def work() -> None:
        optimiser.zero_grad()
        F.cross_entropy(system(words, mask), batch.target).backward()
        optimiser.step()

    return work


def rate(work: Callable[[], None], words: int) -> Callable[[int], float]:
    """A turn: words a second."""

    def turn(number: int) -> float:
        start = time.perf_counter()
        work()
        return words / (time.perf_counter() - start)

    return turn


if __name__ == "__main__":
    main()
