"""`attend train`"""

import shlex
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tyro
from tyro.conf import arg

from attend.commands.options import InFile, flags, refuse
from attend.commands.output import print_json
from attend.data.files import DataError, locate
from attend.progress import duration, first_process, say, training_report
from attend.settings import MAY_CHANGE, merge

if TYPE_CHECKING:
    from attend.contract import Evaluation
    from attend.recipe import Recipe
    from attend.training import Progress, Report

# What is printed of training.json.
TOOK = ("parameters", "updates", "best_update", "stopped", "train_seconds", "cpu_seconds", "peak_memory_mb")


@dataclass(frozen=True)
class Options:
    """Train a recipe: attend train RECIPE --out FOLDER [settings]. It comes first; "attend list" names them all.

    A recipe of your own is named as module:NAME, and its module imported from here. Any of a recipe's settings can be
    changed by a flag ("attend train RECIPE --help" lists them), or in a TOML file with the tables system, inputs,
    output, data, training and decoding. Ctrl-C stops a run; --resume goes on as if it never had.

    Under "accelerate launch -m attend train ..." or "torchrun -m attend train ..." several processes train together.

    examples:
      attend train rnnsearch-modern --out runs/mine --data.train train.en train.de --data.valid valid.en valid.de
      attend train rnnsearch-modern --out runs/small --config mine.toml --system.hidden 128 --training.seed 3
      attend train mymodule:RECIPE --out runs/own --data.train examples.csv --data.columns source=question
      attend train --resume --out runs/mine
      attend train --resume --out runs/mine --training.epochs 60
      attend train rnnsearch-modern --init runs/mine --out runs/tuned --data.train medical.tsv
      attend train --resume --out runs/mine --json
    """

    out: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """The run folder to make."""
    resume: bool = False
    """Go on with the run in that folder, with the settings it has. --training.epochs may give it more epochs, and
    --data.train and so on name data that have moved."""
    init: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """Begin with the weights of this run, to train on other data with its vocabularies and its settings of system,
    inputs and output."""
    overwrite: bool = False
    """Replace the run in that folder."""
    config: InFile = None
    """A TOML file with settings. Flags win over it."""
    json: bool = False
    """Print one JSON object at the end: what training took, and what evaluate --json says of the validation part."""


def main(arguments: Sequence[str]) -> int:
    recipe = arguments[0] if arguments and not arguments[0].startswith("-") else None
    # A recipe's settings are not known before its name is: they, and its help, come after.
    options, rest = tyro.cli(
        Options,
        prog="attend train",
        args=list(arguments[1 if recipe else 0 :]),
        add_help=recipe is None,
        config=(tyro.conf.FlagCreatePairsOff,),
        return_unknown_args=True,
    )
    if options.resume:
        if extra := [name for name in ("config", "overwrite", "init") if getattr(options, name)]:
            raise ValueError(f"a resumed run keeps its settings: leave out '--{extra[0]}'")
        given = [word.split("=")[0] for word in rest if word.startswith("--")]
        if wrong := [word for word in given if word[2:].replace("-", "_").replace(".no_", ".") not in MAY_CHANGE]:
            raise ValueError(f"a resumed run keeps its settings: leave out {wrong[0]!r}")
        return resume(recipe, options, rest)
    if recipe is None:
        refuse([word for word in rest if "." not in word], flags(Options))
        raise ValueError("missing RECIPE: its name comes first, as in attend train RECIPE --out RUN; see: attend list")
    return start(recipe, options, rest)


def start(name: str, options: Options, arguments: Sequence[str]) -> int:
    from attend import run
    from attend.catalogue import find

    recipe = find(name)
    initial = None if options.init is None else run.initial_of(recipe, options.init)
    settings = recipe.settings if initial is None else initial.settings_for(recipe.settings)
    if options.config is not None:
        settings = with_file(settings, options.config)
    settings = with_flags(settings, name, recipe, arguments)
    folder = out_folder(options)
    return train(
        folder,
        recipe,
        settings,
        name,
        lambda report: run.start(name, settings, folder, say, report, options.overwrite, initial),
        True,
        options.json,
    )


def resume(name: str | None, options: Options, arguments: Sequence[str]) -> int:
    from attend import run

    folder = out_folder(options)
    config = run.RunConfig.read(folder, name)
    settings = config.settings
    if arguments:
        settings = with_flags(settings, config.recipe, config.made_by, arguments)
    return train(
        folder,
        config.made_by,
        settings,
        config.recipe,
        lambda report: run.resume(folder, say, report, config.made_by, settings),
        False,
        options.json,
    )


