"""A run folder, and the model in it.

config.json               recipe and settings, with the command and commit that made the run
model.safetensors         the weights that validated best; also last.safetensors and averaged.safetensors
source.tokenizer.json     with target.tokenizer.json: vocabularies; other fields keep files of their own
data.json                 checksums of what it learns from
log.jsonl                 the learning curve; curve.png is its picture
metrics.json              what the training took and reached
README.md                 the model card
checkpoint.pt             what `--resume` goes on from
initial.safetensors       the weights of another run that it began with, if it did
"""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor, nn

import attend
from attend.atomic import write_atomically
from attend.catalogue import RECIPES, UNNAMED, announced, find, name_of
from attend.contract import StoredTask
from attend.data.checksum import changes, check_unchanged, checksums
from attend.data.files import locate
from attend.data.places import located, place_of, places_of
from attend.fast import keep_memory
from attend.folder import PREPARING, empty_folder, held
from attend.initial import Initial
from attend.memory import within_memory
from attend.model import Model
from attend.progress import Progress, Report, say
from attend.recipe import Recipe
from attend.settings import MAY_CHANGE, formerly, merge, nearest
from attend.stored import check, check_keys, read_object
from attend.task import Supervised
from attend.tasks.drawing import Drawing, DrawingModel
from attend.tasks.game import Game, PlayerModel
from attend.training import check_memory, check_training, peak_memory_mb, settled, train
from attend.weights import (
    OF_TRAINING,
    Origin,
    check_kept,
    origin_of,
    plain,
    read_weights,
    save_weights,
)
from attend.weights import changes as setting_changes

# What training keeps of each weight: itself, its gradient and, by Adam, two moments.
TRAINED = 4
WeightsName = Literal["model", "last", "averaged"]
# What a trained system of each kind of task is used through.
MODELS: dict[Any, Any] = {Supervised: Model, Drawing: DrawingModel, Game: PlayerModel}
Made = TypeVar("Made")


def write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a run folder. Raises `ValueError` naming the file."""
    try:
        return read_object(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        if (path.parent / PREPARING).exists():
            raise ValueError(
                f"{path.parent} was stopped while it was being prepared, and has nothing to go on with: train it again"
            ) from error
        runs = [str(config.parent) for config in path.parent.parent.glob("*/config.json")]
        hint = f"; {nearest(str(path.parent), runs)}" if runs else ""
        if (path.parent / "config.json").exists():
            raise ValueError(f"{path} does not exist: the run has not come to its end, or has lost it") from error
        raise ValueError(f"{path.parent} is not a run folder: it has no {path.name}{hint}") from error


def read_data(places: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The checksums of what a run learns from, by where it is found; of runs of earlier versions none."""
    path = folder / "data.json"
    if not path.exists():
        return {}
    known = check(read_json(path), dict[str, str], str(path))
    return {place_of(name, places): value for name, value in known.items()}


