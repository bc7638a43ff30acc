"""Speed of models with a memory, side by side with the same models as plain loops: see README.md beside this file."""

import argparse
import json
import resource
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from attend.contract import Batch, Cells
from attend.layers import ages
from attend.systems import memn2n, ntm
from plain_memory import PlainMemn2n, PlainNtm
from rounds import alternate, ratio
from run import commit, cpu_seconds, machine

SEED = 1
ROUNDS = 15
# Updates of each contender in a round.
TURN = 3
# Copying ten vectors of eight bits: ten in, a mark, and ten out.
STEPS, BITS = 21, 8
# Stories as those of bAbI are.
SENTENCES, SENTENCE, VOCABULARY = 20, 7, 180
SLOTS = (32, 64, 128, 256, 512, 1024)
LENGTHS = (21, 42, 84, 168)

console = Console(width=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the contenders take turns")
    parser.add_argument("--out", type=Path, default=Path("results/bench-memory.json"), help="where the record goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # What training does: numbers too small for the usual representation are slow, and of no use.
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    started, metrics = time.perf_counter(), {}
    table = Table("model", "batch", "attend, updates/s", "plain loop", "faster", "least", "most")
    pairs = [("ntm, copying", "ntm", batch, ours(batch), plain(batch)) for batch in (1, 16)]
    pairs.append(("memn2n, stories", "memn2n", 32, *stories(32)))
    for title, name, batch, *works in pairs:
        turns = {"ours": rate(works[0]), "plain": rate(works[1])}
        for turn in turns.values():
            turn(0)
        rates = alternate(turns, arguments.rounds)
        faster = ratio(rates["ours"], rates["plain"])
        key = f"train_{name}_batch_{batch}"
        metrics |= {
            f"{key}_vs_plain_loop{end}": value for end, value in zip(("", "_low", "_high"), faster, strict=True)
        }
        metrics |= {f"{key}_updates_per_second": median(rates["ours"])}
        metrics |= {f"{key}_updates_per_second_plain_loop": median(rates["plain"])}
        rows = [f"{median(rates[side]):,.1f}" for side in ("ours", "plain")]
        table.add_row(title, str(batch), *rows, *(f"{value:.2f}" for value in faster))
    console.print(f"\n[bold]Memories[/], {STEPS} steps or {SENTENCES} sentences, one thread")
    console.print(table)
    metrics |= grown("slots", {slots: ours(16, slots=slots) for slots in SLOTS}, arguments.rounds)
    metrics |= grown("steps", {steps: ours(16, steps=steps) for steps in LENGTHS}, arguments.rounds)
    record = {
        "recipe": "memories bench",
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "commit": commit(),
        "seed": SEED,
        "machine": machine(threads=1),
        "data": "random bits and words",
        "split": "none",
        "metrics": {name: float(f"{value:.5g}") for name, value in metrics.items()},
        "train_seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": cpu_seconds(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")
    console.print(f"recorded in {arguments.out}")


def ours(batch: int, slots: int = 64, steps: int = STEPS) -> Callable[[], None]:
    system = ntm.System(ntm.Config(slots=slots), BITS + 1, BITS)
    return update(system, lambda inputs: system.run(inputs)[0], batch, steps)


def plain(batch: int) -> Callable[[], None]:
    config = ntm.Config(slots=64)
    system = PlainNtm(BITS + 1, BITS, config.hidden, config.slots, config.size, config.start)
    return update(system, system, batch, STEPS)


def stories(batch: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """An update of plain SGD on random stories, as attend computes it and as a plain loop."""
    config = memn2n.Config(noise=0.0)
    system = memn2n.System(config, VOCABULARY, VOCABULARY)
    story = torch.randint(4, VOCABULARY, (batch, SENTENCES, SENTENCE))
    query, mask = torch.randint(4, VOCABULARY, (batch, SENTENCE)), torch.ones(batch, SENTENCES, dtype=torch.bool)
    inputs = {"story": Cells(story, mask), "query": Cells(query, torch.ones_like(query, dtype=torch.bool))}
    given = Batch(inputs, torch.randint(VOCABULARY, (batch,)))
    other = PlainMemn2n(VOCABULARY, 4, config.hops, config.size, config.memories)
    age = ages(mask, 0.0, config.memories)

    def ours() -> torch.Tensor:
        return system(given).total

    def plain() -> torch.Tensor:
        return nn.functional.cross_entropy(other(story, age, query), given.target, reduction="sum")

    def work(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
        optimiser = torch.optim.SGD(model.parameters(), 1e-4, foreach=True)

        def step() -> None:
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()

        return step

    return work(system, ours), work(other, plain)


def update(
    system: nn.Module, run: Callable[[torch.Tensor], torch.Tensor], batch: int, steps: int
) -> Callable[[], None]:
    """An update of Adam on random bits: what is in them does not change what there is to do."""
    inputs, target = torch.rand(batch, steps, BITS + 1).round(), torch.rand(batch, steps, BITS).round()
    optimiser = torch.optim.Adam(system.parameters(), 1e-4, fused=True)

    def work() -> None:
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(run(inputs), target).backward()
        optimiser.step()

    return work


def rate(work: Callable[[], None]) -> Callable[[int], float]:
    """A turn: updates a second."""

    def turn(number: int) -> float:
        start = time.perf_counter()
        for _ in range(TURN):
            work()
        return TURN / (time.perf_counter() - start)

    return turn


def grown(what: str, works: dict[int, Callable[[], None]], rounds: int) -> dict[str, float]:
    """What an update costs by size, in ms: the least time, for what else a machine does only adds to it."""
    rates = alternate({str(size): rate(work) for size, work in works.items()}, rounds)
    costs = {size: 1000 / max(rates[str(size)]) for size in works}
    table = Table(what, "ms an update", f"ms per {what} and update")
    for size, cost in costs.items():
        table.add_row(f"{size:,}", f"{cost:.1f}", f"{cost / size:.3f}")
    console.print(table)
    return {f"ntm_{size}_{what}_milliseconds": cost for size, cost in costs.items()}


if __name__ == "__main__":
    main()
