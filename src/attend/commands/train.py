"""`attend train`"""

import shlex
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import arg

from attend.commands.options import InFile, flags, refuse
from attend.data.files import DataError, locate
from attend.progress import duration, first_process, say, training_report
from attend.settings import merge

if TYPE_CHECKING:
    from attend.recipes.recipe import Settings
    from attend.training import Progress, Report, Training


@dataclass(frozen=True)
class Options:
    """Train a recipe: attend train RECIPE --out FOLDER [settings]. It comes first; "attend list" names them all.

    Any of a recipe's settings can be changed by a flag ("attend train RECIPE --help" lists them), or in a TOML file
    with the tables system, data, training and decoding. Ctrl-C stops a run; --resume goes on as if it never had.

    Under "accelerate launch -m attend train ..." or "torchrun -m attend train ..." several processes train together.

    examples:
      attend train rnnsearch-modern --out runs/mine --data.train train.en train.de --data.valid valid.en valid.de
      attend train rnnsearch-modern --out runs/small --config mine.toml --system.hidden 128 --training.seed 3
      attend train --resume --out runs/mine
    """

    out: Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")] = None
    """The run folder to make."""
    resume: bool = False
    """Go on with the run in that folder, with the settings it has."""
    overwrite: bool = False
    """Replace the run in that folder."""
    config: InFile = None
    """A TOML file with settings. Flags win over it."""


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
        extra = [*rest, *(["--config"] if options.config else []), *(["--overwrite"] if options.overwrite else [])]
        if extra:
            raise ValueError(f"a resumed run keeps its settings: leave out {extra[0]!r}")
        return resume(recipe, options)
    if recipe is None:
        refuse([word for word in rest if "." not in word], flags(Options))
        raise ValueError("which recipe? Its name comes first: attend train RECIPE --out FOLDER; see: attend list")
    return start(recipe, options, rest)


def start(recipe: str, options: Options, arguments: Sequence[str]) -> int:
    from attend import run
    from attend.catalogue import find

    settings = find(recipe).settings
    if options.config is not None:
        settings = with_file(settings, options.config)
    settings = with_flags(settings, recipe, arguments)
    folder = out_folder(options)
    return train(
        folder,
        settings.training,
        find(recipe).task.unit,
        lambda report: run.start(recipe, settings, folder, say, report, options.overwrite),
    )


def resume(recipe: str | None, options: Options) -> int:
    from attend import run

    folder = out_folder(options)
    config = run.RunConfig.read(folder)
    if recipe not in (None, config.recipe):
        raise ValueError(f"{folder} is a run of {config.recipe!r}, not of {recipe!r}: leave the recipe out")
    return train(folder, config.settings.training, config.task.unit, lambda report: run.resume(folder, say, report))


def out_folder(options: Options) -> Path:
    if options.out is None:
        raise ValueError("where to? Name the run folder: --out runs/mine")
    place = next(place for place in (options.out, *options.out.absolute().parents) if place.exists())
    if not place.is_dir():
        raise ValueError(f"{options.out}: {place} is a file, not a folder: name another run folder")
    return options.out


def with_file(settings: "Settings[Any, Any, Any]", path: str) -> "Settings[Any, Any, Any]":
    try:
        changes = tomllib.loads(locate(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            path, f"not TOML ({error})", "write tables such as [training], of lines such as seed = 3"
        ) from error
    return merge(settings, changes, path)


def with_flags(settings: "Settings[Any, Any, Any]", recipe: str, arguments: Sequence[str]) -> "Settings[Any, Any, Any]":
    from attend.catalogue import find
    from attend.recipes.recipe import Settings

    about = f"""The settings of {recipe}: {find(recipe).about}.

Besides these there are --out FOLDER, --resume, --overwrite and --config FILE: see "attend train --help".

examples:
  attend train {recipe} --out runs/mine --training.seed 2
  attend train {recipe} --out runs/mine --config mine.toml --decoding.beam 10
"""
    kind: Any = Settings[type(settings.system), type(settings.data), type(settings.decoding)]
    program = f"attend train {recipe}"
    changed, unknown = tyro.cli(
        kind, prog=program, description=about, args=list(arguments), default=settings, return_unknown_args=True
    )
    refuse(unknown, [*flags(settings), *flags(Options)])
    return changed


def train(folder: Path, training: "Training", unit: str, go: "Callable[[Report], Progress]") -> int:
    import torch

    from attend.record import finish
    from attend.training import Interrupted, leave_processes

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    say(f"training on {device}, with {training.threads} CPU thread(s) a process (--training.threads)")
    try:
        with training_report(training.epochs, unit) as report:
            progress = go(report)
    except Interrupted as stop:
        again = shlex.join(["attend", "train", "--resume", "--out", str(folder)])
        say(f"attend: stopped by {stop}, with everything saved. To go on: {again}")
        return 128 + stop.signal
    finally:
        leave_processes()
    if first_process():
        say(f"finished ({progress.done}): {progress.update:,} updates in {duration(progress.seconds)}")
        figures = finish(folder)
        shown = ("bleu", "chrf", "exact_match", "error", "nats", "caught", "perplexity")
        named = ", ".join(f"{name.replace('_', ' ')} {figures[name]:.4g}" for name in shown if name in figures)
        say(f"the best weights on the validation part, as the run predicts: {named}")
        say(f"{folder} holds the model, curve.png and its card, README.md, which says how to use it")
    return 0
