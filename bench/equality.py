"""What must stay equal while code is written anew: recorded, compared and raced.

It knows an installed `attend` by its command line alone, and drives it through a short form of every family of recipes:

    python bench/equality.py record --attend OLD/.venv/bin/attend --out /tmp/equality/old.json
    python bench/equality.py record --attend NEW/.venv/bin/attend --out /tmp/equality/new.json
    python bench/equality.py compare /tmp/equality/old.json /tmp/equality/new.json
    python bench/equality.py race --attend OLD/.venv/bin/attend --against NEW/.venv/bin/attend

What is to be compared is recorded into one folder: the data are in it, made by the first recording. Needs ATTEND_DATA
(Multi30k). Where a flag or the form of a file changes, change `FAMILIES`, `Side` or the functions `*_facts`; record the
old side with this file as it was before, and race it with the table of that: `race --families-of BEFORE.py`.
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import runpy
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table


class Family(NamedTuple):
    """A recipe, the settings of about 100 updates, what its run predicts from (in data/few and data/many), if anything,
    and what else is asked of the run: a verb, and what stands behind the run's folder."""

    recipe: str
    settings: str
    inputs: str = ""
    asks: tuple[str, ...] = ()
    epochs: int = 2


SEED = "--training.seed 3 --training.threads 1"
SIZES = "--system.embedding 24 --system.hidden 32"
DATES = f"""{SIZES} --system.alignment 24 --system.embedding-dropout 0 --system.annotation-dropout 0
    --system.readout-dropout 0 --system.label-smoothing 0 --data.train data/dates/train.jsonl
    --data.valid data/dates/valid.jsonl --data.test data/dates/test.jsonl --inputs.source.unit character
    --inputs.source.vocabulary 2000 --output.unit character --output.vocabulary 2000 --output.tokenize char
    --training.batch 16 --training.batch-tokens 0 --training.learning-rate 0.004 --training.warmup 100
    --training.watch exact_match --training.average 0 --training.patience 0 --decoding.beam 1
    --decoding.length-penalty 0"""
WORDS = f"""{SIZES} --data.train data/words/train.en data/words/train.de --data.valid data/words/valid.en
    data/words/valid.de --inputs.source.vocabulary 300 --output.vocabulary 300 --training.batch 8 --decoding.beam 3"""
SUBWORDS = f"""{SIZES} --system.alignment 24 --data.train data/words/train.tsv --data.valid data/words/valid.tsv
    --output.like source --inputs.source.vocabulary 400 --output.vocabulary 400 --training.batch-tokens 100
    --training.accumulate 2"""
ADAM = "--training.optimiser adam --training.learning-rate 0.02"
DIGITS = "--data.source small --training.batch 28"
MOVED = f"{DIGITS} --data.moved --data.canvas.rows 16 --data.canvas.columns 16 --data.canvas.piece 4"
CLASSES = "--data.folder data/classes --training.batch 8"
GLIMPSES = "--system.hidden 32 --system.glimpse 32 --system.size 4"
AMONG = """--system.glimpses 6 --system.scales 3 --system.deviation 0.15 --system.reward probability --system.copies 4
    --training.learning-rate 0.001"""
PLAIN = "--system.rows 8 --system.hidden 32"
CAPTIONS = f"{SIZES} --system.features 16 --system.alignment 16 --training.learning-rate 0.01"
SCENES = f"{CAPTIONS} --data.scenes 800 --data.measured 40 --training.batch 16 --system.attention"
DESCRIBED = f"""{CAPTIONS} --data.folder data/captions --inputs.image.rows 24 --inputs.image.columns 24
    --training.batch 8 --decoding.beam 3"""
GRIDS = f"{CAPTIONS} --data.train data/grids/train.npz data/grids/train.txt --training.batch 16"
PAIRS = """--system.embedding 24 --system.hidden 24 --data.train data/pairs/train.tsv --data.valid data/pairs/valid.tsv
    --training.batch 16"""