def out_folder(options: Options) -> Path:
    if options.out is None:
        raise ValueError("missing --out RUN: name the run folder, such as --out runs/mine")
    place = next(place for place in (options.out, *options.out.absolute().parents) if place.exists())
    if not place.is_dir():
        raise ValueError(f"{options.out}: {place} is a file, not a folder: name another run folder")
    return options.out


def with_file(settings: Any, path: str) -> Any:
    try:
        changes = tomllib.loads(locate(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            path, f"not TOML ({error})", "write tables such as [training], of lines such as seed = 3"
        ) from error
    return merge(settings, changes, path)


def with_flags(settings: Any, name: str, recipe: "Recipe", arguments: Sequence[str]) -> Any:
    about = f"""The settings of {name}: {recipe.about}.

Besides these there are --out RUN, --resume, --overwrite, --config FILE and --json: see "attend train --help".

examples:
  attend train {name} --out runs/mine --training.seed 2
  attend train {name} --out runs/mine --config mine.toml --training.epochs 10
"""
    changed, unknown = tyro.cli(
        kind_of(settings),
        prog=f"attend train {name}",
        description=about,
        args=list(arguments),
        default=settings,
        return_unknown_args=True,
    )
    refuse(unknown, [*flags(settings), *flags(Options)])
    return changed


def kind_of(settings: Any) -> Any:
    """The type of these settings, with those of its sections in the place of its type variables."""
    kind: Any = type(settings)
    sections = {field.type: type(getattr(settings, field.name)) for field in fields(settings)}
    variables = [one for one in getattr(kind, "__parameters__", ()) if isinstance(one, TypeVar)]
    return kind[tuple(sections[one] for one in variables)] if variables else kind


def unit_of(recipe: "Recipe", settings: Any) -> str:
    """What a recipe's loss is a sum over, in the plural."""
    unit = getattr(recipe.task, "unit", None)
    if isinstance(unit, str):
        return unit
    return {"sequence": "tokens", "bits": "sequences", "candidate": "places"}.get(settings.output.kind, "examples")


def train(
    folder: Path,
    recipe: "Recipe",
    settings: Any,
    name: str,
    go: "Callable[[Report], Progress]",
    make: bool,
    as_json: bool,
) -> int:
    """Train, as `go` does, and measure, in a folder that is held all the while (and, with `make`, made)."""
    import torch

    from attend.run import hold
    from attend.training import Interrupted, leave_processes

    training = settings.training
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    say(f"training on {device}, with {training.threads} CPU thread(s) a process (--training.threads)")
    try:
        with hold(folder, make):
            with training_report(settings, unit_of(recipe, settings)) as report:
                progress = go(report)
            leave_processes()
            if first_process():
                tell(folder, recipe, settings, name, progress, as_json)
    except Interrupted as stop:
        # A recipe from outside is imported only if it is named again.
        named = [name] if ":" in name else []
        again = shlex.join(["attend", "train", *named, "--resume", "--out", str(folder)])
        say(f"attend: stopped by {stop}, with everything saved. To go on: {again}")
        return 128 + stop.signal
    finally:
        leave_processes()
    return 0


def tell(folder: Path, recipe: "Recipe", settings: Any, name: str, progress: "Progress", as_json: bool) -> None:
    """Measure a run that has come to its end, leave what people read of it, and say what it reached."""
    from attend.record import conclusion, finish

    say(f"finished ({progress.done}): {progress.update:,} updates in {duration(progress.seconds)}")
    found = finish(folder, recipe)
    for line in conclusion(folder, settings, found):
        say(line)
    if as_json:
        print_json({"recipe": name, "run": str(folder), **trained(folder, found)})
    say(f"{folder} holds the model, curve.png and its card, README.md, which says how to use it")


def trained(folder: Path, found: "Evaluation") -> dict[str, Any]:
    """What a training took, and reached on the validation part; examples are counted that either part left out."""
    from attend.record import beside_figures
    from attend.run import read_json

    training = read_json(folder / "training.json")
    said = {name: training[name] for name in TOOK}
    said |= {"split": "valid", "count": len(found.outputs), **found.figures, **beside_figures(found)}
    said["diagnosis"] = read_json(folder / "metrics.json")["diagnosis"]
    if "examples left out" in training["data"]:
        said["left_out"] = training["data"]["examples left out"]
    return said
