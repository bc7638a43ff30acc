import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attend.attention.trace import Frames, Grid, Named, Token, Tokens, Trace, Weights, Windows
from attend.inspect.alignment import read_pharaoh
from attend.show import formats
from attend.show.words import merge

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def sentence(*words: str, end: bool = True) -> Tokens:
    starts = [sum(len(word) + 1 for word in words[:at]) for at in range(len(words))]
    tokens = [Token(word, start, start + len(word)) for word, start in zip(words, starts, strict=True)]
    return Tokens(" ".join(words), (*tokens, Token("</s>")) if end else tuple(tokens))


def translation(weights: list[list[float]], source: Tokens, target: Tokens, scores: tuple[float, ...] | None) -> Trace:
    return Trace(source.text, target.text, {"source": Weights(np.array(weights), target, source)}, scores)


def refusal(read: Callable[[Path], object], path: Path) -> str | None:
    """What the reader says against the file, None if it reads it."""
    try:
        read(path)
    except ValueError as error:
        return str(error)
    return None


HOUSE = translation(
    [[0.75, 0.25, 0], [0.125, 0.875, 0], [0, 0, 1]],
    sentence("the", "house"),
    sentence("das", "haus"),
    (-0.5, -1, -0.25),
)


def test_pharaoh_leaves_special_tokens_out(subwords: Weights) -> None:
    assert formats.pharaoh(subwords) == [(1, 0), (0, 1), (0, 2)]
    assert formats.pharaoh(merge(subwords)) == [(1, 0), (0, 1)]
    tagged = Tokens("the", (Token("<de>"), Token("the", 0, 3)))
    weights = np.array([[0.25, 0.75], [0.75, 0.25]])
    # The second word looked most at the tag.
    assert formats.pharaoh(Weights(weights, sentence("a", "b", end=False), tagged)) == [(0, 0)]
    # The first word looked nowhere.
    nowhere = Weights(np.array([[0, 0], [0, 1.0]]), sentence("a", "b", end=False), sentence("x", "y", end=False))
    assert formats.pharaoh(nowhere) == [(1, 1)]


def test_pharaoh_file(tmp_path: Path, subwords: Weights) -> None:
    path = tmp_path / "links"
    formats.write_pharaoh(path, [subwords, merge(subwords)])
    assert path.read_bytes() == b"1-0 0-1 0-2\n1-0 0-1\n"
    assert [answer.sure for answer in read_pharaoh(str(path), first=0)] == [{(1, 0), (0, 1), (0, 2)}, {(1, 0), (0, 1)}]


def test_pharaoh_wants_tokens() -> None:
    with pytest.raises(ValueError, match="the look's memory are not tokens"):
        formats.pharaoh(Weights(np.ones((1, 1)), sentence("a", end=False), Grid(1, 1)))


def test_nematus_file_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "alignments"
    formats.write_nematus(path, [HOUSE, HOUSE])
    block = "{} ||| das haus ||| -1.75 ||| the house ||| 3 3\n0.75 0.25 0\n0.125 0.875 0\n0 0 1\n\n"
    assert path.read_text() == block.format(0) + block.format(1)


def test_nematus_round_trip(tmp_path: Path) -> None:
    odd = translation([[0.5, 0.5]], sentence("a|||b", "&#124;\u00a0x", end=False), sentence(" AT&T", end=False), None)
    nothing = translation([[1.0]], sentence(), sentence(), None)
    path = tmp_path / "alignments"
    formats.write_nematus(path, [odd, nothing, HOUSE])
    back = formats.read_nematus(path)
    assert [trace.about for trace in back] == [
        {"id": "0", "score": "0"},
        {"id": "1", "score": "0"},
        {"id": "2", "score": "-1.75"},
    ]
    for trace, original in zip(back, [odd, nothing, HOUSE], strict=True):
        look, expected = trace.looks["source"], original.looks["source"]
        assert isinstance(look, Weights)
        assert isinstance(expected, Weights)
        assert look.memory.labels() == expected.memory.labels()
        assert look.steps.labels() == expected.steps.labels()
        np.testing.assert_allclose(look.weights, expected.weights)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 ||| a ||| 0 ||| b\n", r"line 1: .* is not a header"),
        ("0 ||| a ||| 0 ||| b ||| 2 x\n", r"line 1: .* is not a header"),
        ("0 ||| a ||| 0 ||| b ||| 1 3\n", r"line 1: 1 words but a count of 3"),
        ("0 ||| a ||| 0 ||| b ||| 99999999999 1\n", r"line 1: 1 words but a count of 99999999999"),
        ("\n0 ||| a ||| 0 ||| b ||| 1 1\n0.5 0.5\n", r"line 3: 2 weights, but the header \(line 2\) says 1"),
        ("0 ||| a ||| 0 ||| b ||| 1 1\none\n", r"line 2: 'one' is not a row of numbers"),
        ("0 ||| a b ||| 0 ||| b ||| 1 2\n1\n", r"line 3: 0 weights"),
        ("0 ||| a ||| 0 ||| b ||| 1 1\n2\n", r"line 1: the weights of step 0 sum to 2"),
    ],
)
def test_nematus_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "alignments"
    path.write_text(text)
    with pytest.raises(ValueError, match="alignments, " + message):
        formats.read_nematus(path)


