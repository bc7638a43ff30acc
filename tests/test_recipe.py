"""Recipes: settings as records, systems from named sizes."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from torch import nn

from attend.catalogue import RECIPES, find
from attend.data.examples import TARGET
from attend.data.own import Files
from attend.fields.grid import Grid
from attend.fields.image import Image
from attend.fields.text import Text
from attend.outputs.classes import Classes
from attend.outputs.sequence import Decoding, Sequence
from attend.recipe import Recipe, Settings, SupervisedSettings, inputs
from attend.settings import merge
from attend.task import Supervised
from attend.training import Training


class Sized(nn.Module):
    def __init__(self, config: int, source_vocabulary: int, target_classes: int, image_rows: int = 7) -> None:
        super().__init__()
        self.sizes = (config, source_vocabulary, target_classes, image_rows)


def recipe(**fields: Any) -> Recipe:
    settings: Any = SupervisedSettings(3, inputs(**fields), Classes(), Files(), Training(), Decoding())
    return Recipe("a test", settings, Sized, Supervised)


def test_a_system_is_given_the_sizes_that_its_constructor_names():
    made = recipe(source=Text())
    sizes = {"source_vocabulary": 11, "target_classes": 2, "other_rows": 5}
    assert made.construct(3, sizes).sizes == (3, 11, 2, 7)
    assert made.construct(4, {**sizes, "image_rows": 9}).sizes == (4, 11, 2, 9)
    del sizes["target_classes"]
    with pytest.raises(ValueError, match=r"'target_classes'.*source_vocabulary, other_rows"):
        made.construct(3, sizes)


def test_inputs_are_one_record_by_name():
    one, other = inputs(premise=Text("word"), image=Image()), inputs(premise=Text(), image=Image())
    assert type(one) is type(other)
    assert one == inputs(premise=Text("word"), image=Image()) != other
    assert list(asdict(one)) == ["premise", "image"]
    changed = merge(recipe(premise=Text("word")).settings, {"inputs": {"premise": {"vocabulary": 9}}}, "here")
    assert changed.fields() == {"premise": Text("word", 9)}
    with pytest.raises(ValueError, match=r"here.*inputs\.premis.*premise"):
        merge(recipe(premise=Text("word")).settings, {"inputs": {"premis": {}}}, "here")


def test_columns_are_those_of_the_inputs_and_the_target():
    settings = recipe(source=Text(), image=Image(), grid=Grid()).settings
    assert [column.name for column in settings.columns()] == ["source", "image", "grid", TARGET]
    assert settings.kinds() == {"source": "text", "image": "file", "grid": "file", TARGET: "label"}
    written = replace(settings, output=Sequence(metrics="captions"))
    assert written.kinds()[TARGET] == "text"
    assert written.columns()[-1].several
    assert set(find("ntm").settings.kinds().values()) == {"file"}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_watch_and_reach_what_is_measured(name: str):
    made = RECIPES[name]
    settings = made.settings
    assert isinstance(settings, Settings | SupervisedSettings)
    assert made.about
    measures = set(getattr(getattr(settings, "output", None), "measures", None) or made.task.measures)
    assert settings.training.watch in {"loss", "perplexity", *measures}
    assert set(made.reaches) <= measures | {"loss", "perplexity", "pointing_accuracy", "pointing_accuracy_last_step"}
    # They are kept and read again as they are.
    assert merge(settings, asdict(settings), "config.json") == settings
