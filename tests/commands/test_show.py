import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from attend.attention.trace import SCHEMA, Trace
from attend.inspect.alignment import read_pharaoh
from attend.show.formats import read_npz

from .conftest import FEW_SCENES, Attend


def trace_of(path: Path) -> Trace:
    return Trace.from_json(json.loads(path.read_text()))


# Text.


def test_the_terminal(run: Path, attend: Attend) -> None:
    out = attend("show", run, "a dog runs").out
    assert out.startswith("A GOD SNUR\n")
    assert "GOD <- dog" in out
    assert "\x1b" not in out


def test_every_form(run: Path, tmp_path: Path, attend: Attend) -> None:
    names = [tmp_path / f"look.{suffix}" for suffix in ("PNG", "svg", "html", "json", "NPZ", "pharaoh")]
    assert attend("show", run, "a dog runs", "--target", "SNUR GOD A", "--out", *names).out == ""
    assert names[0].read_bytes().startswith(b"\x89PNG")
    assert read_npz(names[4]).output == "SNUR GOD A"
    assert len(read_pharaoh(str(names[5]), first=0)) == 1
    trace = trace_of(names[3])
    assert json.loads(names[3].read_text())["schema"] == SCHEMA
    # A page has what the output depends on beside it.
    assert trace.evidence is not None
    assert trace.about == {"run": str(run), "recipe": "rnnsearch-modern"}


def test_files_in_one_flag_or_in_several(run: Path, tmp_path: Path, attend: Attend) -> None:
    names = ["a.json", "b.npz", "c.pharaoh"]
    first, second, third = (tmp_path / name for name in names)
    attend("show", run, "a dog", "--out", first, second, "--out", third)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert trace_of(first).evidence is None


def test_gold_links_are_outlined(run: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]) -> None:
    gold, plain, outlined = tmp_path / "gold", tmp_path / "plain.svg", tmp_path / "gold.svg"
    gold.write_text("0-0 1p1\n")
    given = ["show", run, "a dog", "--target", "A GOD"]
    form = ["--gold", gold, "--gold-form", "pharaoh"]
    attend(*given, "--out", plain)
    attend(*given, *form, "--out", outlined)
    assert outlined.read_text().count("stroke: #d55e00") == plain.read_text().count("stroke: #d55e00") + 2
    attend(*given, *form, "--out", tmp_path / "gold.html")
    assert '"gold"' in (tmp_path / "gold.html").read_text()
    gold.write_text("0-0 2-1\n")
    assert f"{gold}, line 1: " in fails(*given, *form, "--out", outlined)
    assert "--gold" in fails(*given, *form)


def test_a_missing_font_is_said(run: Path, tmp_path: Path, attend: Attend) -> None:
    # Private use: no font is asked to have it.
    done = attend("show", run, "a \U000f1234", "--target", "A", "--out", tmp_path / "x.png")
    assert str(tmp_path / "x.png") in done.err


def test_a_row_of_the_runs_own_data(run: Path, data: Path, tmp_path: Path, attend: Attend) -> None:
    for part in ("valid", "test"):
        attend("show", run, f"{part}:3", "--out", tmp_path / "x.json")
        assert trace_of(tmp_path / "x.json").input == (data / f"{part}.s").read_text().splitlines()[2]


def test_without_attention_there_is_the_output(summary: Path, tmp_path: Path, attend: Attend) -> None:
    attend("show", summary, "a dog runs", "--out", tmp_path / "x.json", tmp_path / "x.html")
    done = attend("show", summary, "a dog runs")
    assert done.lines == [f"a dog runs: {trace_of(tmp_path / 'x.json').output}"]
    assert "no attention" in done.err


# Images.


def test_where_a_classifier_looked(bars: Path, pictures: Path, tmp_path: Path, attend: Attend) -> None:
    picture = pictures / "3.png"
    assert attend("show", bars, picture).out.count("step") == 2
    files = [tmp_path / f"look.{suffix}" for suffix in ("png", "svg", "gif", "html", "json")]
    attend("show", bars, picture, "--out", *files)
    with Image.open(files[0]) as png, Image.open(files[2]) as gif:
        assert png.width > png.height
        assert getattr(gif, "n_frames", 1) == 2
    assert "data:image/png;base64" in files[3].read_text()
    assert trace_of(files[4]).output == "right"
    attend("show", bars, picture, "--target", "left", "--out", files[4])
    assert trace_of(files[4]).output == "left"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["valid:99"], ["valid:99", "12"]),
        (["test:1"], ["'test'", "valid"]),
        (["{picture}", "--target", "middle"], ["'middle'"]),
        (["{picture}", "--target", "left", "--gold", "{picture}", "--out", "x.png"], ["--gold", "'classes'"]),
        (["{picture}", "--out", "x.pharaoh"], ["x.pharaoh"]),
        (["nowhere.png"], ["nowhere.png"]),
        (["--inputs", "picture={picture}"], ["'picture'", "image"]),
    ],
)
def test_what_a_classifier_of_images_can_not_show_is_said(
    arguments: list[str], named: list[str], bars: Path, pictures: Path, fails: Callable[..., str]
) -> None:
    said = fails("show", bars, *(word.format(picture=pictures / "0.png") for word in arguments))
    assert [name for name in named if name not in said] == []


