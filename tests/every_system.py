"""What every system in the catalogue must do, whatever its paper.

Examples come from the fields and outputs of its recipe alone: no test knows a family of systems.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import attend.systems
from attend.attention.trace import Trace
from attend.catalogue import RECIPES
from attend.cli import main
from attend.contract import Batch, Cells
from attend.data.examples import TARGET, Row
from attend.model import Model
from attend.outputs.output import Wanted
from attend.recipe import Recipe
from attend.task import Supervised
from attend.tasks.drawing import Drawing
from attend.tasks.game import Game

COUNT = 6


def small(config: Any) -> Any:
    """A system's configuration with every size small and nothing dropped."""
    changes: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 16:
            changes[field.name] = 24
        if "dropout" in field.name or "smoothing" in field.name:
            changes[field.name] = 0.0
    return replace(config, **changes)


def kind_of(recipe: Recipe) -> tuple[Any, ...]:
    """What makes two recipes build the same kind of system: all of its configuration that is no number."""
    config = recipe.settings.system
    choices = [getattr(config, field.name) for field in fields(config)]
    return (
        recipe.system,
        *(choice for choice in choices if isinstance(choice, str | bool)),
        getattr(config, "path", 0) > 0,
    )


SYSTEMS: dict[str, Recipe] = {}
for _name, _recipe in RECIPES.items():
    if kind_of(_recipe) not in map(kind_of, SYSTEMS.values()):
        SYSTEMS[_name] = _recipe
# The first recipe of each system file; what takes long is tried with the others under the marker "slow".
FIRST = {recipe.system: name for name, recipe in reversed(RECIPES.items()) if not recipe.control}
SUPERVISED = {name: recipe for name, recipe in SYSTEMS.items() if recipe.task is Supervised}
OTHERS_SLOW = [
    pytest.param(name, marks=() if name in FIRST.values() else pytest.mark.slow)
    for name, recipe in SYSTEMS.items()
    if not recipe.control
]


@dataclass(frozen=True)
class Rows:
    """Random examples of a recipe's fields and output, with no two inputs alike; see `attend.data.examples.Fixed`."""

    recipe: Recipe
    name: str = "examples"
    splits: Sequence[str] = ("train", "valid")

    def open(self, columns: Any, seed: int, log: Any) -> "Rows":
        return self

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: str) -> tuple[str, ...]:
        return (f"examples ({split})",)

    def rows(self, split: str) -> Iterator[Row]:
        rng, settings = np.random.default_rng(0), self.recipe.settings
        seen: set[bytes] = set()
        for number in range(20 * COUNT):
            values = {name: one.example(rng) for name, one in settings.fields().items()}
            key = b"|".join(
                value.tobytes() if isinstance(value, np.ndarray) else value.encode() for value in values.values()
            )
            if key not in seen and len(seen) < COUNT:
                seen.add(key)
                target = settings.output.example(rng) if hasattr(settings.output, "example") else ""
                truth, taught = (), self.recipe.taught
                if taught:
                    truth = (settings.fields()[taught].example_truth(rng, taught, values[taught]),)
                yield Row({**values, TARGET: target}, f"example {number}", number, truth)


@cache
def task_of(name: str) -> Any:
    """A small task of a recipe on random examples, read into memory."""
    recipe = RECIPES[name]
    settings = replace(recipe.settings, system=small(recipe.settings.system))
    settings = replace(settings, training=replace(settings.training, batch=COUNT, batch_tokens=0))
    if recipe.task is Game:
        settings = replace(settings, data=replace(settings.data, size=6, games=COUNT, measured=COUNT))
        task = Game(recipe, settings)
    else:
        settings = replace(settings, data=Rows(recipe))
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            task = recipe.task.prepare(recipe, settings, Path(folder), lambda line: None)
    return task


def build(name: str) -> Any:
    """A small system, always with the same weights."""
    torch.manual_seed(0)
    return task_of(name).build()


