import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attend.attention.trace import (
    Alternative,
    Evidence,
    Frames,
    Gold,
    Grid,
    Intervention,
    Look,
    Media,
    Named,
    Picture,
    PictureEachStep,
    Token,
    Tokens,
    Trace,
    Weights,
    Windows,
)
from attend.data.image import as_data_uri
from attend.show.export import SUFFIXES, check, gold_cells, write
from attend.show.formats import read_npz
from attend.show.words import merge

PICTURE = as_data_uri(np.full((1, 6, 8), 90, dtype=np.uint8))
STEPS = Named(("1", "2"))
WINDOWS = Windows(np.zeros((2, 2)), np.ones((2, 2)), np.ones(2), STEPS)
GRID = Weights(np.full((2, 4), 0.25), STEPS, Grid(2, 2))
ANSWERS = ((Alternative(0, "seven", -0.1), Alternative(1, "one", -2.5)),) * 2


def text(subwords: Weights) -> Trace:
    return Trace("a house", "Haus an", {"source": subwords})


def over(*words: str) -> Tokens:
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])
    tokens = (Token(word, int(start), int(start) + len(word)) for word, start in zip(words, starts, strict=False))
    return Tokens(" ".join(words), tuple(tokens))


def entailment() -> Trace:
    """Two inputs: the premise's words, and from each of the hypothesis's words to the premise."""
    premise, hypothesis = over("a", "dog", "runs"), over("it", "moves")
    looks = {
        "premise": Weights(np.full((1, 3), 1 / 3), Named(("entailment",)), premise),
        "words": Weights(np.array([[0.5, 0.3, 0.2], [0.4, 0.3, 0.3]]), hypothesis, premise),
    }
    return Trace("a dog runs / it moves", "entailment", looks)


def trace_of(looks: dict[str, Look], media: dict[str, Media]) -> Trace:
    return Trace("x.png", "seven", looks, alternatives=ANSWERS, media=media)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_text_is_written_in_every_form_but_an_animation(suffix: str, subwords: Weights, tmp_path: Path) -> None:
    path = tmp_path / f"look{suffix.upper()}"
    if suffix == ".gif":
        with pytest.raises(ValueError, match=r"look\.GIF: "):
            write(path, text(subwords))
        assert not path.exists()
        return
    check(path, text(subwords))
    assert not path.exists()
    write(path, text(subwords))
    assert path.stat().st_size > 0


def svg(trace: Trace, path: Path, words: bool | None = None) -> str:
    write(path, trace, words)
    return path.read_text()


def test_figures_and_links_have_words_and_data_has_tokens(subwords: Weights, tmp_path: Path) -> None:
    path = tmp_path / "look.svg"
    assert ">house<" in svg(text(subwords), path)
    assert ">hou<" in svg(text(subwords), path, words=False)
    write(tmp_path / "look.pharaoh", text(subwords))
    assert (tmp_path / "look.pharaoh").read_text() == "1-0 0-1\n"
    write(tmp_path / "look.pharaoh", text(subwords), words=False)
    assert (tmp_path / "look.pharaoh").read_text() == "1-0 0-1 0-2\n"
    evidence = Evidence("source", {"gradient": np.zeros((4, 4))}, (Intervention("uniform", "", -1.0),))
    whole = replace(text(subwords), evidence=evidence)
    write(tmp_path / "look.json", whole)
    assert Trace.from_json(json.loads((tmp_path / "look.json").read_text())).to_json() == whole.to_json()
    write(tmp_path / "look.npz", whole)
    assert read_npz(tmp_path / "look.npz").to_json() == whole.to_json()


def test_characters_are_not_joined_to_words(tmp_path: Path) -> None:
    axis = Tokens("ab", (Token("a", 0, 1), Token("b", 1, 2)))
    trace = Trace("ab", "ab", {"source": Weights(np.eye(2), axis, axis)})
    path = tmp_path / "look.svg"
    assert (">a<" in svg(trace, path), ">ab<" in svg(trace, path)) == (True, False)
    assert ">ab<" in svg(trace, path, words=True)