def provenance() -> dict[str, str]:
    """The command, the commit of this code (with a mark if it was changed), and the machine."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        try:
            done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "HEAD") or f"attend {attend.__version__}"
    changed = "+changes" if git("status", "--porcelain", "--untracked-files=no", "--", ".") else ""
    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return {
        "command": shlex.join(["attend", *sys.argv[1:]]),
        "commit": commit + changed,
        "machine": f"{platform.machine()}, {os.cpu_count()} core(s), torch {torch.__version__}{device}",
    }


@dataclass(frozen=True)
class RunConfig:
    """What config.json holds: the recipe's name (`made_by` is the recipe itself), settings, and provenance.

    `places` are where relative paths of the data led when they were last found.
    """

    recipe: str
    settings: Any
    provenance: Mapping[str, str]
    made_by: Recipe
    places: Mapping[str, str] = field(default_factory=dict)

    def open(self, folder: Path) -> StoredTask:
        """The task kept in a run folder, with no data read."""
        return self.made_by.task.open(self.made_by, self.settings, folder)

    def origin(self, folder: Path) -> Origin:
        """What weights that are trained in the folder are trained with."""
        return origin_of(self.settings, folder, self.made_by.task.kept(self.settings))

    def resumed_with(self, now: Mapping[str, str], changed: bool = False) -> "RunConfig":
        """The same, where the run is resumed with a commit or on a machine that it may not have had before.

        The command is of note where settings are `changed` by it, to train for more epochs, say.
        """

        def both(name: str, separator: str) -> str:
            return separator.join(dict.fromkeys([*self.provenance[name].split(separator), now[name]]))

        made = dict(self.provenance) | {"commit": both("commit", ", "), "machine": both("machine", "; ")}
        if changed:
            made["command"] = both("command", " && ")
        return replace(self, provenance=made)

    def save(self, folder: Path) -> None:
        content = {"attend": attend.__version__, "recipe": self.recipe, "settings": asdict(self.settings)}
        kept = list(self.made_by.task.kept(self.settings))
        places = {**self.places, **places_of(self.settings.data)}
        write_json(
            folder / "config.json", content | {"kept": kept, "provenance": dict(self.provenance), "places": places}
        )

    @staticmethod
    def read(folder: Path, recipe: Recipe | str | None = None) -> "RunConfig":
        """Raises `ValueError` naming the file and key if it is not a run's configuration.

        A recipe of attend's own, or one that an installed package announces, is found by its name. Any other module is
        imported only if the caller names the recipe again: a folder never chooses what is imported.
        """
        path = folder / "config.json"
        content = read_json(path)
        check_keys(content, {"recipe": str, "settings": dict, "provenance": dict[str, str]}, path)
        check_keys(content["provenance"], dict.fromkeys(("command", "commit", "machine"), str), path)
        made_by = recipe_of(content["recipe"], recipe, path)
        settings = merge(formerly(made_by.settings), content["settings"], str(path))
        places = check(content.get("places", {}), dict[str, str], f"{path}: 'places'")
        settings = replace(settings, data=located(settings.data, places))
        return RunConfig(content["recipe"], settings, content["provenance"], made_by, places)


def recipe_of(name: str, given: Recipe | str | None, path: Path) -> Recipe:
    """The recipe that a run names, or that the caller gives for it."""
    if isinstance(given, Recipe):
        return given
    if given is not None:
        if given != name and name != UNNAMED:
            raise ValueError(f"{path.parent} is a run of {name!r}, not of {given!r}")
        return find(given)
    if name in RECIPES or name in announced():
        return find(name)
    if ":" in name:
        raise ValueError(
            f"{path.parent} is a run of {name!r}, a recipe from outside of attend, whose module is imported only if you"
            f" name it: --recipe {name}, or attend.load(path, recipe=...)"
        )
    if name == UNNAMED:
        raise ValueError(f"{path.parent} is a run of {UNNAMED}: give it again, with attend.load(path, recipe=...)")
    return find(name)  # raises, with the nearest name


@contextmanager
def hold(folder: Path, make: bool = False) -> Iterator[None]:
    """Hold a run's folder, from before anything is written there until all is; see `attend.folder.held`.

    The first of several processes holds it for all.
    """
    with ExitStack() as stack:
        first_process_first(lambda: stack.enter_context(held(folder, make)), lambda: None)
        yield


def start(
    recipe: Recipe | str,
    settings: Any,
    folder: Path,
    log: Callable[[str], None],
    report: Report,
    overwrite: bool,
    initial: Initial | None = None,
) -> Progress:
    """Train a new run of a recipe (an object, or a name), with these settings, in a folder that the caller holds.

    Where an `initial` run is given, it begins with the weights of that, and takes what that keeps of its fields.

    Raises `ValueError` if the data can't be learnt from, or the folder already holds something, unless that is a run
    that may be overwritten. Of several processes the first prepares the folder, and the others wait for it.
    """
    made_by = find(recipe) if isinstance(recipe, str) else recipe
    made = provenance() | ({} if initial is None else {"init": str(initial.folder)})
    config = RunConfig(recipe if isinstance(recipe, str) else name_of(recipe), settings, made, made_by)
    if initial is not None:
        if initial.folder.resolve() == folder.resolve():
            raise ValueError(f"{folder} is the run to begin with: choose another folder for the new one")
        initial.check_settings(settings)
    for path in settings.data.reads():
        # Its curve would be one of the images that the next run learns from, and this one couldn't go on.
        if (place := locate(path)).is_dir() and folder.resolve().is_relative_to(place.resolve()):
            raise ValueError(f"{folder} is in {path}, which is learnt from: choose a folder for the run elsewhere")

    def prepare() -> StoredTask:
        with empty_folder(folder, overwrite, made_by.task.kept(settings)):
            task = made_by.task.prepare(made_by, settings, folder, log, initial.folder if initial else None)
            # What can't be trained must not cost the run that was here, nor leave one that can't go on.
            check_training(task, settings.training)
            fitted = with_epochs(config, task)
            with within_memory("to train a system of these sizes", "choose smaller --system settings", TRAINED):
                system = task.build()
            check_memory(task, system)
            if initial is not None:
                initial.check_fits(system)
                save_weights(folder / "initial.safetensors", initial.weights, fitted.origin(folder))
            write_json(folder / "data.json", checksums(settings.data.reads()))
            fitted.save(folder)
        return task

    task = first_process_first(prepare, lambda: open_task(config, folder, log))
    config = with_epochs(config, task)
    if not settings.training.epochs:
        log(f"training for {config.settings.training.epochs} epochs, as the size of the data asks (--training.epochs)")
    return run_training(config, task, folder, False, report)


def with_epochs(config: RunConfig, task: StoredTask) -> RunConfig:
    """The same, with the number of epochs, where that follows the size of the data."""
    training = settled(config.settings.training, task)
    return replace(config, settings=replace(config.settings, training=training))


def initial_of(made_by: Recipe, folder: Path) -> Initial:
    """A run for others of this recipe to begin with. Raises `ValueError` if it can't be loaded."""
    name = check_keys(read_json(path := folder / "config.json"), {"recipe": str}, path)["recipe"]
    config = RunConfig.read(folder, made_by if ":" in name or name == UNNAMED else None)
    return Initial(folder, name, config.settings, weights_of(config, folder, "model"))


