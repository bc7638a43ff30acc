"""`attend predict`"""

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from tyro.conf import Positional, arg

from attend.commands.options import Beam, Ensemble, InFile, LengthPenalty, OutFile, Run, changed, flat, parse
from attend.commands.output import check_outputs, text_output
from attend.data.files import DataError, counted, locate, read_lines, readable_again
from attend.progress import counting, say

if TYPE_CHECKING:
    from attend.attention.trace import Trace
    from attend.data.grids import Grids
    from attend.data.image import Images
    from attend.tasks.caption import Caption, CaptionModel
    from attend.tasks.image import Answer, ImageModel
    from attend.tasks.text import Decoding, Prediction
    from attend.tasks.text_model import TextModel

    Text = Callable[[Prediction], str]

Form = Literal["text", "tsv", "jsonl"]
# Lines read and decoded at a time: enough to put those of like length together, too few to fill the memory.
CHUNK = 2048
# The same for images.
IMAGES = 256
# What is asked of images; the other options are for text.
FOR_IMAGES = ("run", "files", "weights", "beam", "format", "out")


@dataclass(frozen=True)
class Options:
    """Write an output for each line of a file (or of standard input), in order; for an empty line, an empty line.

    A run that takes images is given image files instead, and writes a line for each.

    examples:
      attend predict runs/mine captions.en > captions.de
      cat captions.en | attend predict runs/mine --beam 1
      attend predict runs/mine captions.en --format jsonl --best 5 --out captions.jsonl
      attend predict runs/mine captions.en --alignments captions.pharaoh --ensemble runs/second runs/third
      attend predict runs/digits *.png --format tsv
    """

    run: Run
    """The run folder."""
    files: Positional[Annotated[tuple[str, ...], arg(metavar="[FILE ...]")]] = ("-",)
    """What to predict from: a file of UTF-8 text, plain, .gz or .xz; "-" for standard input. Or image files, and
    folders of them; one that can't be read is named, and has no answer in its line."""
    ensemble: Ensemble = ()
    """More runs, of the same vocabulary, whose probabilities are averaged with the first one's."""
    weights: Literal["model", "last", "averaged"] = "model"
    """Which weights: those that validated best, the last ones, or their running average."""
    beam: Beam = None
    """Hypotheses that the search keeps; 1 is greedy."""
    length_penalty: LengthPenalty = None
    """Exponent of the length that log-probabilities are divided by: 0 for none, 1 for their mean."""
    best: int = 1
    """Outputs a line, best first, at most as many as --beam. Several need --format tsv or jsonl."""
    samples: int = 0
    """Random outputs a line, drawn from the model, instead of a search. Several need --format tsv or jsonl."""
    seed: int = 1
    """Of the samples."""
    format: Form = "text"
    """The output; or score and output (of several: line, rank, score, output); or an object a line, with attention.
    Of images: the output; or file, score and output; or an object a line, with the whole trace."""
    replace_unknown: bool = False
    """Put the source word that was looked at most in the place of <unk> (for word vocabularies)."""
    dictionary: InFile = None
    """A .tsv file of source words and what to put instead of them, for --replace-unknown."""
    alignments: OutFile = None
    """Write the attention of each line's first output to this file too."""
    alignment_form: Literal["pharaoh", "nematus"] = "pharaoh"
    """pharaoh: "i-j" links, source before target, counted from 0. nematus: whole matrices."""
    subwords: bool = False
    """Write alignments of tokens, not of words."""
    out: OutFile = None
    """Write the outputs to this file, not to standard output; it appears when all are there."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend predict", arguments)
    from attend.run import load
    from attend.tasks.caption import CaptionModel
    from attend.tasks.generation import DrawingModel
    from attend.tasks.image import ImageModel
    from attend.tasks.text_model import TextModel

    check_outputs([options.out, options.alignments], [*options.files, options.dictionary])
    if options.samples < 0:
        raise ValueError(f"--samples is {options.samples}: it must be at least 1, or 0 for a search")
    if options.best > 1 and options.samples:
        raise ValueError("--best is of a search and --samples of chance: leave out one of them")
    if options.format == "text" and max(options.best, options.samples) > 1:
        raise ValueError("several outputs a line need --format tsv or --format jsonl")
    model = load(options.run, *flat(options.ensemble), weights=options.weights)
    if isinstance(model, ImageModel | CaptionModel):
        return predict_images(model, options)
    if not isinstance(model, TextModel):
        problem = f"{options.run} is a run of {model.config.recipe!r}, which predicts nothing from files"
        other = "attend show shows what it draws" if isinstance(model, DrawingModel) else "attend evaluate measures it"
        raise ValueError(f"{problem}; {other}")
    if len(options.files) > 1:
        raise ValueError(f"{options.files[1]!r} is one file too many: {options.run} takes one file of text")
    return predict_text(model, options)


def predict_images(model: "ImageModel | CaptionModel", options: Options) -> int:
    """A line for each image file. Gives the exit status."""
    from attend.tasks.caption import CaptionModel
    from attend.tasks.pictures import stacked

    if options.beam is not None and not isinstance(model, CaptionModel):
        raise ValueError(f"--beam is for what writes: {options.run} names classes")
    for name, default in ((part.name, part.default) for part in fields(Options) if part.name not in FOR_IMAGES):
        if getattr(options, name) != default:
            raise ValueError(f"--{name.replace('_', '-')} is for runs that read text; {options.run} reads images")
    if options.files == ("-",):
        raise ValueError(f"{options.run} takes images: name their files")
    predict = partial(model.predict_many, beam=options.beam) if isinstance(model, CaptionModel) else model.predict_many
    files = [image for name in options.files for image in images_of(name)]
    check_outputs([options.out], files)
    refused = done = 0
    with text_output(options.out) as file, counting("images") as report:
        for start in range(0, len(files), IMAGES):
            read = {path: readable(model, path) for path in files[start : start + IMAGES]}
            usable = [images for images in read.values() if images is not None]
            answers = predict(cast("Any", stacked(usable))) if usable else iter(())
            for path, images in read.items():
                if images is None:
                    refused += 1
                    file.write(without_answer(path, options.format) + "\n")
                    continue
                for answer in islice(answers, len(images)):
                    file.write(line_of(answer, options.format) + "\n")
                    done += 1
                    report(done + refused, len(files))
    if refused:
        say(f"attend: {refused:,} of {counted(len(files), 'file')} could not be read, and no answer is in their lines")
    return 2 if refused else 0


def images_of(name: str) -> list[str]:
    """The file itself, or the images in a folder. Raises `DataError` if there is none."""
    from attend.data.image_folder import look_through

    place = locate(name)
    if not place.is_dir():
        return [name]
    found = [str(entry.path) for entry in look_through(place, [], [])]
    if not found:
        raise DataError(name, "holds no .png, .jpg or .jpeg files", "name the files, or the folder that they are in")
    return found


def readable(model: "ImageModel | CaptionModel", path: str) -> "Images | Grids | None":
    """A file's images; for one that can't be read none, and it is said why: the others are not to wait for it."""
    try:
        return model.task.decoded([path])
    except DataError as error:
        say(f"attend: {error}")
        return None


def line_of(answer: "Answer | Caption", form: Form) -> str:
    match form:
        case "text":
            return one_line(answer.text)
        case "tsv":
            return f"{one_line(answer.name)}\t{answer.score:.6f}\t{one_line(answer.text)}"
        case "jsonl":
            found = {"input": answer.name, "text": answer.text, "score": answer.score}
            return json.dumps(found | {"trace": answer.trace().to_json()}, ensure_ascii=False)


def without_answer(path: str, form: Form) -> str:
    """The line of a file that can't be read, so that lines stay in step with files."""
    match form:
        case "text":
            return ""
        case "tsv":
            return f"{one_line(path)}\t\t"
        case "jsonl":
            return json.dumps({"input": path, "text": None, "score": None, "trace": None}, ensure_ascii=False)