def test_captions_are_over_the_picture(captions: Path, scenes: Path, tmp_path: Path, attend: Attend) -> None:
    files = [tmp_path / f"look.{suffix}" for suffix in ("png", "gif", "html", "json")]
    attend("show", captions, scenes / "0.png", "--target", "a red circle", "--out", *files)
    with Image.open(files[1]) as gif:
        assert getattr(gif, "n_frames", 1) == 4  # and the end
    trace = trace_of(files[3])
    assert (trace.input, trace.output) == ("0.png", "a red circle")
    assert attend("show", captions, "valid:1").lines[0].startswith("scene 1: ")


def test_what_sees_the_whole_image_has_no_places_to_draw(
    pictures: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    run, small = tmp_path / "whole", ["--system.hidden", "8", "--training.epochs", "1"]
    attend("train", "feedforward", "--out", run, "--data.folder", pictures, *small, "--system.rows", "16")
    page, drawn = tmp_path / "look.html", tmp_path / "look.png"
    assert str(drawn) in fails("show", run, pictures / "3.png", "--out", page, drawn)
    assert not page.exists()
    attend("show", run, pictures / "3.png", "--out", page)


def test_the_mean_of_all_cells_has_no_places_to_draw(tmp_path: Path, attend: Attend, fails: Callable[..., str]) -> None:
    run, drawn = tmp_path / "mean", tmp_path / "look.png"
    attend("train", "captioner-small", "--out", run, *FEW_SCENES, "--system.attention", "mean")
    assert str(drawn) in fails("show", run, "valid:1", "--out", drawn)


# Several inputs, and what is no prediction.


def test_two_texts(entailment: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]) -> None:
    inputs = ["--inputs", "premise=a dog runs", "hypothesis=the cat sits"]
    out = attend("show", entailment, *inputs).out
    assert "sits <- " in out
    files = [tmp_path / f"look.{suffix}" for suffix in ("png", "html", "json", "pharaoh")]
    attend("show", entailment, *inputs, "--target", "same", "--out", *files)
    trace = trace_of(files[2])
    assert (trace.input, trace.output) == ("premise: a dog runs\nhypothesis: the cat sits", "same")
    attend("show", entailment, "valid:2", "--out", files[2])
    said = fails("show", entailment, "a dog runs")
    assert "premise" in said
    assert "--inputs" in said
    assert "'hypothesis'" in fails("show", entailment, "--inputs", "premise=a dog")


def test_a_step_of_heads_over_memory_slots(copier: Path, tmp_path: Path, attend: Attend) -> None:
    out = attend("show", copier, "10 01", "--step", "2").out
    assert "memory after step 2" in out
    (line,) = [line for line in out.splitlines() if line.startswith("  write:")]
    assert re.findall("[a-z]+", line) == ["write", "before", "content", "gate", "shift", "sharpen"]
    # By default it is the output's first step.
    assert "step 3 (output 1)" in attend("show", copier, "10 01").out
    first, second = tmp_path / "first.svg", tmp_path / "second.svg"
    attend("show", copier, "10 01", "--out", first)
    attend("show", copier, "10 01", "--step", "2", "--out", second, tmp_path / "page.html", tmp_path / "trace.json")
    assert "memory after step 3" in first.read_text()
    assert "memory after step 2" in second.read_text()
    trace = trace_of(tmp_path / "trace.json")
    assert {"write", "write: content", "write: gate", "write: shift"} <= trace.looks.keys()
    assert trace.media["write"].kind == "picture_each_step"
    # Of bits there is no evidence, so none is missed.
    assert attend("show", copier, "10 " * 200, "--out", tmp_path / "long.html").err == ""


def test_a_step_that_is_not_there_is_said(copier: Path, run: Path, tmp_path: Path, fails: Callable[..., str]) -> None:
    for step in ("0", "99"):
        assert f"--step {step}" in fails("show", copier, "10 01", "--step", step)
    assert "--step" in fails("show", copier, "10 01", "--step", "1", "--out", tmp_path / "x.gif")
    assert "--step" in fails("show", run, "a dog", "--step", "1")


def test_how_a_picture_is_drawn(
    drawer: Path, scenes: Path, tmp_path: Path, attend: Attend, fails: Callable[..., str]
) -> None:
    files = [tmp_path / f"drawn.{suffix}" for suffix in ("png", "gif", "html", "json")]
    for what in ("new:2", "valid:1"):
        attend("show", drawer, what, "--out", *files)
        with Image.open(files[1]) as gif:
            assert getattr(gif, "n_frames", 1) == 4
        assert "data:image/png;base64" in files[2].read_text()
    assert trace_of(files[3]).input == "valid:1"
    assert attend("show", drawer, "new").out.startswith("noise 1 of seed 1: ")
    attend("show", drawer, scenes / "0.png", "--out", files[3])
    assert trace_of(files[3]).input == "0.png"
    for words, named in (
        (["valid:100000"], "valid:100000"),
        (["new:0"], "new:0"),
        ([tmp_path / "none.png"], "none.png"),
        (["new", "--target", "x"], "--target"),
    ):
        assert named in fails("show", drawer, *words)


def test_a_game_is_not_shown(player: Path, fails: Callable[..., str]) -> None:
    assert "show does not support game" in fails("show", player, "valid:1")