def batch_for(name: str, epoch: int = 0) -> Any:
    task = task_of(name)
    return task.batch(epoch, task.plan(epoch)[0])


def doubled(value: Any) -> Any:
    """A batch with its floats in double precision, so that what should be equal is."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: doubled(one) for key, one in value.items()}
    return replace(value, **{key: doubled(one) for key, one in vars(value).items()}) if is_dataclass(value) else value


def one_of(batch: Batch, row: int) -> Batch:
    """One example of a batch, without padding."""

    def cut(value: Any) -> Any:
        if not isinstance(value, Cells):
            return value[row : row + 1]
        length = int(value.mask[row].sum())
        return Cells(value.values[row : row + 1, :length], value.mask[row : row + 1, :length])

    places = None if batch.places is None else batch.places[row : row + 1]
    return Batch({name: cut(value) for name, value in batch.inputs.items()}, cut(batch.target), places)


def padded(value: Any, count: int) -> Any:
    """Cells with more padding, in which something stands."""
    if not isinstance(value, Cells):
        return value
    more = value.values[:, :1].expand(-1, count, *value.values.shape[2:])
    return Cells(
        torch.cat([value.values, more], 1),
        torch.cat([value.mask, torch.zeros_like(value.mask[:, :1]).expand(-1, count)], 1),
    )


def test_every_system_file_is_in_the_catalogue():
    files = {module.name for module in pkgutil.iter_modules(attend.systems.__path__)}
    built = {recipe.system.__module__.rsplit(".", 1)[-1] for recipe in RECIPES.values()}
    assert files == built
    for name in files:
        assert importlib.import_module(f"attend.systems.{name}").__doc__


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_config_field_says_what_it_is(name):
    config = RECIPES[name].settings.system
    source = Path(importlib.import_module(type(config).__module__).__file__ or "").read_text().splitlines()
    for field in fields(config):
        line = next(number for number, text in enumerate(source) if f"    {field.name}: " in text)
        assert source[line + 1].strip().startswith('"""'), field.name


@pytest.mark.parametrize("name", SYSTEMS)
def test_loss_is_finite_and_every_parameter_learns(name):
    system = build(name)
    loss = system(batch_for(name))
    assert torch.isfinite(loss.total)
    assert loss.units > 0
    # One update first: a paper may start a layer at zero, which keeps the gradient from those below.
    optimiser = torch.optim.SGD(system.parameters(), 0.1)
    loss.total.backward()
    optimiser.step()
    optimiser.zero_grad()
    system(batch_for(name)).total.backward()
    for parameter_name, parameter in system.named_parameters():
        assert parameter.grad is not None, parameter_name
        # What a control does without may leave a parameter without effect.
        assert parameter.grad.abs().max() > 0 or RECIPES[name].control, parameter_name


@pytest.mark.parametrize("name", SYSTEMS)
def test_half_precision_learns(name):
    system = build(name)
    with torch.autocast("cpu", torch.bfloat16):
        loss = system(batch_for(name))
    loss.total.backward()
    assert loss.total.dtype == torch.float32
    assert torch.isfinite(loss.total)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in system.parameters())


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_same_seed_gives_the_same_numbers(name):
    def learn() -> list[float]:
        system = build(name)
        optimiser = torch.optim.Adam(system.parameters(), 1e-2)
        losses = []
        for epoch in range(3):
            loss = system(batch_for(name, epoch))
            optimiser.zero_grad()
            loss.total.backward()
            optimiser.step()
            losses.append(float(loss.total.detach()))
        return losses

    assert learn() == learn()


@pytest.mark.parametrize("name", SUPERVISED)
def test_a_batch_is_worth_its_examples(name):
    if "random" in name:
        pytest.skip("looks at other places each time")
    system = build(name).double().eval()
    batch = doubled(batch_for(name))
    found = system(batch)
    alone = [system(one_of(batch, row)) for row in range(len(batch))]
    torch.testing.assert_close(sum(one.total for one in alone), found.total)
    assert sum(one.units for one in alone) == found.units