def resume(
    folder: Path,
    log: Callable[[str], None],
    report: Report,
    recipe: Recipe | str | None = None,
    settings: Any = None,
) -> Progress:
    """Go on with a run that was stopped, as if it never had been, in a folder that the caller holds.

    `settings` are its own with what may change: more epochs, and data that have moved. Raises `ValueError` if the
    folder is no run, if others have changed, or if what it learns from has.
    """
    config = RunConfig.read(folder, recipe)
    other = settings is not None and settings != config.settings
    if other:
        for name, words in setting_changes(plain(config.settings), plain(settings)):
            if name not in MAY_CHANGE:
                raise ValueError(f"a resumed run keeps its settings, but {words}: train a new run for that")
        config = replace(config, settings=settings)
    known = read_data(config.places, folder)
    if known:
        known = check_unchanged(known, config.settings.data.reads())
    begun = (folder / "checkpoint.pt").exists()
    if not begun:
        log(f"{folder} was stopped before its first checkpoint: starting anew, with the settings of its config.json")
    task, config = open_task(config, folder, log), config.resumed_with(provenance(), other)
    recorded = False

    def record() -> None:
        nonlocal recorded
        if not recorded and PartialState().is_main_process:
            if known:
                write_json(folder / "data.json", known)
            config.save(folder)
        recorded = True

    def report_and_record(progress: Progress, figures: dict[str, float]) -> None:
        record()  # not before: what is refused changes nothing
        report(progress, figures)

    progress = run_training(config, task, folder, begun, report_and_record)
    record()
    return progress


def changed(folder: Path) -> list[str]:
    """What the run learnt from and is no longer what it was. Raises `DataError` for what is not there any more."""
    content = read_json(path := folder / "config.json")
    return changes(read_data(check(content.get("places", {}), dict[str, str], f"{path}: 'places'"), folder))


def open_task(config: RunConfig, folder: Path, log: Callable[[str], None]) -> StoredTask:
    """The task of a run folder, with its data."""
    task = config.open(folder)
    task.read(log)
    return task


def first_process_first(prepare: Callable[[], Made], follow: Callable[[], Made]) -> Made:
    """What `prepare` makes in the first of several processes, and then `follow` in the others.

    They all end if it fails: left alone, they would wait for ever.
    """
    state = PartialState(cpu=not torch.cuda.is_available())
    made: Made | None = None
    problem: ValueError | OSError | None = None
    if state.is_main_process:
        try:
            made = prepare()
        except (ValueError, OSError) as error:
            problem = error
    failed = reduce(torch.tensor(float(problem is not None), device=state.device), "sum")
    if problem is not None:
        raise problem
    if failed:
        raise ValueError("the first process could not prepare the run, and says why")
    return follow() if made is None else made