SCORE = "score data/words/test.en data/words/test.de"
TEST = "evaluate --split test"
SHOW_DATES = ("show 'den 5. März 1999'", "show 'March 7, 2003' --target 2003-03-07", f"{TEST} --beam 3")

FAMILIES: dict[str, Family] = {
    "dates": Family("rnnsearch-modern", DATES, "dates.txt", SHOW_DATES),
    "subwords": Family("rnnsearch-modern", SUBWORDS, "words.txt", ("show 'a man is sitting .'",)),
    "rnnsearch": Family("rnnsearch", f"{WORDS} --system.maxout 16 --system.alignment 24", "words.txt", (SCORE,)),
    "encdec": Family("encdec", f"{WORDS} --system.maxout 16 {ADAM}", "words.txt", (SCORE,)),
    "seq2seq": Family("seq2seq", f"{WORDS} --system.layers 2 --system.scale 0.4", "words.txt"),
    "ram": Family("ram-small", f"{DIGITS} {GLIMPSES}", "shapes"),
    "ram moved": Family("ram-small", f"{MOVED} {GLIMPSES} {AMONG} --data.canvas.pieces 2", "shapes", ("show valid:2",)),
    "ram folder": Family("ram", f"{CLASSES} {GLIMPSES}", "shapes", epochs=4),
    "ram catch": Family(
        "ram-catch", "--system.hidden 32 --data.games 1600 --data.measured 64 --training.batch 32", "", (TEST,)
    ),
    "wsram": Family("wsram-small", f"{DIGITS} --training.validate-every 50", "shapes"),
    "draw": Family("draw-small", "--training.batch 28 --system.hidden 32", "", ("show valid:1", "show new:3")),
    "draw folder": Family("draw", f"{CLASSES} --system.steps 3", "", ("show data/few/shapes/0.png",), 4),
    "draw classifier": Family(
        "draw-classifier-cluttered", f"{MOVED} --system.glimpses 3 --system.hidden 32 --system.read 4", "shapes"
    ),
    "captioner soft": Family("captioner-small", f"{SCENES} soft", "shapes", (TEST,)),
    "captioner hard": Family("captioner-small", f"{SCENES} hard", "shapes"),
    "captioner folder": Family("captioner", DESCRIBED, "shapes", ("show valid:1",), 4),
    "captioner grids": Family("captioner-paper", GRIDS, "grids.npz", ("show valid:1",)),
    "feedforward": Family("feedforward-mnist", f"{DIGITS} {PLAIN}", "shapes"),
    "feedforward npz": Family(
        "feedforward", f"--data.train data/classes.npz --training.batch 8 {PLAIN}", "shapes", (), 4
    ),
    "convolutional": Family(
        "feedforward-mnist-convolutional",
        f"{DIGITS} {PLAIN} --system.filters 4 --system.size 4 --system.stride 2",
        "shapes",
    ),
    "entailment": Family("entailment", PAIRS, "pairs.tsv", ("show valid:1",)),
}
# How many inputs there are in the folders data/few, for a recording, and data/many, for a race.
INPUTS = {"few": 20, "many": 600}
# In a race the old side's updates take so many seconds, and the new one's may take so many times as long.
TURN, SLOWER = 3.0, 1.05
KINDS, COLOURS = ("bar", "ring", "cross"), ("blue", "red")
JUDGEMENTS = ("entailment", "contradiction", "neutral")
WRITE_DATES = "from attend.data import dates; dates.write('data/dates', 1, {'train': 800, 'valid': 60, 'test': 600})"
console = Console(width=150, highlight=False)