@pytest.mark.parametrize("name", SUPERVISED)
def test_padding_changes_nothing(name):
    batch = doubled(batch_for(name))
    if not any(isinstance(value, Cells) for value in (*batch.inputs.values(), batch.target)):
        pytest.skip("nothing is padded")
    system = build(name).double().eval()
    more = Batch({key: padded(value, 3) for key, value in batch.inputs.items()}, padded(batch.target, 3), batch.places)
    torch.testing.assert_close(system(more).total, system(batch).total)


@pytest.mark.parametrize("name", SUPERVISED)
def test_given_targets_have_the_loss_of_training(name):
    """What is predicted from is what was trained, taken a step at a time."""
    if "random" in name:
        pytest.skip("looks at other places each time")
    task, system = task_of(name), build(name).eval()
    part = task.frozen["valid"]
    forced = task.force(system, [task.cases(part)[row] for row in part.row], part.given, task.settings.decoding)
    batch = task.collated(part, list(range(len(part))))
    with torch.inference_mode():
        loss = system(batch)
        expected = float(loss.terms.get("nll", loss.total))
    assert -sum(one.log_prob for one in forced) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", SUPERVISED)
def test_predictions_are_the_same_alone_and_among_others(name):
    if "random" in name:
        pytest.skip("looks at other places each time")
    task, system = task_of(name), build(name).eval()
    cases, how = task.cases(task.frozen["valid"]), task.settings.decoding
    together = task.predict(system, cases, how, Wanted())
    for case, (found, *_) in zip(cases, together, strict=True):
        ((alone, *_),) = task.predict(system, [case], how, Wanted())
        assert alone.text == found.text
        assert alone.log_prob == pytest.approx(found.log_prob, abs=1e-4)


@pytest.mark.parametrize("name", SUPERVISED)
def test_traces_are_valid(name):
    task, system = task_of(name), build(name).eval()
    model = Model(None, task, [system])
    for case in task.cases(task.frozen["valid"]):
        prediction = model.predict_cases([case], task.settings.decoding)[0][0]
        trace = prediction.trace()
        assert Trace.from_json(trace.to_json()).output == trace.output
        for look in trace.looks.values():
            weights = getattr(look, "weights", None)
            if weights is not None and len(weights):
                np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-4)
        for token in prediction.tokens:
            assert token.start is None or trace.output[token.start : token.end] == token.text


@pytest.mark.parametrize("name", SUPERVISED)
def test_what_is_saved_predicts_the_same(name, tmp_path: Path):
    recipe, before = RECIPES[name], task_of(name)
    system = build(name).eval()
    save_file(system.state_dict(), tmp_path / "weights.safetensors")
    for key, field in before.fields.items():
        field.save(tmp_path, key)
    before.output.save(tmp_path)
    kept = {path.name for path in tmp_path.iterdir()} - {"weights.safetensors"}
    assert kept == set(Supervised.kept(before.settings))
    after = Supervised.open(recipe, before.settings, tmp_path)
    torch.manual_seed(99)
    other = after.build().eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    cases, how = before.cases(before.frozen["valid"]), before.settings.decoding
    torch.manual_seed(0)
    expected = [several[0].log_prob for several in before.predict(system, cases, how, Wanted())]
    torch.manual_seed(0)
    assert [several[0].log_prob for several in after.predict(other, cases, how, Wanted())] == expected