def predict_text(model: "TextModel", options: Options) -> int:
    """A line, or several, for each line of text."""
    how = changed(model.config.settings.decoding, beam=options.beam, length_penalty=options.length_penalty)
    if not 1 <= options.best <= how.beam:
        raise ValueError(f"--best is {options.best}: it must be from 1 to the beam, which is {how.beam} (--beam)")
    if options.files == ("-",) and sys.stdin.isatty():
        say("reading from the terminal, an input a line; Ctrl-D ends it")
    form, text = FORMS[options.format], text_of(model, options)
    several = max(options.best, options.samples) > 1
    with text_output(options.out) as file:

        def written() -> "Iterator[Prediction | None]":
            for line, (source, outputs) in enumerate(predictions(model, how, options), start=1):
                file.write(form(line, source, outputs, text, several))
                yield outputs[0] if outputs else None

        if options.alignments is None:
            deque(written(), maxlen=0)
        else:
            write_alignments(options.alignments, options, written())
    return 0


def predictions(model: "TextModel", how: "Decoding", options: Options) -> "Iterator[tuple[str, list[Prediction]]]":
    """Each line with its outputs: none for an empty one."""
    import torch

    from attend.tasks.text import device_of

    generator = torch.Generator(device_of(model.decoder)).manual_seed(options.seed)
    path = options.files[0]
    # A line that is no text is found before the others are read.
    count = sum(1 for _ in read_lines(path)) if readable_again([path]) else 0
    lines = read_lines(path)
    done = 0
    with counting("lines") as report:
        while chunk := list(islice(lines, CHUNK)):
            outputs = model.task.predict(
                model.decoder,
                chunk,
                how,
                options.best,
                samples=options.samples,
                generator=generator,
                report=lambda part, of, before=done: report(before + part, count),
            )
            yield from zip(chunk, outputs, strict=True)
            done += len(chunk)