class Side(NamedTuple):
    """An installed command, the folder that it is called in, which holds the data, that of its runs in it, and what the
    families are called in it."""

    attend: Path
    work: Path
    runs: str
    families: Mapping[str, Family] = FAMILIES

    def call(self, *words: str) -> tuple[str, float]:
        """What a command prints, and its CPU seconds. Ends the program, with what it said, if it fails."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
        command = [str(self.attend), *words]
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
            process = subprocess.Popen(command, cwd=self.work, env=environment, stdout=output, stderr=said)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            for file in (output, said):
                file.seek(0)
            if process.returncode:
                sys.exit(f"equality: `{shlex.join(command)}` failed:\n{said.read().decode()[-2000:]}")
            return output.read().decode(), used.ru_utime + used.ru_stime

    def run(self, name: str) -> str:
        return f"{self.runs}/{name.replace(' ', '-')}"

    def read(self, name: str, file: str) -> str:
        """A file of a family's run."""
        return (self.work / self.run(name) / file).read_text(encoding="utf-8")

    def train(self, name: str, times: int = 1) -> dict[str, float]:
        """Train a family for so many times its epochs; gives CPU seconds of the command and of an update."""
        recipe, settings, _, _, epochs = self.families[name]
        words = [recipe, "--out", self.run(name), "--overwrite", *shlex.split(f"{settings} {SEED}")]
        _, cpu = self.call("train", *words, "--training.epochs", str(times * epochs))
        made = json.loads(self.read(name, "training.json"))
        return {"train": cpu, "update": made["cpu_seconds"] / made["updates"]}

    def predict(self, name: str, inputs: str) -> tuple[str, float]:
        return self.call("predict", self.run(name), f"data/{inputs}/{self.families[name].inputs}", "--format", "jsonl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording, racing, comparing = (verbs.add_parser(verb) for verb in ("record", "race", "compare"))
    for options in (recording, racing):
        options.add_argument("--attend", type=Path, required=True, help="the installed command")
        options.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="these families alone")
    recording.add_argument("--out", type=Path, required=True, help="in the folder of the data and the runs")
    racing.add_argument("--against", type=Path, required=True, help="another one, which must not be slower")
    racing.add_argument("--families-of", type=Path, help="a file like this one, with the families as --attend has them")
    racing.add_argument("--rounds", type=int, default=5)
    racing.add_argument("--work", type=Path, default=Path("/tmp/equality"), help="the folder of the data and the runs")
    for name in ("old", "new"):
        comparing.add_argument(name, type=Path)
    given = parser.parse_args()
    match given.verb:
        case "record":
            out = given.out.absolute()
            return record(Side(given.attend.absolute(), out.parent, f"runs/{out.stem}"), given.only, out)
        case "race":
            work = given.work.absolute()
            before = runpy.run_path(str(given.families_of))["FAMILIES"] if given.families_of else FAMILIES
            old = Side(given.attend.absolute(), work, "race/old", before)
            new = Side(given.against.absolute(), work, "race/new")
            return race(old, new, [name for name in given.only if name in before], given.rounds)
    old, new = (json.loads(path.read_text(encoding="utf-8")) for path in (given.old, given.new))
    return compare(old, new)


def record(side: Side, names: Sequence[str], out: Path) -> int:
    """Write, for each family, the facts, which must not change, and CPU seconds."""
    make_data(side)
    found: dict[str, Any] = {}
    for name in names:
        cpu = side.train(name)
        facts: dict[str, Any] = {
            "log": log_facts(side.read(name, "log.jsonl")),
            "valid": figures(json.loads(side.read(name, "metrics.json"))),
            "weights": weights_facts(side.work / side.run(name) / "last.safetensors"),
        }
        if FAMILIES[name].inputs:
            lines, cpu["predict"] = side.predict(name, "few")
            facts["predict"] = [prediction_facts(json.loads(line)) for line in lines.splitlines()]
        facts |= {ask: asked(side, name, *shlex.split(ask)) for ask in FAMILIES[name].asks}
        found[name] = {"facts": facts, "cpu": cpu}
        console.print(f"{name}: {cpu['train']:.1f} s of CPU, {cpu['update'] * 1000:.1f} ms an update")
    out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 0