def test_gold_links_are_outlined(subwords: Weights, tmp_path: Path) -> None:
    outline = "stroke: #d55e00"
    gold = {"source": Gold(sure=((0, 1),), possible=((0, 1), (1, 0)))}
    path = tmp_path / "look.svg"
    plain = svg(text(subwords), path).count(outline)
    assert svg(replace(text(subwords), gold=gold), path).count(outline) == plain + 2
    assert svg(replace(text(subwords), gold=gold), path, words=False).count(outline) == plain
    assert gold_cells(merge(subwords), gold["source"]) == [(0, 1), (1, 0)]
    with pytest.raises(ValueError, match="word 3 to 1, but there are 2 and 2 words"):
        gold_cells(merge(subwords), Gold((), ((2, 0),)))


def test_all_looks_with_weights_are_drawn_with_their_names(tmp_path: Path) -> None:
    drawn = svg(entailment(), tmp_path / "look.svg")
    for label in ("premise", "words", "entailment", "it", "moves"):
        assert drawn.count(f">{label}<") == 1
    assert drawn.count(">dog<") == 2
    write(tmp_path / "look.pharaoh", entailment())
    assert (tmp_path / "look.pharaoh").read_text() == "0-0 0-1\n"
    trace, words = entailment(), entailment().looks["words"]
    assert isinstance(words, Weights)
    even = replace(trace, looks={"words": replace(words, weights=np.full((2, 3), 1 / 3))})
    with pytest.raises(ValueError, match=r"b\.pharaoh: .* no links"):
        write(tmp_path / "b.pharaoh", even)


@pytest.mark.parametrize(
    ("looks", "media", "panels"),
    [
        ({"write": WINDOWS}, {"write": PictureEachStep((PICTURE,) * 2)}, {"1", "2", "write"}),
        ({"read": WINDOWS}, {"output": PictureEachStep((PICTURE,) * 2)}, {"1", "2", "read"}),
        ({}, {"output": PictureEachStep((PICTURE,) * 2)}, {"1", "2"}),
        ({"image": GRID}, {"input": Picture(PICTURE)}, {"cells", "smoothed"}),
        ({"image": GRID}, {"image": PictureEachStep((PICTURE,) * 2)}, {"cells", "smoothed"}),
        ({"image": GRID}, {}, {"cells", "smoothed"}),
        ({"glimpse": WINDOWS}, {"input": Picture(PICTURE)}, {"seven", "one"}),
        ({"glimpse": WINDOWS, "image": GRID}, {"input": Picture(PICTURE)}, {"cells", "smoothed"}),
    ],
)
def test_looks_at_images_are_drawn_and_animated(
    looks: dict[str, Look], media: dict[str, Media], panels: set[str], tmp_path: Path
) -> None:
    drawn = svg(trace_of(looks, media), tmp_path / "look.svg")
    assert all(f">{panel}<" in drawn for panel in panels)
    write(tmp_path / "look.gif", trace_of(looks, media))
    with Image.open(tmp_path / "look.gif") as gif:
        assert getattr(gif, "n_frames", 1) in (1, 2)  # alike frames are joined


def test_frames_of_a_sound_are_drawn(tmp_path: Path) -> None:
    frames = Frames((0.0, 0.5), 0.5)
    trace = Trace("x.wav", "a", {"sound": Weights(np.full((1, 2), 0.5), over("a"), frames)})
    assert ">0.50s<" in svg(trace, tmp_path / "look.svg")


@pytest.mark.parametrize(
    ("trace", "suffix", "lack"),
    [
        (Trace("x.png", "seven", {}, media={"input": Picture(PICTURE)}), ".png", "no weights"),
        (Trace("x.png", "seven", {}, media={"input": Picture(PICTURE)}), ".gif", "no weights"),
        (Trace("x.png", "seven", {"glimpse": WINDOWS}), ".svg", "no picture"),
        (Trace("", "", {"mean": Weights(np.ones((2, 1)), STEPS, Named(("mean",)))}), ".png", "no weights"),
        (Trace("", "", {"slots": Weights(np.eye(2), STEPS, STEPS)}), ".gif", "slots"),
        (Trace("", "", {"slots": Weights(np.eye(2), STEPS, STEPS)}), ".pharaoh", "no weights of tokens"),
        (Trace("", "", {}), ".doc", r"\.png, \.svg, \.gif"),
        (Trace("", "", {}), "", r"\.png, \.svg, \.gif"),
    ],
)
def test_what_a_trace_lacks_is_named_with_the_file(trace: Trace, suffix: str, lack: str, tmp_path: Path) -> None:
    path = tmp_path / f"look{suffix}"
    for attempt in (check, write):
        with pytest.raises(ValueError, match=rf"look{suffix}: .*{lack}"):
            attempt(path, trace)
    assert not path.exists()