def run_training(config: RunConfig, task: StoredTask, folder: Path, again: bool, report: Report) -> Progress:
    progress = train(task, config.settings.training, folder, again, report, config.origin(folder))
    if not PartialState().is_main_process:
        return progress
    found = {
        "parameters": sum(parameter.numel() for parameter in task.build().parameters()),
        "data": task.counts(),
        "files": {split: list(task.files(split)) for split in ("train", "valid")},
        "updates": progress.update,
        "epochs": progress.epoch,
        "units": progress.units,
        "best_update": progress.best_update,
        "stopped": progress.done,
        "train_seconds": round(progress.seconds, 1),
        "cpu_seconds": round(progress.cpu_seconds, 1),
        "peak_memory_mb": round(peak_memory_mb()),
    }
    write_json(folder / "training.json", found)
    return progress


def load(*paths: str | Path, weights: WeightsName = "model", recipe: Recipe | str | None = None) -> Any:
    """The model of a run folder, or the ensemble of several: an `attend.model.Model` for every supervised task.

    `recipe` is the run's recipe, where that is not one of attend's own (an object, or "module:NAME", which is then
    imported). Raises `ValueError` if a folder is not a run, a file in it is damaged, or several don't go together.
    """
    if not paths:
        raise ValueError("give at least one run folder")
    keep_memory()
    folders = [Path(path) for path in paths]
    configs = [RunConfig.read(folder, recipe) for folder in folders]
    kept = configs[0].made_by.task.kept(configs[0].settings)
    found = []
    for config, folder in zip(configs, folders, strict=True):
        if config.made_by.task is not configs[0].made_by.task or set(kept) != set(
            config.made_by.task.kept(config.settings)
        ):
            raise ValueError(f"{folder} and {folders[0]} are of different tasks: an ensemble needs one")
        found.append(weights_of(config, folder, weights))
        for name in kept:
            if (folder / name).read_bytes() != (folders[0] / name).read_bytes():
                raise ValueError(f"{folder / name} differs from {folders[0] / name}: an ensemble needs the same")
    first = configs[0].open(folders[0])
    systems = [
        filled(config, folder, tensors, weights).eval().to("cuda" if torch.cuda.is_available() else "cpu")
        for config, folder, tensors in zip(configs, folders, found, strict=True)
    ]
    task = configs[0].made_by.task
    model = next((model for base, model in MODELS.items() if issubclass(task, base)), None)
    if model is None:
        known = ", ".join(base.__name__ for base in MODELS)
        raise ValueError(f"{folders[0]}: its task, {task.__name__}, has no model: make it a subclass of one of {known}")
    return model(configs[0], first, systems)


def weights_of(config: RunConfig, folder: Path, weights: WeightsName) -> dict[str, Tensor]:
    """A run's weights. Raises `ValueError` if they are damaged, or the files beside them not those of their training.

    A setting that was changed since, and may change predictions, is said.
    """
    path = folder / f"{weights}.safetensors"
    if not path.exists():
        raise ValueError(f"{path} does not exist: the run has not reached it, does not make it, or has lost it")
    tensors, trained = read_weights(path)
    now = config.origin(folder)
    check_kept(trained, now, path)
    for name, words in setting_changes(trained["settings"], now["settings"]) if trained else ():
        if name.split(".")[0] not in OF_TRAINING:
            say(f"attend: {folder / 'config.json'}: {words}: {path} was trained with what it was")
    return tensors


def filled(config: RunConfig, folder: Path, tensors: Mapping[str, Tensor], weights: WeightsName) -> nn.Module:
    """A run's system with these weights. Raises `ValueError` if they don't fit."""
    try:
        system = config.open(folder).build()
    except (RuntimeError, TypeError, OverflowError, MemoryError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ValueError(f"{folder / 'config.json'} describes no system that can be built ({reason})") from error
    try:
        system.load_state_dict(tensors)
    except RuntimeError as error:
        reason = str(error).strip().split("\n")[-1].strip()
        raise ValueError(
            f"{folder / f'{weights}.safetensors'} does not hold the weights that {folder / 'config.json'} describes"
            f" ({reason})"
        ) from error
    return system