def asked(side: Side, name: str, verb: str, *words: str) -> Any:
    """What a run answers. A page has more than a plain trace: what the output depends on, what was passed over."""
    match verb:
        case "show":
            side.call(
                "show",
                side.run(name),
                *words,
                "--out",
                *(f"{side.run(name)}/shown{kind}" for kind in (".json", ".html")),
            )
            page = re.search(r'<script[^>]*id="traces"[^>]*>(.*?)</script>', side.read(name, "shown.html"), re.DOTALL)
            assert page, "there are no traces in the page"
            return [trace_facts(trace) for trace in (json.loads(side.read(name, "shown.json")), *json.loads(page[1]))]
        case "evaluate":
            return figures(json.loads(side.call("evaluate", side.run(name), *words, "--json")[0]))
    return [float(line) for line in side.call(verb, side.run(name), *words)[0].split()]


def log_facts(log: str) -> dict[str, dict[str, float]]:
    """The figures of each update that is logged (every tenth), with those of validations, by its number."""
    lines = map(json.loads, log.splitlines())
    left_out = ("update", "seconds", "epoch")
    return {f"{line['update']}": {name: line[name] for name in line if name not in left_out} for line in lines}


def figures(content: dict[str, Any]) -> dict[str, float]:
    """What was measured, of metrics.json or of `evaluate --json`, which has beside it how that was done."""
    how = ("count", "seconds", "beam", "length_penalty", "longest", "importance_samples")
    found = content.get("figures", content)
    return {name: value for name, value in found.items() if isinstance(value, int | float) and name not in how}


def weights_facts(path: Path) -> list[str]:
    """A digest of each tensor of a safetensors file, in an order that no name decides."""
    content = path.read_bytes()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:start])
    places = [tensor["data_offsets"] for name, tensor in header.items() if name != "__metadata__"]
    return sorted(digest(content[start + first : start + last]) for first, last in places)


def prediction_facts(line: dict[str, Any]) -> dict[str, Any]:
    """A line of `predict --format jsonl`: of a text it has outputs, each with its look; of files one with a trace."""
    outputs = line.get("outputs") or [line]
    names = ("text", "score", "log_prob", "tokens", "token_log_probs")
    kept = [{name: output[name] for name in names if name in output} for output in outputs]
    for facts, output in zip(kept, outputs, strict=True):
        if output.get("attention"):
            facts["look"] = look_facts(output["attention"])
        if output.get("trace"):
            facts["trace"] = trace_facts(output["trace"])
    given = line["input"]
    return {"input": given if isinstance(given, dict) else Path(given).name, "outputs": kept}


