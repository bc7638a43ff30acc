"""Traces of every kind, small enough to know by heart: what the page's tests and the documentation's pictures show."""

import base64
import io
import math
import wave
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageDraw

from attend.attention.trace import (
    Alternative,
    Evidence,
    Frames,
    Gold,
    Grid,
    Intervention,
    Media,
    Named,
    Node,
    Picture,
    PictureEachCell,
    PictureEachStep,
    Sound,
    Token,
    Tokens,
    Trace,
    Weights,
    Windows,
)
from attend.data.image import as_data_uri


def tokens(text: str, pieces: list[str], end: bool = True) -> Tokens:
    """The pieces where they stand in the text, one after the other; with the end of the sentence behind them."""
    found, at = [], 0
    for piece in pieces:
        start = text.index(piece, at)
        found.append(Token(piece, start, start + len(piece)))
        at = start + len(piece)
    return Tokens(text, (*found, *([Token("</s>")] if end else [])))


def peaked(steps: int, cells: int, centres: list[float], width: float = 0.6) -> Float[np.ndarray, "step memory"]:
    """A row a step with its weight around a centre, and a little everywhere."""
    place = np.arange(cells)
    rows = np.exp(-((place - np.array(centres)[:steps, None]) ** 2) / (2 * width**2)) + 0.004
    return rows / rows.sum(axis=1, keepdims=True)


def subwords() -> Trace:
    """English to German in pieces of words, with a person's links, a search, alternatives and evidence."""
    memory = tokens("a dog runs on the beach .", ["a", " dog", " run", "s", " on", " the", " bea", "ch", " ."])
    steps = tokens("ein hund rennt am strand .", ["ein", " hund", " renn", "t", " am", " str", "and", " ."])
    weights = peaked(9, 10, [0, 1, 2, 2.6, 4.4, 6, 6.6, 8, 9])
    ids = (11, 12, 13, 14, 15, 16, 17, 18, 3)
    scores = (-0.1, -0.2, -0.9, -0.05, -0.3, -0.2, -0.01, -0.02, -0.01)
    others = ["der", " Hund", " läuft", "en", " auf", " ufer", "", " !", "</s>"]
    alternatives = tuple(
        (Alternative(token, written.text, score), Alternative(100 + token, other, math.log1p(-math.exp(score) + 1e-6)))
        for token, written, score, other in zip(ids, steps.tokens, scores, others, strict=True)
    )
    nodes: list[Node] = []
    total, parent = 0.0, None
    for token, written, score, other in zip(ids, steps.tokens, scores, others, strict=True):
        kept = "finished" if written.start is None else "kept"
        nodes.append(Node(parent, token, written.text, score, total + score, kept))
        nodes.append(Node(parent, 100 + token, other, score - 2, total + score - 2, "pruned"))
        parent, total = len(nodes) - 2, total + score
    nodes.append(Node(0, 3, "</s>", -4.0, -4.1, "finished"))
    gold = Gold(
        sure=((0, 0), (1, 1), (2, 2), (5, 4), (6, 5)), possible=((0, 0), (1, 1), (2, 2), (3, 3), (5, 4), (6, 5))
    )
    signs = np.where(np.arange(10) % 3 == 2, -0.4, 1.0)
    evidence = Evidence(
        "source",
        {"leave-one-out": 3 * weights**0.8 * signs, "gradient x input": 2 * weights**1.5 * -signs[::-1]},
        (Intervention("uniform", "ein hund hund .", -14.2), Intervention("permuted", "strand am .", -21.5)),
    )
    return Trace(
        memory.text,
        steps.text,
        {"source": Weights(weights, steps, memory)},
        scores,
        {"recipe": "golden"},
        ids=ids,
        alternatives=alternatives,
        search=tuple(nodes),
        gold={"source": gold},
        evidence=evidence,
    )


def right_to_left() -> Trace:
    """Arabic and Hebrew, with marks that combine, beside Devanagari in pieces."""
    memory = tokens("كَتَبَ الوَلَدُ رِسالةً", ["كَتَبَ", "الوَلَدُ", "رِسالةً"])
    steps = tokens("लड़के ने चिट्ठी लिखी", ["लड़के", "ने", "चिट्ठी", "लिखी"])
    return Trace(
        memory.text, steps.text, {"source": Weights(peaked(5, 4, [1, 1.4, 2, 0, 3]), steps, memory)}, (-0.2,) * 5
    )