@pytest.mark.parametrize("name", OTHERS_SLOW)
def test_a_few_examples_are_overfitted(name):
    task, batch = task_of(name), batch_for(name)
    if RECIPES[name].task is Game:
        pytest.skip("games are not given again")
    system = build(name)
    optimiser = torch.optim.Adam(system.parameters(), 1e-2)
    before, after = eval_loss(system, batch), torch.inf
    drawn = RECIPES[name].task is Drawing
    for number in range(1, 501):
        # Systems that start near zero need larger steps to leave it.
        optimiser.param_groups[0]["lr"] = 1e-2 if number <= 200 else 3e-2
        loss = system.train()(batch)
        optimiser.zero_grad()
        (loss.total / loss.units).backward()
        torch.nn.utils.clip_grad_norm_(system.parameters(), 5.0)
        optimiser.step()
        if number % 50 == 0:
            after = eval_loss(system, batch)
            if after < before / (2 if drawn else 50):
                break
    if drawn:
        assert after < before / 2
        return
    part = task.frozen["valid"]
    found = task.predict(system, task.cases(part), task.settings.decoding, Wanted())
    # Some outputs are as long as asked for: what follows a target is not wrong.
    for several, row in zip(found, part.rows, strict=True):
        assert f"{several[0].text} ".startswith(f"{row.values[TARGET]} ")


def eval_loss(system: Any, batch: Any) -> float:
    with torch.inference_mode():
        return float(system.eval()(batch).total)


@pytest.mark.parametrize("name", OTHERS_SLOW)
def test_every_verb_works(name, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    recipe = RECIPES[name]
    flags = [word for field in fields(recipe.settings.system) for word in flag_of(field.name, recipe.settings.system)]
    flags += ["--training.epochs", "1", "--training.batch", "4", "--training.batch-tokens", "0"]
    given: list[str] = []
    if recipe.task is Game:
        flags += ["--data.size", "6", "--data.games", "8", "--data.measured", "8"]
    else:
        table = write_table(recipe, tmp_path)
        if table is None:
            pytest.skip("a table can't hold a grid of features")
        if not hasattr(recipe.settings.data, "train"):
            pytest.skip("the recipe's data is its own: another of the same file is for a person's")
        flags += ["--data.train", str(table), "--data.valid", str(table)]
        given = [str(table)]

    def run(*words: str) -> str:
        assert main(list(words)) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    if given:
        run("check", name, "--train", *given)
    run("train", name, "--out", "run", *flags)
    assert "{" in run("evaluate", "run", "--json")
    if recipe.task is not Supervised:
        if recipe.task is Drawing:
            run("show", "run", "new:1", "--out", "new.html")
        return
    assert "{" in run("evaluate", "run", "--data", *given, "--json")
    assert len(run("predict", "run", *given).splitlines()) == COUNT
    assert len(run("predict", "run", *given, "--format", "jsonl").splitlines()) == COUNT
    assert len(run("score", "run", *given).splitlines()) == COUNT
    run("show", "run", "valid:1", "--out", "look.html", "look.json")
    assert (tmp_path / "look.html").stat().st_size > 1000
    run("compare", "run", "again") if run_copy(tmp_path) else None


def flag_of(name: str, config: Any) -> list[str]:
    """What makes a setting of a system small, as a flag."""
    value, shrunk = getattr(config, name), getattr(small(config), name)
    return [] if value == shrunk else [f"--system.{name.replace('_', '-')}", str(shrunk)]


def run_copy(folder: Path) -> bool:
    import shutil

    shutil.copytree(folder / "run", folder / "again")
    return True


def write_table(recipe: Recipe, folder: Path) -> Path | None:
    """The examples as a table; images as files beside it. None if a field has no cells in tables."""
    names = [*recipe.settings.fields()]
    lines = ["\t".join([*names, TARGET])]
    for number, row in enumerate(Rows(recipe).rows("train")):
        cells = []
        for name, one in recipe.settings.fields().items():
            value = row.values[name]
            if one.kind == "grid":
                return None
            if one.kind == "image":
                pixels = value[0] if len(value) == 1 else value.transpose(1, 2, 0)
                Image.fromarray(pixels).save(folder / f"{number}.png")
                value = f"{number}.png"
            cells.append(value)
        lines.append("\t".join([*cells, row.values[TARGET] or "-"]))
    path = folder / "table.tsv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