def trace_facts(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace without its version and who made it, and with digests for pictures."""
    names = ("input", "output", "scores", "ids", "alternatives", "entropies", "search", "gold", "evidence")
    media = (trace.get("media") or {}).values()
    pictures = [uri for one in media for uri in ([one["uri"]] if "uri" in one else one["uris"])]
    return {name: trace[name] for name in names if name in trace} | {
        "looks": {name: look_facts(look) for name, look in trace["looks"].items()},
        "pictures": sorted(digest(picture.encode()) for picture in pictures),
    }


def look_facts(look: dict[str, Any]) -> dict[str, Any]:
    """A look's numbers, and what its steps and its cells are."""
    facts = {name: look[name] for name in ("weights", "hard", "centre", "extent", "scale") if name in look}
    for name in ("steps", "memory"):
        axis = look.get(name, {})
        texts = [token["text"] for token in axis.get("tokens", ())]
        facts[name] = texts or axis.get("names") or [axis.get("rows"), axis.get("columns")]
    return facts


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def compare(old: dict[str, Any], new: dict[str, Any]) -> int:
    """Print how many values differ in each family, the first one that does, and the most that numbers differ by."""
    table = Table("family", "values", "differ", "the first that differs", "old", "new", "by at most")
    equal = True
    for name in {**old, **new}:
        before, after = (dict(leaves(side[name]["facts"])) if name in side else {} for side in (old, new))
        pairs = {key: (before.get(key, "none"), after.get(key, "none")) for key in {**before, **after}}
        differ = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
        # What both have comes before what only one of them has.
        differ = dict(sorted(differ.items(), key=lambda item: "none" in item[1]))
        apart = [abs(x - y) for x, y in differ.values() if isinstance(x, int | float) and isinstance(y, int | float)]
        first = next(iter(differ), "")
        shown = [f"{value}"[:30] for value in differ.get(first, ("", ""))]
        most = f"{max(apart):.3g}" if apart else ""
        table.add_row(name, f"{len(pairs):,}", f"{len(differ):,}" if differ else "equal", first, *shown, most)
        equal &= not differ
    console.print(table)
    return int(not equal)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value in nested objects and lists, under the way that leads to it, and each list's length."""
    if isinstance(value, list):
        yield f"{key}/length", len(value)
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{key}/{name}")
    else:
        yield key, value


def race(old: Side, new: Side, names: Sequence[str], rounds: int) -> int:
    """Print CPU times of updates, of training commands and of predictions, in turns, and new ones over old ones.

    A family is slower if the median over the rounds and the ratio of the best times both say so: what else the machine
    does only ever adds to a time.
    """
    make_data(old)
    table = Table("family", "", "old, s", "new, s", "median ratio", "ratio of best")
    slower: list[str] = []
    for name in names:
        old.train(name)
        seconds = json.loads(old.read(name, "training.json"))["cpu_seconds"]
        times = max(1, round(TURN / max(seconds, 0.1)))
        turns = []
        for number in range(rounds):
            if number % 2:
                before, after = turn(old, name, times), turn(new, name, times)
            else:
                after, before = turn(new, name, times), turn(old, name, times)
            turns.append((before, after))
        for what in turns[0][0]:
            pairs = [(theirs[what], ours[what]) for theirs, ours in turns]
            best = [min(side) for side in zip(*pairs, strict=True)]
            ratios = median(ours / theirs for theirs, ours in pairs), best[1] / best[0]
            lost = min(ratios) > SLOWER
            slower += [name] if lost else []
            numbers = [f"{value:.4f}" for value in best] + [f"{value:.3f}" for value in ratios]
            table.add_row(name, what, *numbers, style="red" if lost else None)
    console.print(table)
    console.print(f"slower: {', '.join(dict.fromkeys(slower)) or 'none'}")
    return int(bool(slower))


def turn(side: Side, name: str, times: int) -> dict[str, float]:
    cpu = side.train(name, times)
    return cpu | ({"predict": side.predict(name, "many")[1]} if side.families[name].inputs else {})


def make_data(side: Side) -> None:
    """The folders of the data and of the runs: dates, sentences and pairs of them, shapes in images and as grids."""
    data = side.work / "data"
    (side.work / side.runs).mkdir(parents=True, exist_ok=True)
    if (data / "done").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    for name in ("words", "pairs", "grids", *INPUTS):
        (data / name).mkdir(parents=True)
    subprocess.run([side.attend.with_name("python"), "-c", WRITE_DATES], cwd=side.work, check=True)
    dates = [json.loads(line)["source"] for line in (data / "dates/test.jsonl").read_text().splitlines()]
    sentences = make_words(data / "words")
    shapes = [shape(number) for number in range(INPUTS["many"])]
    for name, count in INPUTS.items():
        write_lines(data / name / "dates.txt", dates[:count])
        write_lines(data / name / "words.txt", sentences[:count])
        write_lines(data / name / "pairs.tsv", ["premise\thypothesis", *map(judged, range(count))])
        save_images(data / name / "shapes", shapes[:count])
        np.savez(data / name / "grids.npz", features=grids(count))
    for part, numbers in (("train", range(800)), ("valid", range(800, 860))):
        rows = [f"{judged(number)}\t{JUDGEMENTS[number % 3]}" for number in numbers]
        write_lines(data / f"pairs/{part}.tsv", ["premise\thypothesis\ttarget", *rows])
    for number, name in enumerate(KINDS):
        save_images(data / "classes" / name, shapes[number:210:3])
    cut = np.stack([pixels[:10, :12, :3] for pixels in shapes[:210]])
    np.savez(data / "classes.npz", images=cut, labels=np.arange(210) % 3)
    save_images(data / "captions", shapes[:240])
    rows = [f"{number}.png,{caption(number)},{'valid' if number % 11 == 5 else 'train'}" for number in range(240)]
    write_lines(data / "captions/metadata.csv", ["file_name,caption,split", *rows])
    np.savez(data / "grids/train.npz", features=grids(420))
    write_lines(data / "grids/train.txt", [f"{caption(number)}\tit is {KINDS[number % 3]}" for number in range(420)])
    (data / "done").touch()


def make_words(folder: Path) -> list[str]:
    """Short pairs of Multi30k, in two files and in one; gives sources to predict from."""
    place = Path(os.environ.get("ATTEND_DATA", "data"), "multi30k/tok")
    for part, name, most in (("train", "train", 420), ("valid", "val", 40), ("test", "test_2016_flickr", 600)):
        paths = [place / f"{name}.lc.norm.tok.{language}.gz" for language in ("en", "de")]
        sides = [gzip.decompress(path.read_bytes()).decode().splitlines() for path in paths]
        pairs = [pair for pair in zip(*sides, strict=True) if max(len(text.split()) for text in pair) <= 12][:most]
        write_lines(folder / f"{part}.tsv", map("\t".join, pairs))
        for language, lines in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
            write_lines(folder / f"{part}.{language}", lines)
    return (folder / "test.en").read_text(encoding="utf-8").splitlines()


def write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def caption(number: int) -> str:
    return f"A {COLOURS[number % 2]} {KINDS[number % 3]}{' on black.' if number % 4 else ''}"


def judged(number: int) -> str:
    """A premise and a hypothesis, of which `JUDGEMENTS[number % 3]` holds."""
    kind, colour, other = (names[number // 3 % len(names)] for names in (KINDS, COLOURS, COLOURS[::-1]))
    claim = (f"there is a {kind}", f"the {kind} is {other}", f"the {kind} is old")[number % 3]
    return f"a {colour} {kind} stands {'alone ' * (number % 5)}here\t{claim}"


def shape(number: int) -> np.ndarray:
    """A small picture of a bar, a ring or a cross; some are of another size than most, or partly transparent."""
    random = np.random.default_rng(number)
    grey = random.integers(0, 60, (12, 12) if number % 7 else (10, 14))
    mark = grey[random.integers(0, 4) :, random.integers(0, 5) :][:6, :6]
    match KINDS[number % 3]:
        case "bar":
            mark[2:4] = 200
        case "ring":
            mark[[0, -1]] = mark[:, [0, -1]] = 220
        case "cross":
            mark[2:4] = mark[:, 2:4] = 240
    channels = [grey, grey // 3, grey // 5][:: 1 if number % 2 else -1]
    return np.stack(channels + ([] if number % 11 else [255 - grey // 2]), axis=-1).astype(np.uint8)


def grids(count: int) -> np.ndarray:
    """Features of shapes, in 3 x 4 cells: a row tells the kind, a feature the colour."""
    features = np.random.default_rng(count).normal(size=(count, 3, 4, 16)).astype(np.float32)
    for number in range(count):
        features[number, number % 3, :, number % 2] += 3
    return features


def save_images(folder: Path, pictures: Sequence[np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{number}.png")


if __name__ == "__main__":
    sys.exit(main())