def text_of(model: "TextModel", options: Options) -> "Text":
    """How an output's text is taken: as it is, or with its unknown words replaced."""
    if not options.replace_unknown:
        if options.dictionary is not None:
            raise ValueError("--dictionary is for --replace-unknown: give that too")
        return attrgetter("text")
    from attend.tasks.text import replace_unknown

    unit = model.config.settings.data.unit
    if unit != "word":
        raise ValueError(f"--replace-unknown is for word vocabularies, and this run's tokens are of unit {unit!r}")
    dictionary = {} if options.dictionary is None else read_dictionary(options.dictionary)
    return lambda prediction: replace_unknown(prediction, dictionary)


def read_dictionary(path: str) -> dict[str, str]:
    """Source word to replacement. Raises `DataError` for a line that is not two columns."""
    entries = {}
    for line, text in enumerate(read_lines(path), start=1):
        columns = text.split("\t")
        if len(columns) != 2:
            advice = "write the source word, one tab, and its replacement"
            raise DataError(path, f"{len(columns)} columns instead of 2", advice, line)
        entries[columns[0]] = columns[1]
    return entries


def as_text(line: int, source: str, outputs: "Sequence[Prediction]", text: "Text", several: bool) -> str:
    return (one_line(text(outputs[0])) if outputs else "") + "\n"


def as_tsv(line: int, source: str, outputs: "Sequence[Prediction]", text: "Text", several: bool) -> str:
    scored = [f"{output.score:.6f}\t{one_line(text(output))}\n" for output in outputs] or ["\t\n"]
    return "".join(f"{line}\t{rank}\t{row}" for rank, row in enumerate(scored, start=1)) if several else scored[0]


def as_json(line: int, source: str, outputs: "Sequence[Prediction]", text: "Text", several: bool) -> str:
    found = []
    for output in outputs:
        trace = output.trace().to_json()
        entry = {"text": text(output), "score": output.score, "log_prob": output.log_prob}
        entry |= {"tokens": [token.text for token in output.tokens], "token_log_probs": trace["scores"]}
        found.append(entry | {"attention": trace["looks"].get("source")})
    return json.dumps({"input": source, "outputs": found}, ensure_ascii=False) + "\n"


FORMS: dict[str, Callable[[int, str, Any, Any, bool], str]] = {"text": as_text, "tsv": as_tsv, "jsonl": as_json}


def one_line(text: str) -> str:
    """The text with a space for what would end its line or column."""
    return text.translate({ord(character): " " for character in "\t\r\n"})


def write_alignments(path: Path, options: Options, outputs: "Iterator[Prediction | None]") -> None:
    """The attention of each output; for an empty line an empty alignment, so that lines stay in step."""
    from attend.attention.trace import Weights
    from attend.show.formats import write_nematus, write_pharaoh
    from attend.show.words import merge

    def traces() -> "Iterator[Trace]":
        for output in outputs:
            trace = nothing() if output is None else output.trace()
            look = trace.looks.get("source")
            if not isinstance(look, Weights) or look.memory.kind != "tokens":
                raise ValueError("this system does not look at the source's words: there are no alignments to write")
            yield trace if options.subwords else replace(trace, looks={"source": merge(look)})

    if options.alignment_form == "pharaoh":
        write_pharaoh(path, (look for trace in traces() if isinstance(look := trace.looks["source"], Weights)))
    else:
        write_nematus(path, traces())


def nothing() -> "Trace":
    """The trace of an empty line."""
    import numpy as np

    from attend.attention.trace import Tokens, Trace, Weights

    nowhere = Tokens("", ())
    return Trace("", "", {"source": Weights(np.zeros((0, 0)), nowhere, nowhere)}, ())
