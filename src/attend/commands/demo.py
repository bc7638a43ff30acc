"""`attend demo`"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attend.commands.evaluate import check_record
from attend.commands.options import OutFile, parse
from attend.commands.output import check_outputs
from attend.progress import say


@dataclass(frozen=True)
class Options:
    """Train a small model on built-in data (dates in many languages to ISO 8601), and look at its attention.

    Takes a few minutes on one CPU core, and downloads nothing.

    examples:
      attend demo
      attend demo --out runs/dates --compare
    """

    out: Path = Path("runs/demo")
    """The run folder to make."""
    compare: bool = False
    """Train its controls without attention too, and compare."""
    overwrite: bool = False
    """Train anew, even if a run is there already."""
    record: OutFile = None
    """Write the run and its figures on held-out dates to this file, for the results folder (.json)."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend demo", arguments)
    if options.record is not None:
        check_record(options.record)
        check_outputs([options.record], runs=[options.out])
    from attend import demo
    from attend.commands import compare
    from attend.run import write_json
    from attend.training import Interrupted

    try:
        demo.demo(options.out, options.overwrite)
        if options.record is not None:
            write_json(options.record, record(options.out))
        if options.compare:
            runs = [options.out, *demo.controls(options.out, options.overwrite)]
            picture = options.out / "compare.png"
            print()
            compare.compare(compare.Options(tuple(runs), split="test", out=picture))
            print(f"the picture is {picture}")
    except Interrupted as stop:
        same = "The same command without --overwrite" if options.overwrite else "The same command"
        say(f"attend: stopped by {stop}, with everything saved. {same} goes on.")
        return 128 + stop.signal
    return 0


def record(out: Path) -> dict[str, Any]:
    """The run as a results record, with the figures that the demo left in metrics.json."""
    from attend.record import read_metrics, result
    from attend.run import RunConfig, provenance

    config = RunConfig.read(out)
    metrics = read_metrics(out, config)
    evaluated = metrics | {"data": config.settings.data.name, "files": metrics["data"]}
    command = provenance()["command"]
    return result([out], [config], evaluated, None if command == config.provenance["command"] else command)
