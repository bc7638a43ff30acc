"""Speed and memory, side by side with a plain loop, JoeyNMT and OpenNMT-py: see README.md beside this file."""

import argparse
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from attend.data.files import DataError
from attend.precision import WORTH_IT, bf16_speed
from corpus import SENTENCES, Lengths, prepare
from environments import environment
from floor import training_flops
from growth import Cost, with_corpus, with_length
from rounds import alternate, decoding, ratio, training, training_own
from worker import ROOT, THREADS, Worker

SEED = 1
SIZE = 256
PEERS = {"joey": "joeynmt", "opennmt": "opennmt"}
NAMES = {
    "ours": "attend",
    "bf16": "attend in bf16",
    "plain": "plain loop",
    "joey": "JoeyNMT 2.3.0",
    "opennmt": "OpenNMT-py 3.5.1",
}
# Those whose own data loader is measured too.
OWN_LOADER = {"ours", "bf16", "joey"}
# A sentence at a time, and a batch; greedily, and with a beam.
DECODING = {"greedy_batch_1": (1, 1), "greedy": (1, 64), "beam5_batch_1": (5, 1), "beam5": (5, 64)}


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    rounds: int
    batches: int
    """Updates of each contender in a round."""
    sentences: Mapping[int, int]
    """Sentences of each contender in a round, by the size of batches."""
    lengths: tuple[int, ...]
    corpora: tuple[int, ...]


FULL = Extent(7, 20, {1: 16, 64: 64}, (10, 25, 50, 100, 200, 400), (20_000, 40_000, 80_000, 160_000))
QUICK = Extent(2, 3, {1: 4, 64: 64}, (10, 50), (5_000, 10_000))