def hops() -> Trace:
    """A question about a story, which is answered after three looks at its sentences."""
    story = "Mary took the milk.\nJohn went to the hall.\nMary went to the garden.\nJohn left."
    memory = tokens(story, story.split("\n"), end=False)
    weights = np.array([[0.9, 0.02, 0.06, 0.02], [0.1, 0.05, 0.8, 0.05], [0.02, 0.02, 0.95, 0.01]])
    shares = ((0.4, 0.6), (0.3, 0.7), (0.05, 0.95))
    alternatives = tuple(
        (Alternative(1, "garden", math.log(right)), Alternative(0, "hall", math.log(wrong)))
        if right > wrong
        else (Alternative(0, "hall", math.log(wrong)), Alternative(1, "garden", math.log(right)))
        for wrong, right in shares
    )
    look = Weights(weights, Named(("1", "2", "3")), memory)
    asked = f"story: {story}\nquery: where is the milk ?"
    return Trace(asked, "garden", {"story": look}, (math.log(0.95),), ids=(1,), alternatives=alternatives)


def picture(side: int = 160) -> str:
    """A house under the sun, as a data URI."""
    image = Image.new("RGB", (side, side), "#a9cfe8")
    draw = ImageDraw.Draw(image)
    part = side / 16
    draw.rectangle((0, 11 * part, side, side), fill="#7fa36b")
    draw.ellipse((11 * part, 1.5 * part, 14.5 * part, 5 * part), fill="#f6c945")
    draw.rectangle((3 * part, 7 * part, 9 * part, 12.5 * part), fill="#b5573f")
    draw.polygon([(2.2 * part, 7 * part), (6 * part, 3.5 * part), (9.8 * part, 7 * part)], fill="#5b3b32")
    draw.rectangle((5.2 * part, 9 * part, 6.8 * part, 12.5 * part), fill="#f0e6d2")
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def given() -> dict[str, Media]:
    """That picture as the input's."""
    return {"input": Picture(picture())}


def caption(hard: bool = False) -> Trace:
    """A caption of that picture, each word looking at a part of it: softly, or at one cell."""
    words = ["a", "red", "house", "under", "the", "sun"]
    steps = tokens("a red house under the sun", words)
    centres = [(7, 7), (9.5, 6), (9, 6), (6, 8), (5, 10), (3, 12.5), (8, 8)]
    rows, columns = np.divmod(np.arange(14 * 14), 14)
    weights = np.stack([np.exp(-((rows * 16 / 14 - y) ** 2 + (columns * 16 / 14 - x) ** 2) / 5) for y, x in centres])
    if hard:
        weights = np.eye(weights.shape[1])[weights.argmax(axis=1)]
    weights = weights / weights.sum(axis=1, keepdims=True)
    look = Weights(weights, steps, Grid(14, 14), hard=hard)
    return Trace("house.png", steps.text, {"image": look}, (-0.3,) * 7, {"recipe": "golden"}, media=given())


def glimpses() -> Trace:
    """Six glimpses at that picture."""
    steps = Named(tuple(f"glimpse {number}" for number in range(1, 7)))
    centre = np.array([[0.0, 0.0], [-0.2, 0.3], [-0.3, -0.2], [0.1, -0.4], [0.5, -0.6], [0.6, -0.6]])
    windows = Windows(centre, np.full((6, 2), 0.5), np.ones(6), steps)
    return Trace("house.png", "house", {"glimpse": windows}, (-0.1,), media=given())


def drawing() -> Trace:
    """That picture, drawn in three steps from grey to black, each of which reads a smaller part and writes all."""
    steps = Named(("1", "2", "3"))
    extent = np.array([[2.4, 2.4], [1.0, 1.0], [0.5, 0.5]])
    read = Windows(np.array([[0.0, 0.0], [-0.3, 0.2], [0.6, -0.6]]), extent, np.ones(3), steps)
    write = Windows(np.zeros((3, 2)), np.full((3, 2), 2.0), np.ones(3), steps)
    looks = {"read": read, "write": write}
    return Trace("house.png", "a drawing of it", looks, media={**given(), "write": PictureEachStep(shades(128, 64, 0))})


