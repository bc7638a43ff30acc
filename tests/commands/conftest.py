"""What the tests of the verbs share: the installed command, small data of every kind, and runs trained once."""

import io
import random
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image

WORDS = ["a", "dog", "cat", "man", "woman", "runs", "sits", "sees", "the", "red", "blue", "ball", "house"]
TINY = """
[system]
hidden = 32
embedding = 32
alignment = 32
embedding_dropout = 0.0
annotation_dropout = 0.0
readout_dropout = 0.0

[inputs.source]
unit = "word"

[output]
unit = "word"

[training]
batch = 20
batch_tokens = 0
epochs = 10
learning_rate = 0.01
warmup = 10
average = 0.0
watch = "loss"

[decoding]
beam = 2
"""


@dataclass(frozen=True)
class Done:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Attend = Callable[..., Done]


def run_attend(*words: object, stdin: bytes = b"") -> Done:
    """The installed entry point, in this process."""
    (entry,) = entry_points(group="console_scripts", name="attend")
    main, out, err = entry.load(), io.StringIO(), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin))
    argv = patch("sys.argv", ["attend", *map(str, words)])
    with redirect_stdout(out), redirect_stderr(err), patch("sys.stdin", given), argv:
        status = main()
    # Training flushes denormals to zero in the whole process, which other tests must not meet.
    torch.set_flush_denormal(False)
    return Done(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def attend() -> Attend:
    """A command that must succeed."""

    def run(*words: object, stdin: bytes = b"") -> Done:
        done = run_attend(*words, stdin=stdin)
        assert done.status == 0, done.err
        return done

    return run


@pytest.fixture(scope="session")
def fails() -> Callable[..., str]:
    """What a command that must fail says at its end; it leaves nothing on standard output."""

    def run(*words: object, stdin: bytes = b"") -> str:
        done = run_attend(*words, stdin=stdin)
        assert (done.status, done.out) == (2, "")
        said = done.err.splitlines()[-1]
        assert said.startswith("attend: ")
        return said

    return run


# Data.


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences, and the same with every word in capitals and turned round; and settings of a small model."""
    folder = tmp_path_factory.mktemp("data")
    for seed, (part, count) in enumerate((("train", 240), ("valid", 24), ("test", 24))):
        choose = random.Random(seed)
        sentences = [[choose.choice(WORDS) for _ in range(choose.randint(2, 7))] for _ in range(count)]
        turned = [[word.upper()[::-1] for word in words] for words in sentences]
        for side, lines in (("s", sentences), ("t", turned)):
            (folder / f"{part}.{side}").write_text("".join(" ".join(words) + "\n" for words in lines))
    (folder / "tiny.toml").write_text(TINY)
    return folder


def translating(data: Path, out: Path, *more: str) -> list[str]:
    """The words that train the small model."""
    files: list[str] = []
    for part in ("train", "valid", "test"):
        files += [f"--data.{part}", str(data / f"{part}.s"), str(data / f"{part}.t")]
    return ["train", "rnnsearch-modern", "--out", str(out), "--config", str(data / "tiny.toml"), *files, *more]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines"
    path.write_text("a dog runs\n\nthe red ball\n")
    return path


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def noise(attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes from an image, of pictures that say nothing of them: 19 of 20 are cats."""
    folder, out = tmp_path_factory.mktemp("noise"), tmp_path_factory.mktemp("runs") / "noise"
    generate, rows = np.random.default_rng(0), ["file_name,label"]
    for number in range(200):
        Image.fromarray(generate.integers(255, size=(8, 8), dtype=np.uint8)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{'cat' if number % 20 else 'dog'}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    size = ["--system.glimpses", "2", "--system.size", "4", "--system.scales", "1", "--system.hidden", "8"]
    attend("train", "ram", "--out", out, "--data.folder", folder, *size, "--training.epochs", "3")
    return out


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Premises and hypotheses, which are of the same animal or not, under other names than the fields'."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed, (part, count) in enumerate((("train", 60), ("valid", 12), ("test", 10))):
        choose = random.Random(seed)
        rows = ["first,second,target"]
        for _ in range(count):
            one, other = choose.choice(WORDS[1:5]), choose.choice(WORDS[1:5])
            rows.append(f"a {one} runs,the {other} sits,{'same' if one == other else 'other'}")
        (folder / f"{part}.csv").write_text("\n".join(rows) + "\n")
    return folder


# Runs.


@pytest.fixture(scope="session")
def run(data: Path, attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sequence from a text: it has learnt most of it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    attend(*translating(data, folder))
    return folder


@pytest.fixture(scope="session")
def summary(data: Path, attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that looks at no words, with the same vocabulary."""
    folder = tmp_path_factory.mktemp("runs") / "last"
    attend(*translating(data, folder, "--system.attention", "last", "--training.epochs", "1"))
    return folder


@pytest.fixture(scope="session")
def uniform(data: Path, attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that looks at all words alike."""
    folder = tmp_path_factory.mktemp("runs") / "uniform"
    attend(*translating(data, folder, "--system.attention", "uniform", "--training.epochs", "1"))
    return folder


@pytest.fixture(scope="session")
def bars(pictures: Path, attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes from an image."""
    out = tmp_path_factory.mktemp("runs") / "bars"
    size = ["--system.glimpses", "2", "--system.size", "6", "--system.scales", "2", "--system.hidden", "32"]
    where = ["--out", out, "--data.folder", pictures, "--data.held-out", "0.2"]
    attend("train", "ram", *where, *size, "--training.epochs", "20")
    return out


FEW_SCENES = ("--data.scenes", "64", "--data.measured", "8", "--training.epochs", "1")


@pytest.fixture(scope="session")
def captions(attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sequence from an image: it has learnt next to nothing."""
    out = tmp_path_factory.mktemp("runs") / "captions"
    attend("train", "captioner-small", "--out", out, *FEW_SCENES, "--decoding.longest", "6")
    return out


@pytest.fixture(scope="session")
def scenes(captions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that the run of captions can read, with a table of captions: two of the first."""
    folder = tmp_path_factory.mktemp("scenes")
    choose = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(choose.integers(255, size=(32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    rows = ["0.png,a red circle", "1.png,a blue square", "2.png,a green cross", "0.png,a red circle left of a cross"]
    (folder / "captions.csv").write_text("\n".join(["file_name,caption", *rows]) + "\n")
    return folder


@pytest.fixture(scope="session")
def entailment(pairs: Path, attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Classes from two texts."""
    out = tmp_path_factory.mktemp("runs") / "entailment"
    files = [word for part in ("train", "valid", "test") for word in (f"--data.{part}", pairs / f"{part}.csv")]
    names = ["--data.columns", "premise=first", "hypothesis=second"]
    small = ["--system.hidden", "8", "--system.embedding", "8", "--training.epochs", "1"]
    attend("train", "entailment", "--out", out, *files, *names, *small)
    return out


@pytest.fixture(scope="session")
def copier(attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bits, with a memory of five slots: it has learnt next to nothing."""
    folder = tmp_path_factory.mktemp("bits")
    (folder / "rows.tsv").write_text("sequence\ttarget\n" + "10 01 11\t1 0 1\n00 10\t0 1\n" * 8)
    files = [word for part in ("train", "valid") for word in (f"--data.{part}", folder / "rows.tsv")]
    small = ["--system.hidden", "4", "--system.slots", "5", "--system.size", "3", "--training.epochs", "1"]
    attend("train", "ntm", "--out", folder / "run", *files, *small)
    return folder / "run"


@pytest.fixture(scope="session")
def drawer(attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, drawn."""
    out = tmp_path_factory.mktemp("runs") / "drawer"
    attend("train", "draw-small", "--out", out, "--training.epochs", "1", "--system.hidden", "8")
    return out


@pytest.fixture(scope="session")
def player(attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game."""
    out = tmp_path_factory.mktemp("runs") / "player"
    few = ["--data.games", "64", "--data.measured", "20", "--data.size", "6", "--training.epochs", "1"]
    attend("train", "ram-catch", "--out", out, *few, "--system.hidden", "8")
    return out


@pytest.fixture(scope="session")
def outside(data: Path, attend: Attend, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a module with a recipe, and of a run of it."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "my_recipes.py").write_text(
        "from dataclasses import replace\n\nfrom attend.catalogue import RECIPES\n\n"
        'MINE = replace(RECIPES["rnnsearch-modern"], about="mine", paper="")\n'
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        words = translating(data, folder / "mine", "--training.epochs", "1")
        attend(*["my_recipes:MINE" if word == "rnnsearch-modern" else word for word in words])
    return folder