Metrics = dict[str, float]
console = Console(width=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes, to see that it works: not for quoting")
    parser.add_argument("--alone", action="store_true", help="without JoeyNMT and OpenNMT-py, which are not installed")
    parser.add_argument("--out", type=Path, default=Path("results/bench.json"), help="where the record is written")
    arguments = parser.parse_args()
    extent = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory(prefix="attend-bench-") as place:
        folder = Path(place)
        try:
            (_, target_vocabulary), lengths = prepare(folder, SEED)
        except DataError as error:
            sys.exit(f"bench: {error}")
        pythons = {"ours": Path(sys.executable), "plain": Path(sys.executable)}
        if bf16_speed() >= WORTH_IT:
            pythons["bf16"] = Path(sys.executable)
        else:
            console.print("bf16 is not measured: this CPU has no instructions for it")
        if not arguments.alone:
            pythons |= {name: environment(peer) for name, peer in PEERS.items()}
        workers = {name: Worker(name, python, folder) for name, python in pythons.items()}
        warm_up(workers)
        metrics = measure_training(workers, extent, lengths, target_vocabulary)
        metrics |= measure_decoding(workers, extent)
        peak = workers["ours"].ask("train", start=0, count=1)["peak_mb"]
        for worker in workers.values():
            worker.close()
        metrics |= measure_growth(folder, extent)
    train_seconds = metrics.pop("train_seconds")
    record = {
        "recipe": "rnnsearch-modern bench",
        "command": shlex.join([Path(sys.executable).name, *sys.argv]),
        "commit": commit(),
        "seed": SEED,
        "machine": machine(),
        "data": "multi30k en-de",
        "split": "train",
        "metrics": {name: float(f"{value:.5g}") for name, value in metrics.items()},
        "train_seconds": round(train_seconds, 1),
        "cpu_seconds": cpu_seconds(),
        "peak_memory_mb": peak,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")
    console.print(f"recorded in {arguments.out}")


def warm_up(workers: Mapping[str, Worker]) -> None:
    """A process's first update and first search are slow, for reasons that do not last."""
    for name, worker in workers.items():
        worker.ask("train", start=0, count=2)
        for beam, size in DECODING.values():
            if name not in ("plain", "bf16"):
                worker.ask("decode", start=0, count=1, size=size, beam=beam)
    for name in OWN_LOADER & workers.keys():
        workers[name].ask("train own", count=2)
    workers["ours"].ask("peak")


def measure_training(
    workers: Mapping[str, Worker], extent: Extent, lengths: list[Lengths], target_vocabulary: int
) -> Metrics:
    """Target tokens a second, the ratios, and how near the floor they come."""
    turns = {name: training(worker, extent.batches) for name, worker in workers.items()}
    turns |= {
        f"{name} own": training_own(workers[name], extent.batches) for name in sorted(OWN_LOADER & workers.keys())
    }
    turns["peak"] = lambda _: workers["ours"].ask("peak")["gflops"]
    rates = alternate(turns, extent.rounds)
    metrics = {"tokens_per_second_attend": median(rates["ours"])}
    for name, kind in (("ours", "train"), ("bf16", "train_bf16")):
        if name not in rates:
            continue
        console.print(f"\n[bold]Training[/]: target tokens a second, and how many times faster {NAMES[name]} is")
        table = Table("contender", "tokens/s", f"{NAMES[name]} is faster", "least", "most")
        table.add_row(NAMES[name], f"{median(rates[name]):,.0f}", "", "", "")
        for metric, ours, theirs, label in (
            ("float32", name, "ours", NAMES["ours"]),
            ("plain_loop", name, "plain", NAMES["plain"]),
            ("opennmt", name, "opennmt", NAMES["opennmt"]),
            ("joeynmt_same_batches", name, "joey", f"{NAMES['joey']}, same batches"),
            ("joeynmt", f"{name} own", "joey own", f"{NAMES['joey']}, own loader"),
        ):
            if ours == theirs or theirs not in rates:
                continue
            faster = ratio(rates[ours], rates[theirs])
            metrics[f"{kind}_vs_{metric}"] = faster.middle
            metrics[f"{kind}_vs_{metric}_low"], metrics[f"{kind}_vs_{metric}_high"] = faster.low, faster.high
            if theirs != "ours":
                metrics[f"tokens_per_second_{metric}"] = median(rates[theirs])
            table.add_row(label, f"{median(rates[theirs]):,.0f}", *(f"{value:.2f}" for value in faster))
        console.print(table)
    if "bf16" in rates:
        metrics["tokens_per_second_attend_bf16"] = median(rates["bf16"])
    metrics["tokens_per_second_attend_own_loader"] = median(rates["ours own"])
    return metrics | measure_floor(workers["ours"], extent, lengths, target_vocabulary, rates["ours"], rates["peak"])


def measure_floor(
    ours: Worker,
    extent: Extent,
    lengths: list[Lengths],
    target_vocabulary: int,
    tokens_per_second: list[float],
    peaks: list[float],
) -> Metrics:
    """The share of the machine's matrix-product peak that training reaches, and where the rest of the time goes."""
    shares, floors = [], []
    seconds = 0.0
    for number, (rate, peak) in enumerate(zip(tokens_per_second, peaks, strict=True)):
        start = number * extent.batches
        batches = [lengths[index % len(lengths)] for index in range(start, start + extent.batches)]
        flops = sum(training_flops(batch, target_vocabulary, SIZE) for batch in batches)
        tokens = sum(int(batch.target.sum()) for batch in batches)
        floors.append(tokens / (flops / (peak * 1e9)))
        shares.append(rate / floors[-1])
        seconds += tokens / rate
    groups = ours.ask("profile", count=extent.batches)
    console.print(
        f"\n[bold]Floor[/]: {median(floors):,.0f} tokens/s if it were matrix products alone, at {median(peaks):.0f} "
        f"GFLOP/s on {THREADS} threads; training reaches {median(shares):.0%} of it. Its time, under the profiler:"
    )
    table = Table("operations", "share of the time")
    for group, share in sorted(groups.items(), key=lambda item: -item[1]):
        table.add_row(group, f"{share:.1%}")
    console.print(table)
    return {
        "peak_gflops": median(peaks),
        "floor_tokens_per_second": median(floors),
        "floor_share": median(shares),
        "train_seconds": seconds,
        **{f"time_{group.replace(' ', '_').lower()}": share for group, share in groups.items()},
    }


def measure_decoding(workers: Mapping[str, Worker], extent: Extent) -> Metrics:
    """Sentences a second and the ratios, greedily and with a beam of 5, one at a time and in batches."""
    console.print("\n[bold]Decoding[/]: sentences a second, each as long as its reference")
    peers = {name: peer for name, peer in PEERS.items() if name in workers}
    contenders = ("ours", *peers)
    names = {name: NAMES[name].split()[0] for name in contenders}
    table = Table("search", *names.values(), *(f"attend / {names[name]}" for name in peers))
    metrics: Metrics = {}
    for search, (beam, size) in DECODING.items():
        turns = {name: decoding(workers[name], extent.sentences[size], size, beam) for name in contenders}
        rates = alternate(turns, extent.rounds)
        for name in contenders:
            metrics[f"sentences_per_second_{search}_{PEERS.get(name, 'attend')}"] = median(rates[name])
        faster = {name: ratio(rates["ours"], rates[name]) for name in peers}
        for name, peer in peers.items():
            metrics[f"{search}_vs_{peer}"] = faster[name].middle
        what = f"{'greedy' if beam == 1 else f'beam {beam}'}, batch {size}"
        speeds = [f"{median(rates[name]):,.1f}" for name in contenders]
        table.add_row(
            what, *speeds, *(f"{faster[n].middle:.2f} ({faster[n].low:.2f}-{faster[n].high:.2f})" for n in peers)
        )
    console.print(table)
    return metrics


def measure_growth(folder: Path, extent: Extent) -> Metrics:
    """Time and memory by length and by corpus."""
    sentences = SENTENCES // 8  # more of the longest would not fit a small machine's memory
    costs = {name: with_length(name, folder, extent.lengths, sentences) for name in ("ours", "plain")}
    console.print(f"\n[bold]Length[/]: one update on {sentences} pairs of so many tokens on both sides")
    table = Table("tokens", *(f"{NAMES[name]}, {what}" for name in costs for what in ("seconds", "peak MB")))
    for row in zip(*costs.values(), strict=True):
        table.add_row(str(row[0].size), *(cell for cost in row for cell in cells(cost)))
    console.print(table)
    metrics: Metrics = {}
    for name, column in costs.items():
        for cost in column:
            metrics[f"length_{cost.size}_seconds_{NAMES[name].replace(' ', '_')}"] = cost.seconds
            metrics[f"length_{cost.size}_peak_mb_{NAMES[name].replace(' ', '_')}"] = cost.memory_mb
    console.print("\n[bold]Corpus[/]: reading and encoding so many pairs")
    table = Table("pairs", "seconds", "MB added")
    for cost in with_corpus(folder, extent.corpora):
        table.add_row(f"{cost.size:,}", *cells(cost))
        metrics[f"corpus_{cost.size}_seconds"], metrics[f"corpus_{cost.size}_mb"] = cost.seconds, cost.memory_mb
    console.print(table)
    return metrics


def cells(cost: Cost) -> tuple[str, str]:
    return f"{cost.seconds:.3f}", f"{cost.memory_mb:,.0f}"


def commit() -> str:
    """The commit measured, with a mark if files differ from it."""
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=40"], cwd=ROOT, capture_output=True, text=True
    )
    return run.stdout.strip() or "none"


def machine(threads: int = THREADS) -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{processor}, {os.cpu_count()} cores, {threads} threads, torch {version('torch')}"


def cpu_seconds() -> float:
    """Of this process and of all that it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(usage.ru_utime + usage.ru_stime for usage in usages), 1)


if __name__ == "__main__":
    main()
