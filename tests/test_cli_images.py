"""The command line with runs that look at images."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import attend
from attend.attention.trace import Trace
from attend.cli import main


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of a bar, at the left or at the right."""
    folder = tmp_path_factory.mktemp("pictures")
    generate = np.random.default_rng(0)
    rows = ["file_name,label"]
    for number in range(60):
        side = ("left", "right")[number % 2]
        pixels = generate.integers(40, size=(16, 16), dtype=np.uint8)
        pixels[:, 2 : 5 if side == "left" else 2] = 220
        pixels[:, 11 : 14 if side == "right" else 11] = 220
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{side}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "bars"
    size = ["--system.glimpses", "2", "--system.size", "6", "--system.scales", "2", "--system.hidden", "32"]
    where = ["--out", str(out), "--data.folder", str(pictures), "--data.held-out", "0.2"]
    assert main(["train", "ram", *where, *size, "--training.epochs", "20"]) == 0
    return out


def test_a_folder_of_pictures_becomes_a_run(run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]):
    card = (run / "README.md").read_text()
    for part in ("| classes | 2 |", str(pictures), "attend predict", "error"):
        assert part in card
    assert main(["evaluate", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["count"] == 12
    assert found["error"] <= 0.1
    assert main(["evaluate", str(run), "--beam", "2"]) == 2
    assert "--beam is for runs that read text" in capsys.readouterr().err


def test_a_link_that_leads_nowhere_stops_no_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for number in range(4):
        name = tmp_path / "pictures" / ("cat", "dog")[number % 2] / f"{number}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 40 * number).save(name)
    (tmp_path / "pictures" / "cat" / "gone.png").symlink_to("nowhere.png")
    where = ["--out", str(tmp_path / "run"), "--data.folder", str(tmp_path / "pictures"), "--training.epochs", "1"]
    assert main(["train", "feedforward", *where, "--system.hidden", "8", "--system.rows", "8"]) == 0
    assert "1 left out, no such file: cat/gone.png" in capsys.readouterr().err


def test_pictures_are_answered_in_order(run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]):
    files = [str(pictures / f"{number}.png") for number in (0, 1, 2)]
    assert main(["predict", str(run), *files]) == 0
    assert capsys.readouterr().out.splitlines() == ["left", "right", "left"]
    assert main(["predict", str(run), *files, "--format", "tsv"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == files
    assert all(-0.7 <= float(row[1]) <= 0 for row in rows)
    assert main(["predict", str(run), files[0], "--format", "jsonl"]) == 0
    assert Trace.from_json(json.loads(capsys.readouterr().out)["trace"]).output == "left"


def test_a_folder_is_answered_but_for_what_can_not_be_read(
    run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "new"
    (folder / "more").mkdir(parents=True)
    files = [folder / name for name in ("a.png", "b.jpg", "more/c.png")]
    shutil.copy(pictures / "1.png", files[0])
    files[1].write_bytes(b"no picture")
    shutil.copy(pictures / "0.png", files[2])
    (folder / "notes.txt").write_text("no picture either")
    assert main(["predict", str(run), str(folder)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "right\n\nleft\n"
    assert f"{files[1]}: not a PNG or JPEG" in captured.err
    assert captured.err.endswith("1 of 3 files could not be read, and no answer is in their lines\n")
    out = tmp_path / "answers.tsv"
    assert main(["predict", str(run), str(folder), "--format", "tsv", "--out", str(out)]) == 2
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert [row[0] for row in rows] == [str(file) for file in files]
    assert rows[1][1:] == ["", ""]
    assert main(["predict", str(run), str(files[1]), str(files[0]), "--format", "jsonl"]) == 2
    unread, read = map(json.loads, capsys.readouterr().out.splitlines())
    assert unread == {"input": str(files[1]), "text": None, "score": None, "trace": None}
    assert read["text"] == "right"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "{run}"], "name their files"),
        (["predict", "{run}", "nowhere.png"], "nowhere.png"),
        (["predict", "{run}", "{pictures}/empty"], "holds no .png, .jpg or .jpeg files"),
        (["predict", "{run}", "{pictures}", "--out", "{picture}"], "is read or written by this command already"),
        (["predict", "{run}", "{picture}", "--beam", "3"], "--beam is for what writes"),
        (["predict", "{run}", "{picture}", "--subwords"], "--subwords is for runs that read text; {run} reads images"),
        (["show", "{run}", "valid:99"], "images 1 to 12"),
        (["show", "{run}", "test:1"], "no part 'test'"),
        (["show", "{run}", "{picture}", "--target", "x"], "--target is for runs that read text; {run} reads images"),
        (["show", "{run}", "{picture}", "--out", "x.pharaoh"], ".png, .svg, .gif"),
        (["score", "{run}", "a.tsv"], "does not take text"),
    ],
)
def test_what_a_run_of_images_can_not_do_is_said(
    arguments: list[str], said: str, run: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
):
    words = [word.format(run=run, picture=pictures / "0.png", pictures=pictures) for word in arguments]
    assert main(words) == 2
    captured = capsys.readouterr()
    assert said.format(run=run) in captured.err
    assert captured.out == ""


def test_where_it_looked_is_shown(run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = str(pictures / "3.png")
    assert main(["show", str(run), picture]) == 0
    assert capsys.readouterr().out.count("step") == 2
    files = [str(tmp_path / f"look.{suffix}") for suffix in ("png", "svg", "gif", "html", "json")]
    assert main(["show", str(run), picture, "--out", *files]) == 0
    with Image.open(files[0]) as png, Image.open(files[2]) as gif:
        assert png.width > png.height
        assert getattr(gif, "n_frames", 1) == 2
    assert "data:image/png;base64" in Path(files[3]).read_text()
    assert Trace.from_json(json.loads(Path(files[4]).read_text())).output == "right"


def test_how_a_picture_is_drawn_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = str(tmp_path / "drawer")
    assert main(["train", "draw-small", "--out", folder, "--training.epochs", "1", "--system.hidden", "8"]) == 0
    capsys.readouterr()
    files = [str(tmp_path / f"drawn.{suffix}") for suffix in ("png", "gif", "html", "json")]
    for what in ("new:2", "valid:1"):
        assert main(["show", folder, what, "--out", *files]) == 0
        with Image.open(files[1]) as gif:
            assert getattr(gif, "n_frames", 1) == 4
        assert "data:image/png;base64" in Path(files[2]).read_text()
    assert Trace.from_json(json.loads(Path(files[3]).read_text())).input == "valid:1"
    assert main(["show", folder, "new"]) == 0
    assert capsys.readouterr().out.startswith("noise 1 of seed 1: drawn in 4 steps")
    assert main(["show", folder, "valid:100000"]) == 2
    assert "has images 1 to" in capsys.readouterr().err
    assert main(["show", folder, str(tmp_path / "none.png")]) == 2
    assert "no file" in capsys.readouterr().err
    assert main(["predict", folder, str(tmp_path / "none.png")]) == 2
    assert "attend show shows what it draws" in capsys.readouterr().err


def test_drawings_of_other_images_are_not_compared(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    small = ["--training.epochs", "1", "--system.hidden", "8", "--system.latent", "4", "--system.steps", "2"]
    other = tmp_path / "other"
    other.mkdir()
    for name in sorted(pictures.glob("*.png"))[:30]:
        shutil.copy(name, other)
    runs = [str(tmp_path / name) for name in ("first", "second")]
    for run, folder in zip(runs, (pictures, other), strict=True):
        assert main(["train", "draw", "--out", run, "--data.folder", str(folder), *small]) == 0
    capsys.readouterr()
    assert main(["compare", *runs]) == 2
    assert "is measured on other examples than" in capsys.readouterr().err


def test_what_has_changed_since_training_is_said(
    run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    again = tmp_path / "again"
    shutil.copytree(run, again)
    commands = (["evaluate", str(again)], ["show", str(again), "valid:1"], ["compare", str(run), str(again)])
    for words in commands:
        assert main(words) == 0
        assert "has changed" not in capsys.readouterr().err
    known = again / "data.json"
    known.write_text(json.dumps(dict.fromkeys(json.loads(known.read_text()), "00000000")))
    for words in commands:
        assert main(words) == 0
        assert f"{pictures} has changed since {again} began" in capsys.readouterr().err


def test_what_sees_the_whole_image_has_no_places_to_draw(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run, small = tmp_path / "whole", ["--system.hidden", "8", "--training.epochs", "1"]
    size = ["--system.rows", "16"]
    assert main(["train", "feedforward", "--out", str(run), "--data.folder", str(pictures), *small, *size]) == 0
    picture, page, drawn = str(pictures / "3.png"), str(tmp_path / "look.html"), str(tmp_path / "look.png")
    assert main(["show", str(run), picture, "--out", page, drawn]) == 2
    assert "sees the whole image at once: there are no places to draw" in capsys.readouterr().err
    assert not Path(page).exists()
    assert main(["show", str(run), picture, "--out", page]) == 0


def test_the_mean_of_all_cells_has_no_places_to_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run, drawn = tmp_path / "mean", str(tmp_path / "look.png")
    few = ["--data.scenes", "32", "--data.measured", "8", "--training.epochs", "1", "--system.attention", "mean"]
    assert main(["train", "captioner-small", "--out", str(run), *few]) == 0
    assert main(["show", str(run), "valid:1", "--out", drawn]) == 2
    assert f"there are no places to draw into {drawn}; name a file .html or .json" in capsys.readouterr().err


def test_a_run_is_not_put_where_it_learns_from(pictures: Path, capsys: pytest.CaptureFixture[str]):
    out = pictures / "runs" / "x"
    assert main(["train", "ram", "--out", str(out), "--data.folder", str(pictures)]) == 2
    assert f"{out} is in {pictures}, which is learnt from" in capsys.readouterr().err
    assert not out.parent.exists()


def test_runs_are_compared(run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    other = tmp_path / "centre"
    where = ["--out", str(other), "--data.folder", str(pictures), "--data.held-out", "0.2"]
    size = ["--system.size", "2", "--system.scales", "1", "--system.places", "centre", "--training.epochs", "1"]
    assert main(["train", "ram", *where, *size]) == 0
    capsys.readouterr()
    assert main(["compare", str(run), str(other), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in found["runs"]] == [str(run), str(other)]
    assert found["runs"][0]["error"] < found["runs"][1]["error"]
    (tested,) = found["comparisons"]
    assert (tested["run"], tested["against"]) == (str(other), str(run))
    assert tested["difference"] == pytest.approx(found["runs"][1]["error"] - found["runs"][0]["error"])
    assert tested["p"] < 0.05
    assert main(["compare", str(run), str(other)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"| figure | {run} | {other} |"
    assert any(line.startswith("| error | ") for line in shown)
    assert main(["compare", str(run), str(other), "--out", str(tmp_path / "x.png")]) == 2
    assert "by source length" in capsys.readouterr().err


def test_from_python(run: Path, pictures: Path):
    model = attend.load(run)
    answer = model.predict(pictures / "0.png")
    assert answer.text == "left"
    assert "left" in str(answer)
    assert "<iframe" in answer._repr_html_()
    pixels = np.zeros((1, 16, 16), dtype=np.uint8)
    assert model.predict(pixels).text in ("left", "right")
    with Image.open(pictures / "0.png") as image:
        assert model.predict(image).text == "left"
    for wrong in (pixels[:, :4], pixels.astype(np.float32)):
        with pytest.raises(ValueError, match="this run takes"):
            model.predict(wrong)