def test_nematus_refuses_what_it_cannot_say(tmp_path: Path) -> None:
    path = tmp_path / "alignments"
    tag = Tokens("a", (Token("<de>"), Token("a", 0, 1)))
    for trace, message in [
        (Trace("", "", {"image": HOUSE.looks["source"]}), "trace 0 has no weights named 'source'; it has image"),
        (translation([[0.5, 0.5]], tag, sentence("a", end=False), None), "special token 0 '<de>' is not at the end"),
        (Trace("", "", {"source": Weights(np.ones((1, 1)), Named(("a",)), Grid(1, 1))}), "only tokens"),
    ]:
        with pytest.raises(ValueError, match=message):
            formats.write_nematus(path, [trace])
    assert not path.exists()


def test_nematus_of_a_space_before_the_text(tmp_path: Path) -> None:
    path = tmp_path / "alignments"
    space = Tokens("a", (Token("", 0, 0), Token("a", 0, 1)))
    formats.write_nematus(path, [translation([[0.5, 0.5]], space, sentence("a", end=False), None)])
    assert path.read_text().startswith("0 ||| a ||| 0 ||| &#32; a ||| 2 1")


def test_npz_round_trip_is_exact(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0)
    steps = sentence("das\0", "日本", end=True)
    scores = numbers.random((3, 4))
    sound = Weights(scores / scores.sum(axis=1, keepdims=True), steps, Frames((0.0, 0.1, 0.2, 0.3), 0.1), hard=True)
    glimpse = Windows(numbers.normal(size=(3, 2)), numbers.random((3, 2)), numbers.random(3), Named(("1", "2", "3")))
    trace = Trace("in", "out", {"hop 1": sound, "glimpse": glimpse}, scores=(-0.5, -1.0), about={"run": "a"})
    path = tmp_path / "trace.npz"
    formats.write_npz(path, trace)
    back = formats.read_npz(path)
    assert back.to_json() == trace.to_json()
    look, windows = back.looks["hop 1"], back.looks["glimpse"]
    assert isinstance(look, Weights)
    assert isinstance(windows, Windows)
    np.testing.assert_array_equal(look.weights, sound.weights)
    np.testing.assert_array_equal(windows.centre, glimpse.centre)
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["hop 1/memory"].tolist() == ["0.00s", "0.10s", "0.20s", "0.30s"]
        assert arrays["glimpse/scale"].shape == (3,)


@in_one_folder
@given(data=st.binary(max_size=200), place=st.integers(0, 3000))
def test_broken_npz_is_a_value_error(tmp_path: Path, data: bytes, place: int) -> None:
    path = tmp_path / "trace.npz"
    formats.write_npz(path, HOUSE)
    whole = path.read_bytes()
    place %= len(whole)
    path.write_bytes(whole[:place] + data + whole[place + len(data) :])
    assert str(path) in (refusal(formats.read_npz, path) or str(path))


def test_npz_without_its_arrays(tmp_path: Path) -> None:
    path = tmp_path / "trace.npz"
    np.savez(path, weights=np.ones(2))
    with pytest.raises(ValueError, match=r"trace\.npz: not a trace in NPZ form: .*trace"):
        formats.read_npz(path)
    np.savez(path, trace=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        formats.read_npz(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trace.npy", b"nothing")
    with pytest.raises(ValueError, match="not a trace in NPZ form"):
        formats.read_npz(path)


@pytest.mark.parametrize("read", [formats.read_nematus, formats.read_npz])
def test_unreadable_files_are_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(ValueError, match=r"absent: can't be read: No such file"):
        read(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"can't be read: Is a directory"):
        read(tmp_path)


@in_one_folder
@given(st.binary())
def test_hostile_text_files_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert str(path) in (refusal(formats.read_nematus, path) or str(path))


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0-0\n\xff\n")
    with pytest.raises(ValueError, match="file, line 2: not UTF-8 at byte 4"):
        formats.read_nematus(path)