def shades(*brightness: int) -> tuple[str, ...]:
    """Small pictures of one brightness each."""
    return tuple(as_data_uri(np.full((1, 8, 8), shade, dtype=np.uint8)) for shade in brightness)


def filters() -> Trace:
    """Filter banks that close in, as in DRAW, and two looks of other kinds beside them."""
    steps = Named(tuple(f"step {number}" for number in range(1, 6)))
    extent = np.array([[2.2, 2.2], [1.6, 1.6], [1.0, 1.0], [0.6, 0.6], [0.4, 0.3]])
    windows = Windows(np.linspace([0, 0], [-0.3, 0.2], 5), extent, np.array([4.0, 2.0, 1.0, 0.5, 0.3]), steps)
    slots = Weights(peaked(5, 8, [0, 1, 2, 3, 4]), steps, Named(tuple(f"slot {number}" for number in range(8))))
    return Trace("house.png", "", {"read": windows, "memory": slots}, media=given())


def speech() -> Trace:
    """Characters over frames of sound."""
    steps = tokens("hello", list("hello"))
    frames = Frames(tuple(round(0.02 * number, 2) for number in range(40)), 0.025)
    look = Weights(peaked(6, 40, [3, 10, 17, 23, 30, 38], 1.5), steps, frames)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes((8000 * np.sin(np.arange(6440) / 4)).astype("<i2").tobytes())
    uri = f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"
    return Trace("hello.wav", "hello", {"source": look}, media={"input": Sound(uri, 0.805)}, finished=False)


def video() -> Trace:
    """Words over the frames of a clip, each of which has a thumbnail."""
    steps = tokens("night falls", ["night", "falls"])
    look = Weights(peaked(3, 6, [5, 3, 4]), steps, Frames(tuple(map(float, range(6))), 1.0))
    thumbnails = PictureEachCell(shades(250, 200, 150, 100, 50, 0))
    return Trace("dusk.mp4", "night falls", {"clip": look}, media={"input": thumbnails})


def tracking() -> Trace:
    """Windows of two scales that follow something through the frames of a clip."""
    steps = Named(tuple(f"{frame}, scale {scale}" for frame in (1, 2, 3) for scale in (1, 2)))
    centre = np.repeat([[-0.5, 0.0], [0.0, 0.1], [0.5, 0.0]], 2, axis=0)
    windows = Windows(centre, np.tile([[0.4, 0.4], [0.8, 0.8]], (3, 1)), np.tile([0.0, 1.0], 3), steps)
    return Trace("walk.mp4", "a person", {"glimpse": windows}, media={"glimpse": PictureEachStep(shades(250, 150, 50))})


def memory() -> Trace:
    """Three vectors that are written to slots 1 to 3 of eight, and then read from there; with the stages of writing."""
    given = answered = ("101", "010", "110")
    steps, slots = Named((*given, *answered)), Named(tuple("12345678"))
    write, read = (Weights(np.eye(8)[cells], steps, slots) for cells in ([0, 1, 2, 2, 2, 2], [0, 0, 0, 0, 1, 2]))
    content = Weights(np.full((6, 8), 0.125), steps, slots)
    shift = Weights(0.2 * content.weights + 0.8 * write.weights, steps, slots)
    looks = {"read": read, "write": write, "write: content": content, "write: shift": shift}
    held = np.full((6, 8, 4), 128, dtype=np.uint8)
    for step, vector in enumerate(given):
        held[step:, step, :3] = [255 * int(bit) for bit in vector]
    pictures = PictureEachStep(tuple(as_data_uri(one[None]) for one in held))
    return Trace(" ".join(given), " ".join(answered), looks, (-0.1,) * 3, media={"write": pictures}, finished=True)


