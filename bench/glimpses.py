"""Speed of RAM and DRAW, side by side with the same models as plain loops: see README.md beside this file."""

import argparse
import json
import resource
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from attend.contract import Batch, Pictures
from attend.systems import draw, ram
from plain_glimpses import PlainDraw, PlainRam, Sizes
from rounds import alternate, ratio
from run import commit, cpu_seconds, machine

SEED = 1
BATCH = 128
ROUNDS = 9
# Updates, or batches predicted, of each contender in a round.
TURN = 10

Work = Callable[[], object]
console = Console(width=110)


@dataclass(frozen=True)
class Case:
    """A model and how its yardstick and it train on a batch and predict one."""

    name: str
    ours: tuple[Work, Work]
    plain: tuple[Work, Work]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the contenders take turns")
    parser.add_argument("--out", type=Path, default=Path("results/bench-glimpses.json"), help="where the record goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # What training does: numbers too small for the usual representation are slow, and of no use.
    torch.set_flush_denormal(True)
    torch.manual_seed(SEED)
    cases = [
        ram_case("ram 28x28", ram.Config(), 28),
        ram_case("ram 60x60, 3 scales", ram.Config(size=12, scales=3), 60),
        draw_case("draw 28x28, 10 steps", draw.Config(steps=10, read=5), 28),
    ]
    metrics: dict[str, float] = {}
    table = Table("model", "", "attend, images/s", "plain loop", "faster", "least", "most", "CPU us an image")
    train_seconds = 0.0
    for case in cases:
        for what, ours, plain in zip(("train", "predict"), case.ours, case.plain, strict=True):
            turns = {"ours": images_per_second(ours), "plain": images_per_second(plain)}
            for turn in turns.values():
                turn(0)
            rates = alternate(turns, arguments.rounds)
            faster = ratio(rates["ours"], rates["plain"])
            cpu = cpu_per_image(ours)
            if what == "train":
                train_seconds += sum(BATCH * TURN / rate for rate in rates["ours"])
            key = f"{what}_{case.name.replace(', ', '_').replace(' ', '_')}"
            metrics[f"{key}_vs_plain_loop"] = faster.middle
            metrics[f"{key}_vs_plain_loop_low"], metrics[f"{key}_vs_plain_loop_high"] = faster.low, faster.high
            metrics[f"{key}_images_per_second"] = median(rates["ours"])
            metrics[f"{key}_images_per_second_plain_loop"] = median(rates["plain"])
            metrics[f"{key}_cpu_microseconds_per_image"] = cpu * 1e6
            rows = [f"{median(rates[name]):,.0f}" for name in ("ours", "plain")]
            table.add_row(case.name, what, *rows, *(f"{value:.2f}" for value in faster), f"{cpu * 1e6:,.0f}")
    console.print(f"\n[bold]Glimpses[/], batches of {BATCH}, one thread")
    console.print(table)
    metrics |= threads(cases, min(arguments.rounds, 3))
    record = {
        "recipe": "ram bench",
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "commit": commit(),
        "seed": SEED,
        "machine": machine(threads=1),
        "data": "random images",
        "split": "none",
        "metrics": {name: float(f"{value:.5g}") for name, value in metrics.items()},
        "train_seconds": round(train_seconds, 1),
        "cpu_seconds": cpu_seconds(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")
    console.print(f"recorded in {arguments.out}")


def ram_case(name: str, config: ram.Config, pixels: int) -> Case:
    """RAM on random images: what is in them does not change what there is to do."""
    images, label = torch.rand(BATCH, 1, pixels, pixels), torch.randint(10, (BATCH,))
    batch = Batch({"image": images}, label)
    ours = ram.System(config, 1, 10)
    sizes = Sizes(
        config.glimpses, config.size, config.scales, config.hidden, config.sensed, config.glimpse, config.deviation
    )
    plain = PlainRam(sizes, 1, 10)
    return Case(
        name,
        (updates(ours, lambda: ours(batch).total), predictions(lambda: ours.answer(batch))),
        (
            updates(plain, lambda: plain(images, label, torch.randn(config.glimpses, BATCH, 2))),
            predictions(lambda: plain.classify(images)),
        ),
    )


def draw_case(name: str, config: draw.Config, pixels: int) -> Case:
    """DRAW on random images; its prediction is to generate new ones."""
    batch = Pictures(torch.rand(BATCH, 1, pixels, pixels).round())
    ours = draw.System(config, 1, pixels, pixels)
    plain = PlainDraw(config.hidden, config.latent, config.read, config.write, 1, pixels)
    # Where a filter is narrow its bank is mostly zeros: both start alike.
    for layer, count, writes in ((plain.write_aim, config.write, True), (plain.read_aim, config.read, False)):
        draw.aim_at_everything(layer, draw.first_aim(count, pixels, pixels, writes))
    return Case(
        name,
        (updates(ours, lambda: ours(batch).total), predictions(lambda: ours.generate(ours.noise(BATCH)))),
        (
            updates(plain, lambda: plain(batch.images, ours.noise(BATCH))),
            predictions(lambda: plain.generate(ours.noise(BATCH))),
        ),
    )


def updates(system: nn.Module, loss: Callable[[], torch.Tensor]) -> Work:
    """An update of Adam, as the training loop makes it: both contenders get the same optimiser."""
    optimiser = torch.optim.Adam(system.parameters(), 1e-4, fused=True)

    def update() -> None:
        optimiser.zero_grad()
        (loss() / BATCH).backward()
        optimiser.step()

    return update


def predictions(predict: Work) -> Work:
    def turn() -> None:
        with torch.inference_mode():
            predict()

    return turn


def images_per_second(work: Work) -> Callable[[int], float]:
    """A turn: its batches one after the other."""

    def turn(number: int) -> float:
        start = time.perf_counter()
        for _ in range(TURN):
            work()
        return TURN * BATCH / (time.perf_counter() - start)

    return turn


def cpu_per_image(work: Work) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    for _ in range(TURN):
        work()
    return (time.process_time() - start) / (TURN * BATCH)


def threads(cases: list[Case], rounds: int) -> dict[str, float]:
    """What a second thread is worth to training: images a second over those with one."""
    metrics = {}
    for case in cases:
        turns = {}
        for count in (1, 2):

            def turn(number: int, count: int = count, work: Work = case.ours[0]) -> float:
                torch.set_num_threads(count)
                return images_per_second(work)(number)

            turns[str(count)] = turn
        rates = alternate(turns, rounds)
        faster = ratio(rates["2"], rates["1"])
        metrics[f"two_threads_vs_one_{case.name.replace(', ', '_').replace(' ', '_')}"] = faster.middle
        console.print(f"training {case.name}: two threads are {faster.middle:.2f} times as fast as one")
    torch.set_num_threads(1)
    return metrics


if __name__ == "__main__":
    main()
