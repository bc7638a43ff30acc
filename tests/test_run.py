"""A run folder: what trains, goes on, and is loaded; and what a stranger's folder can not do."""

import json
import math
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import attend
from attend.catalogue import RECIPES, UNNAMED
from attend.data.files import DataError
from attend.data.own import Files
from attend.fields.image import Image
from attend.fields.text import Text
from attend.model import Model
from attend.outputs import classes
from attend.progress import Progress
from attend.recipe import Recipe, SupervisedSettings, inputs
from attend.record import finish, result, write_card
from attend.run import RunConfig, changed, hold, load, recipe_of, resume, start
from attend.systems import captioner
from attend.systems.rnnsearch_modern import System
from attend.task import Supervised
from attend.training import Interrupted, Training
from small_models import Config, Sorter, backwards

MODULE = """
from pathlib import Path
Path("imported").touch()
from small_models import backwards
RECIPE = backwards(Path("."), 40, 1)
"""


def quiet(*_: Any) -> None:
    """Say nothing."""


def small(folder: Path, **training: Any) -> Recipe:
    """Words to be spelt backwards, of which next to nothing is learnt."""
    folder.mkdir(exist_ok=True)
    made = backwards(folder, 40, 2)
    settings = made.settings
    system = replace(settings.system, embedding=4, hidden=4, alignment=4)
    return replace(made, settings=replace(settings, system=system, training=replace(settings.training, **training)))


@pytest.fixture(scope="module")
def made_by(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return small(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(made_by: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    attend.train(made_by, folder, quiet=True)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run that a test may spoil."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def test_a_run_from_before_texts_were_normalised_reads_them_as_it_did(run: Path, made_by: Recipe) -> None:
    """What a run's settings don't name has the value that it had before there was the setting."""
    assert load(run, recipe=made_by).predict("ab ").input == "ab"
    content = config_of(run)
    assert content["settings"]["inputs"]["source"].pop("normalise") is True
    assert content["settings"]["output"].pop("normalise") is True
    (run / "config.json").write_text(json.dumps(content))
    assert load(run, recipe=made_by).predict("ab ").input == "ab "


def change(folder: Path, **parts: Any) -> None:
    (folder / "config.json").write_text(json.dumps(config_of(folder) | parts))


# Training


def test_a_trained_run_has_all_that_people_read(trained: Path, made_by: Recipe):
    names = {path.name for path in trained.iterdir()}
    kept = {"source.tokenizer.json", "target.tokenizer.json"}
    left = {"config.json", "data.json", "log.jsonl", "checkpoint.pt", "training.json", "metrics.json", "curve.png"}
    assert names == {*kept, *left, "model.safetensors", "last.safetensors", "README.md"}
    config = config_of(trained)
    assert set(config["kept"]) == kept
    assert config["settings"] == json.loads(json.dumps(asdict(made_by.settings)))
    assert set(config["provenance"]) == {"command", "commit", "machine"}
    found = json.loads((trained / "training.json").read_text())
    assert found["epochs"] == 2
    assert found["data"]["training examples"] == 40
    figures = json.loads((trained / "metrics.json").read_text())["figures"]
    assert figures == load(trained, recipe=made_by).evaluate().figures


def test_the_model_card_says_how_the_run_was_made_and_is_used(trained: Path):
    card = (trained / "README.md").read_text()
    for part in ("words backwards", "| bleu |", "train.tsv", "valid.tsv", "attend predict", "attend.load", "curve.png"):
        assert part in card, part


def test_settings_are_changed_by_section_or_whole(made_by: Recipe, tmp_path: Path):
    how = {"epochs": 1, "batch": 8, "threads": 1}
    model = attend.train(
        made_by, tmp_path / "run", quiet=True, training=how, decoding=replace(made_by.settings.decoding, beam=1)
    )
    settings = model.config.settings
    assert (settings.training.epochs, settings.training.batch, settings.decoding.beam) == (1, 8, 1)
    assert settings.training.seed == made_by.settings.training.seed
    assert isinstance(model, Model)
    assert model.predict("ab").text is not None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"training": {"epoch": 3}}, r"training\.epoch.*epochs"),
        ({"training": {"epochs": "3"}}, r"training\.epochs"),
        ({"trainig": {"epochs": 3}}, "trainig.*training"),
        ({"epochs": 3}, "epochs"),
        ({"training": 3}, "training"),
        ({"training": {"epochs": -1}}, "epochs"),
        ({"training": {"watch": "accuracy"}}, r"training\.watch.*accuracy.*bleu"),
        ({"data": {"train": ("none.tsv",)}}, r"none\.tsv"),
    ],
)
def test_a_setting_that_can_not_be_is_named(changes: Any, named: str, made_by: Recipe, tmp_path: Path):
    with pytest.raises(ValueError, match=named):
        attend.train(made_by, tmp_path / "run", quiet=True, **changes)
    assert not list(tmp_path.rglob("*.json"))