def odd() -> Trace:
    """Looks that something is wrong with: even, still, and with words never attended."""
    memory, steps = tokens("one two three four", ["one", "two", "three", "four"]), tokens("a b", ["a", "b"])
    even = np.full((3, 5), 0.2)
    still = np.tile(np.array([0.97, 0.01, 0.01, 0.005, 0.005]), (3, 1))
    return Trace(
        memory.text, steps.text, {"even": Weights(even, steps, memory), "still": Weights(still, steps, memory)}
    )


def nowhere() -> Trace:
    """A system without attention."""
    return Trace("a dog", "ein hund", {}, (-0.1, -0.2, -0.1), ids=(4, 5, 3))


def whole() -> Trace:
    """A system without attention, which saw all of that picture at once."""
    answers = (Alternative(0, "house", math.log(0.8)), Alternative(1, "sun", math.log(0.2)))
    return Trace("house.png", "house", {}, (math.log(0.8),), media=given(), ids=(0,), alternatives=(answers,))


def entailment(two_way: bool = False) -> Trace:
    """A class for two sentences: each word of one looks at the other, and of both ways the other looks back."""
    premise = tokens("two dogs run on the beach .", ["two", "dogs", "run", "on", "the", "beach", "."])
    hypothesis = tokens("animals are outside .", ["animals", "are", "outside", "."])
    looks = {"premise": Weights(peaked(5, 8, [1, 2, 5, 5.6, 7]), hypothesis, premise)}
    if two_way:
        looks["hypothesis"] = Weights(peaked(8, 5, [0, 0, 1, 2, 2, 2, 3, 4]), premise, hypothesis)
    return judgement(premise.text, hypothesis.text, looks)


def at_once() -> Trace:
    """The same with one look at the premise, for the answer, beside what it depends on."""
    premise = tokens("two dogs run on the beach .", ["two", "dogs", "run", "on", "the", "beach", "."])
    look = Weights(peaked(1, 8, [1.3]), Named(("1",)), premise)
    evidence = Evidence("premise", {"leave-one-out": 2 * look.weights - 0.2}, ())
    return replace(judgement(premise.text, "animals are outside .", {"premise": look}), evidence=evidence)


def judgement(premise: str, hypothesis: str, looks: dict[str, Weights]) -> Trace:
    likely = {"contradiction": 0.08, "entailment": 0.71, "neutral": 0.21}
    classes = tuple(Alternative(number, name, math.log(share)) for number, (name, share) in enumerate(likely.items()))
    entropy = -sum(share * math.log(share) for share in likely.values())
    return Trace(
        f"premise: {premise}\nhypothesis: {hypothesis}",
        "entailment",
        looks,
        (math.log(0.71),),
        {"recipe": "golden"},
        ids=(1,),
        alternatives=(classes,),
        entropies=(entropy,),
        finished=True,
    )


def hostile() -> Trace:
    """Text that would be markup, or would act, if it were let."""
    evil = '"><img src=x onerror=alert(1)></script>&lt;\u202e\u0007'
    axis = Tokens(evil, (Token(evil, 0, len(evil)), Token("<b>")))
    return Trace(evil, evil, {evil: Weights(np.full((2, 2), 0.5), axis, axis)}, about={"recipe": evil})


def large(steps: int, cells: int) -> Trace:
    memory = " ".join(f"s{number}" for number in range(cells))
    output = " ".join(f"t{number}" for number in range(steps))
    weights = peaked(steps, cells, [step * cells / steps for step in range(steps)], 2.0)
    look = Weights(weights, tokens(output, output.split(), end=False), tokens(memory, memory.split(), end=False))
    return Trace(memory, output, {"source": look}, tuple([-0.2] * steps))


EVERY = {
    "subwords": subwords,
    "right to left": right_to_left,
    "caption": caption,
    "hard": lambda: caption(hard=True),
    "glimpses": glimpses,
    "drawing": drawing,
    "filters": filters,
    "speech": speech,
    "video": video,
    "tracking": tracking,
    "memory": memory,
    "odd": odd,
    "nowhere": nowhere,
    "whole": whole,
    "entailment": entailment,
    "two-way": lambda: entailment(two_way=True),
    "at once": at_once,
    "hostile": hostile,
    "story": hops,
}