def test_quiet_says_nothing(made_by: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    attend.train(made_by, tmp_path / "quiet", quiet=True, training={"epochs": 1})
    assert capsys.readouterr() == ("", "")
    attend.train(made_by, tmp_path / "loud", training={"epochs": 1})
    said = capsys.readouterr()
    assert "train: 40 examples" in said.err
    assert "validation after" in said.err
    assert said.out == ""


def test_a_run_is_not_overwritten_unless_one_says_so(run: Path, made_by: Recipe):
    before = (run / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="already holds a run"):
        attend.train(made_by, run, quiet=True)
    assert (run / "model.safetensors").read_bytes() == before
    attend.train(made_by, run, quiet=True, overwrite=True, training={"seed": 2, "epochs": 1})
    assert load(run, recipe=made_by).config.settings.training.seed == 2


@pytest.mark.parametrize("moment", ["attend.run.checksums", "attend.training.Run.save", "attend.api.finish"])
def test_a_second_training_is_refused_from_preparation_to_the_last_figure(
    moment: str, made_by: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whatever the first one is at, the second writes nothing, and the first comes to its end."""
    module, _, name = moment.rpartition(".")
    place: Any = attend.training.Run if name == "save" else sys.modules[module]
    original, refused = getattr(place, name), []

    def meanwhile(*words: Any, **named: Any) -> Any:
        before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
        for overwrite in (False, True):
            with pytest.raises(ValueError, match="by another process"):
                attend.train(made_by, tmp_path / "run", quiet=True, overwrite=overwrite, training={"seed": 2})
        with pytest.raises(ValueError, match="by another process"), hold(tmp_path / "run"):
            pass
        assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
        refused.append(moment)
        return original(*words, **named)

    monkeypatch.setattr(place, name, meanwhile)
    model = attend.train(made_by, tmp_path / "run", quiet=True, training={"epochs": 1})
    assert refused
    assert model.config.settings.training.seed == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    with hold(tmp_path / "run"):
        pass


def test_after_a_kill_during_preparation_training_begins_anew_and_nothing_is_gone_on_with(
    made_by: Recipe, tmp_path: Path
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "preparing.json").write_text('{"attend": "preparing", "kept": ["source.tokenizer.json"]}')
    (tmp_path / "run" / "source.tokenizer.json").write_text("half")
    with pytest.raises(ValueError, match=r"prepared.*train it again"):
        resume(tmp_path / "run", quiet, quiet, made_by)
    attend.train(made_by, tmp_path / "run", quiet=True, training={"epochs": 1})
    assert not (tmp_path / "run" / "preparing.json").exists()


def test_what_can_not_be_trained_costs_no_run(run: Path, made_by: Recipe):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    broken = replace(made_by, system=captioner.System)
    with pytest.raises(ValueError, match="encoder"):
        attend.train(broken, run, quiet=True, overwrite=True, system=captioner.Config())
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_run_is_not_put_into_what_it_learns_from(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    data, output = Files(folder=str(tmp_path / "photos")), classes.Classes()
    settings: Any = SupervisedSettings(Config(), inputs(image=Image()), output, data, Training(), classes.Decoding())
    with pytest.raises(ValueError, match="photos"):
        attend.train(Recipe("x", settings, Sorter, Supervised), tmp_path / "photos" / "run", quiet=True)


# Going on


def interrupted(made_by: Recipe, folder: Path) -> None:
    """A run that was asked to stop in its first epoch."""

    def stop(progress: Progress, figures: dict[str, float]) -> None:
        if progress.update == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted), hold(folder, make=True):
        start(made_by, made_by.settings, folder, quiet, stop, False)


def test_a_run_that_was_stopped_goes_on_as_if_it_never_had_been(trained: Path, made_by: Recipe, tmp_path: Path):
    folder = tmp_path / "run"
    interrupted(made_by, folder)
    assert not (folder / "last.safetensors").exists()
    progress = resume(folder, quiet, quiet, made_by)
    assert progress.epoch == 2
    for name in ("model", "last"):
        found, expected = (load_file(place / f"{name}.safetensors") for place in (folder, trained))
        assert all(torch.equal(found[key], value) for key, value in expected.items()), name


def test_a_run_without_a_checkpoint_begins_anew(run: Path, trained: Path, made_by: Recipe):
    (run / "checkpoint.pt").unlink()
    said: list[str] = []
    resume(run, said.append, quiet, made_by)
    assert "first checkpoint" in said[0]
    assert (run / "last.safetensors").read_bytes() == (trained / "last.safetensors").read_bytes()


def test_data_that_changed_are_not_gone_on_with(tmp_path: Path):
    made = small(tmp_path)
    interrupted(made, tmp_path / "run")
    assert changed(tmp_path / "run") == []
    with (tmp_path / "train.tsv").open("a") as file:
        file.write("abc\tcba\n")
    assert any("train.tsv" in line for line in changed(tmp_path / "run"))
    with pytest.raises(DataError, match=r"train\.tsv"):
        resume(tmp_path / "run", quiet, quiet, made)


def test_a_run_is_trained_for_more_epochs_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = small(tmp_path, schedule="constant")
    settings = replace(made.settings, training=replace(made.settings.training, epochs=4))
    attend.train(replace(made, settings=settings), tmp_path / "once", quiet=True)
    attend.train(made, tmp_path / "run", quiet=True)
    before = config_of(tmp_path / "run")["provenance"]["command"]
    config = RunConfig.read(tmp_path / "run", made)
    assert resume(tmp_path / "run", quiet, quiet, made, settings).epoch == 4
    assert "training.epochs was 2, and is 4 now" in capsys.readouterr().err
    once, more = (load_file(tmp_path / name / "last.safetensors") for name in ("once", "run"))
    assert all(torch.equal(more[name], value) for name, value in once.items())
    assert config_of(tmp_path / "run")["settings"]["training"]["epochs"] == 4
    assert config_of(tmp_path / "run")["provenance"]["command"].startswith(before)
    other = replace(config.settings, training=replace(config.settings.training, seed=2))
    with pytest.raises(ValueError, match=r"keeps its settings, but training\.seed was 1, and is 2 now"):
        resume(tmp_path / "run", quiet, quiet, made, other)
    # What is refused is not recorded.
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"damaged")
    before = config_of(tmp_path / "run")
    more = replace(settings, training=replace(settings.training, epochs=9))
    with pytest.raises(ValueError, match=r"checkpoint\.pt"):
        resume(tmp_path / "run", quiet, quiet, made, more)
    assert config_of(tmp_path / "run") == before


def test_data_that_moved_are_gone_on_with_if_they_are_the_same(tmp_path: Path):
    made = small(tmp_path)
    interrupted(made, tmp_path / "run")
    (tmp_path / "new").mkdir()
    moved = [str((tmp_path / name).rename(tmp_path / "new" / name)) for name in ("train.tsv", "valid.tsv")]
    with pytest.raises(DataError, match=r"train\.tsv"):
        resume(tmp_path / "run", quiet, quiet, made)

    def there(train: str, valid: str) -> Any:
        return replace(made.settings, data=replace(made.settings.data, train=(train,), valid=(valid,)))

    with pytest.raises(DataError, match=r"is not what this run learns from"):
        resume(tmp_path / "run", quiet, quiet, made, there(moved[1], moved[0]))
    resume(tmp_path / "run", quiet, quiet, made, there(*moved))
    assert list(json.loads((tmp_path / "run" / "data.json").read_text())) == moved
    assert load(tmp_path / "run", recipe=made).evaluate().figures
    # A path that was changed by hand is no way round.
    (tmp_path / "other.tsv").write_text("ab\tba\n" * 40)
    settings = config_of(tmp_path / "run")["settings"]
    settings["data"]["train"] = [str(tmp_path / "other.tsv")]
    change(tmp_path / "run", settings=settings)
    with pytest.raises(DataError, match=r"other\.tsv: is not what this run learns from"):
        resume(tmp_path / "run", quiet, quiet, made)


def test_a_run_s_data_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ATTEND_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    made = small(tmp_path)
    settings = replace(made.settings, data=Files("words", ("train.tsv",), ("valid.tsv",), ("valid.tsv",)))
    made = replace(made, settings=settings)
    interrupted(made, tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert changed(tmp_path / "run") == []
    resume(tmp_path / "run", quiet, quiet, made)
    model = load(tmp_path / "run", recipe=made)
    assert len(model.part("test").rows) == len(model.part("valid").rows) == 60


# Beginning with another run


def test_a_run_begins_with_the_weights_and_vocabularies_of_another(trained: Path, made_by: Recipe, tmp_path: Path):
    other = small(tmp_path)
    (tmp_path / "train.tsv").write_text("".join(f"{word}\t{word}\n" for word in ("ab", "ba", "xyz") * 4))
    still = {"learning_rate": 0.0, "epochs": 1}
    attend.train(other, tmp_path / "run", init=trained, quiet=True, training=still)
    for name in ("source.tokenizer.json", "target.tokenizer.json"):
        assert (tmp_path / "run" / name).read_bytes() == (trained / name).read_bytes()
    expected = load_file(trained / "model.safetensors")
    found = load_file(tmp_path / "run" / "last.safetensors")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert config_of(tmp_path / "run")["provenance"]["init"] == str(trained)
    assert str(trained) in (tmp_path / "run" / "README.md").read_text()
    # One that is stopped before its first checkpoint begins with them again, whatever became of the other run.
    (tmp_path / "run" / "checkpoint.pt").unlink()
    resume(tmp_path / "run", quiet, quiet, other)
    again = load_file(tmp_path / "run" / "last.safetensors")
    assert all(torch.equal(again[name], value) for name, value in expected.items())


def test_settings_of_the_system_are_those_of_the_run_to_begin_with(trained: Path, made_by: Recipe, tmp_path: Path):
    large = replace(made_by, settings=replace(made_by.settings, system=replace(made_by.settings.system, hidden=9)))
    config = attend.train(large, tmp_path / "run", init=trained, quiet=True, training={"epochs": 1}).config
    assert config.settings.system.hidden == 4


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"system": {"hidden": 5}}, r"is of size \[.*\] in .*trained.*run, and \[.*\] here"),
        ({"inputs": {"source": {"vocabulary": 50}}}, r"inputs\.source\.vocabulary was 0, and is 50"),
        ({"output": {"unit": "bpe"}}, r"output\.unit was 'character', and is 'bpe'"),
    ],
)
def test_what_does_not_fit_a_run_to_begin_with_is_named(
    changes: Any, named: str, trained: Path, made_by: Recipe, tmp_path: Path
):
    with pytest.raises(ValueError, match=named):
        attend.train(made_by, tmp_path / "run", init=trained, quiet=True, **changes)
    assert not list(tmp_path.iterdir())


def test_a_run_begins_with_none_of_another_kind_nor_with_itself(run: Path, made_by: Recipe, tmp_path: Path):
    with pytest.raises(ValueError, match="is the run to begin with"):
        attend.train(made_by, run, init=run, overwrite=True, quiet=True)
    change(run, recipe="rnnsearch-modern")
    with pytest.raises(ValueError, match="its system is of another kind"):
        attend.train("ram", tmp_path / "new", init=run, quiet=True)
    (run / "target.tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"target\.tokenizer\.json"):
        attend.train(made_by, tmp_path / "new", init=run, quiet=True)


def test_frozen_parts_are_the_same_whatever_the_seed(tmp_path: Path):
    """The held-out share follows from the seed, so that a part of its own is what seeds can be compared by."""
    made = small(tmp_path)
    parts = []
    for seed in (1, 2):
        settings = replace(made.settings, training=replace(made.settings.training, seed=seed))
        (tmp_path / str(seed)).mkdir()
        task = Supervised.prepare(made, settings, tmp_path / str(seed), quiet)
        parts.append([row.values for row in task.frozen["valid"].rows])
    assert parts[0] == parts[1]


# Loading


def test_several_runs_are_an_ensemble(trained: Path, run: Path, made_by: Recipe):
    one = load(trained, recipe=made_by).attention("abc", "cba").token_log_probs
    together = load(trained, run, recipe=made_by)
    assert len(together.systems) == 2
    assert together.attention("abc", "cba").token_log_probs == pytest.approx(one, abs=1e-5)
    with pytest.raises(ValueError, match="at least one"):
        load()


def test_runs_that_do_not_go_together_are_named(trained: Path, made_by: Recipe, tmp_path: Path):
    other = small(tmp_path)
    (tmp_path / "train.tsv").write_text("".join(f"{word}\t{word}\n" for word in ("xyz", "zyx")))
    attend.train(other, tmp_path / "run", quiet=True, training={"epochs": 1})
    with pytest.raises(ValueError, match=r"source\.tokenizer\.json differs from .*source\.tokenizer\.json"):
        load(trained, tmp_path / "run", recipe=made_by)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("config.json", None, "not a run folder"),
        ("config.json", "{", r"config\.json"),
        ("config.json", "[]", r"config\.json"),
        ("config.json", "{}", r"config\.json.*'recipe'"),
        ("model.safetensors", None, r"model\.safetensors"),
        ("model.safetensors", "damaged", r"model\.safetensors is damaged"),
        ("source.tokenizer.json", "{}", r"source\.tokenizer\.json"),
        ("source.tokenizer.json", None, r"source\.tokenizer\.json"),
    ],
)
def test_a_damaged_run_is_named(name: str, content: str | None, named: str, run: Path, made_by: Recipe):
    (run / name).unlink()
    if content is not None:
        (run / name).write_text(content)
    with pytest.raises(ValueError, match=named):
        load(run, recipe=made_by)


def test_settings_that_do_not_fit_are_named_by_file_and_key(run: Path, made_by: Recipe):
    settings = config_of(run)["settings"]
    settings["system"]["hiden"] = 3
    change(run, settings=settings)
    with pytest.raises(ValueError, match=r"config\.json.*system\.hiden.*hidden"):
        load(run, recipe=made_by)
    settings["system"] = {"hidden": 5}
    change(run, settings=settings)
    with pytest.raises(ValueError, match=r"model\.safetensors.*config\.json"):
        load(run, recipe=made_by)


def test_vocabularies_exchanged_for_others_of_the_same_size_are_named(run: Path, made_by: Recipe):
    """As large, and of the same entries: predictions would be nonsense without a word."""
    path = run / "target.tokenizer.json"
    content = json.loads(path.read_text())
    entries = content["model"]["vocab"]
    first, last = list(entries)[4], list(entries)[-1]
    entries[first], entries[last] = entries[last], entries[first]
    path.write_text(json.dumps(content))
    for call in (lambda: load(run, recipe=made_by), lambda: resume(run, quiet, quiet, made_by)):
        with pytest.raises(ValueError, match=r"target\.tokenizer\.json is not the file"):
            call()


def test_settings_changed_by_hand_are_named(run: Path, made_by: Recipe, capsys: pytest.CaptureFixture[str]):
    settings = config_of(run)["settings"]
    settings["training"]["learning_rate"] = 0.5
    change(run, settings=settings)
    with pytest.raises(ValueError, match=r"config\.json.*training\.learning_rate was 0\.01, and is 0\.5"):
        resume(run, quiet, quiet, made_by)
    assert capsys.readouterr().err == ""
    settings["output"]["tidy"] = True
    change(run, settings=settings)
    load(run, recipe=made_by)
    assert "output.tidy was False, and is True" in capsys.readouterr().err


def test_a_run_without_checksums_is_as_good(run: Path, made_by: Recipe):
    for name in ("model", "last"):
        save_file(load_file(run / f"{name}.safetensors"), run / f"{name}.safetensors")
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    del state["origin"]
    torch.save(state, run / "checkpoint.pt")
    (run / "data.json").unlink()
    assert resume(run, quiet, quiet, made_by).epoch == 2
    assert load(run, recipe=made_by).evaluate().figures


VALUES: list[Any] = [None, [], {}, "x", "", True, -1, 0.5, 10**400, -(10**25), math.inf, math.nan, [[]], {"a": [None]}]
CONTENTS = [b"", b"{", b"null", b"[]", b"3", b'"x"', b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000]


def mutations(content: bytes) -> Iterator[bytes]:
    """A JSON object with some of its values, one at a time, replaced by what they can't be, or left out."""
    yield from CONTENTS
    yield content[: len(content) // 2]
    choose = random.Random(0)

    def places(value: Any) -> Iterator[tuple[Any, Any]]:
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, one in inside:
            yield value, key
            yield from places(one)

    whole = json.loads(content)
    found = list(places(whole))
    for parent, key in choose.sample(found, min(len(found), 40)):
        before = parent[key]
        for value in choose.sample(VALUES, 1):
            parent[key] = value
            yield json.dumps(whole).encode()
        del parent[key]
        yield json.dumps(whole).encode()
        parent.insert(key, before) if isinstance(parent, list) else parent.update({key: before})


@pytest.mark.parametrize("name", ["config.json", "data.json", "training.json", "metrics.json"])
def test_whatever_a_file_holds_it_is_taken_or_named(name: str, run: Path, made_by: Recipe):
    config, path = RunConfig.read(run, made_by), run / name
    evaluated: Any = {"data": "x", "files": [], "split": "test", "count": 5}
    evaluated |= {"figures": {}, "signatures": {}, "intervals": {}}
    evaluated |= dict.fromkeys(("beam", "length_penalty", "longest", "ratio"), 1)

    def use() -> None:
        if name == "config.json":
            load(run, recipe=made_by).predict("ab")
        elif name == "data.json":
            changed(run)
        else:
            write_card(run, config)
            result([run], [config], evaluated, None)

    use()
    refused = 0
    for content in mutations(path.read_bytes()):
        path.write_bytes(content)
        try:
            use()
        except DataError:  # data that are not there are named themselves
            continue
        except ValueError as error:
            said = str(error)
        else:
            continue
        refused += 1
        assert name in said, content
        assert len(said) < 1000
    assert refused > 10


def test_a_damaged_log_keeps_no_run_from_going_on(made_by: Recipe, tmp_path: Path, capsys):
    folder = tmp_path / "run"
    interrupted(made_by, folder)
    with (folder / "log.jsonl").open("ab") as file:
        file.write(b'null\n{"update": []}\n' + b"[" * 100_000 + b"\n")
    with hold(folder):
        resume(folder, quiet, quiet, made_by)
        finish(folder, made_by)
    assert "3 lines" in capsys.readouterr().err
    assert (folder / "curve.png").exists()


def test_other_weights_are_loaded_by_name(trained: Path, made_by: Recipe):
    last = load(trained, weights="last", recipe=made_by)
    expected = load_file(trained / "last.safetensors")
    found = last.systems[0].state_dict()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    with pytest.raises(ValueError, match=r"averaged\.safetensors"):
        load(trained, weights="averaged", recipe=made_by)


# Recipes from outside


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a module that leaves a file when it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "run_strange.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("run_strange", None)


def test_a_recipe_of_one_s_own_is_trained_and_loaded_by_its_name(outside: Path):
    attend.train("run_strange:RECIPE", "run", quiet=True)
    assert config_of(outside / "run")["recipe"] == "run_strange:RECIPE"
    model = load("run", recipe="run_strange:RECIPE")
    assert isinstance(model.systems[0], System)
    with pytest.raises(ValueError, match=r"'run_strange:RECIPE'.*'run_strange:OTHER'"):
        load("run", recipe="run_strange:OTHER")


def test_a_stranger_s_folder_never_chooses_what_is_imported(run: Path, outside: Path):
    change(run, recipe="run_strange:RECIPE")
    for call in (lambda: load(run), lambda: RunConfig.read(run), lambda: resume(run, quiet, quiet)):
        with pytest.raises(ValueError, match=r"'run_strange:RECIPE'.*--recipe"):
            call()
    assert "run_strange" not in sys.modules
    assert not (outside / "imported").exists()
    # The caller's word is enough.
    assert load(run, recipe="run_strange:RECIPE").inputs == ("source",)
    assert (outside / "imported").exists()


@pytest.mark.parametrize(
    "name",
    ["run_strange:RECIPE:x", "os:system", "../run_strange:RECIPE", "rnnsearch-moden", "run_strange", "", "a:b", ":"],
)
def test_whatever_a_folder_calls_its_recipe_nothing_is_imported(name: str, run: Path, outside: Path):
    change(run, recipe=name)
    with pytest.raises(ValueError, match=r"recipe"):
        load(run)
    assert not (outside / "imported").exists()


def test_a_recipe_that_can_not_be_named_is_given_again(made_by: Recipe, trained: Path):
    name = config_of(trained)["recipe"]
    assert name == UNNAMED
    with pytest.raises(ValueError, match=r"recipe=\.\.\.") as caught:
        load(trained)
    assert "--recipe" not in str(caught.value)
    assert load(trained, recipe=made_by).config.made_by is made_by
    # By whatever name it can be imported now.
    assert recipe_of(name, "rnnsearch-modern", trained) is RECIPES["rnnsearch-modern"]
    assert recipe_of("anything:at-all", made_by, trained) is made_by


def test_attend_s_own_need_no_word(run: Path):
    change(run, recipe="rnnsearch-modern")
    assert load(run).config.made_by is RECIPES["rnnsearch-modern"]
    with pytest.raises(ValueError, match=r"'rnnsearch-modern'.*'rnnsearch'"):
        load(run, recipe="rnnsearch")


def test_a_system_of_one_s_own_is_trained_measured_and_loaded(tmp_path: Path):
    (tmp_path / "table.tsv").write_text("text\tlabel\n" + "".join(f"{word} x\t{word}\n" for word in "abcabcabcabc"))
    data = Files("letters", train=(str(tmp_path / "table.tsv"),), held_out=0.25)
    how = Training(epochs=60, batch=4, learning_rate=0.1, watch="accuracy")
    settings: Any = SupervisedSettings(
        Config(), inputs(text=Text("word")), classes.Classes(), data, how, classes.Decoding()
    )
    made = Recipe("letters", settings, Sorter, Supervised)
    model = attend.train(made, tmp_path / "run", quiet=True)
    assert model.evaluate().figures["accuracy"] == 1.0
    again = attend.load(tmp_path / "run", recipe=made)
    assert again.predict("b y").text == "b"
    assert again.predict("b y").probabilities == model.predict("b y").probabilities
