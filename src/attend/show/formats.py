"""Files for other tools: Pharaoh and Nematus alignments, NumPy archives.

Nematus's form and NPZ are read back here; Pharaoh, the form of gold alignments, by `attend.inspect.alignment`.
Files are written atomically. Every reader raises `ValueError` naming the file, the line and what is wrong.
"""

import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import numpy as np

from attend.atomic import whole_file, write_atomically
from attend.attention.trace import Axis, Token, Tokens, Trace, Weights

Link = tuple[int, int]


def pharaoh(look: Weights) -> list[Link]:
    """(source, target) for each target word and its strongest cell, both counted from 0.

    Special tokens are not counted, on either side. A word without weights, or whose strongest cell is a special token
    (the sentence's end), has no link. Merge subwords to words first.
    """
    sources, targets = _numbering(look.memory, "memory"), _numbering(look.steps, "steps")
    strongest = look.weights.argmax(axis=1) if look.weights.size else []
    return [
        (sources[cell], targets[step])
        for step, cell in enumerate(strongest)
        if step in targets and cell in sources and look.weights[step, cell] > 0
    ]


def write_pharaoh(path: Path, looks: Iterable[Weights]) -> None:
    """One line for each look: "i-j i-j ...", source before target."""
    lines = [" ".join(f"{source}-{target}" for source, target in pharaoh(look)) for look in looks]
    content = "".join(f"{line}\n" for line in lines).encode()
    write_atomically(path, lambda partial: partial.write_bytes(content))


def write_nematus(path: Path, traces: Iterable[Trace], look: str = "source") -> None:
    """The text form of Nematus: a header, a row of weights for each target token, an empty line.

    The header is `id ||| target ||| score ||| source ||| columns rows`. The end of a sentence is counted in columns and
    rows but not written as a word. The score is the output's log-probability, 0 where the trace has none. White space,
    "|" and "&" inside a token are escaped as in Moses: `&#32;`, `&#124;`, `&amp;`; a token for the space prepended to
    the text as `&#32;`.
    """
    blocks = []
    for index, trace in enumerate(traces):
        weights = trace.looks.get(look)
        if not isinstance(weights, Weights):
            raise ValueError(
                f"trace {index} has no weights named {look!r}; it has {', '.join(trace.looks) or 'no looks'}"
            )
        try:
            source, target = _nematus_words(weights.memory), _nematus_words(weights.steps)
        except ValueError as error:
            raise ValueError(f"trace {index} can't be written in Nematus's form: {error}") from None
        rows, columns = weights.weights.shape
        score = sum(trace.scores or ())
        header = f"{index} ||| {target} ||| {score:.6g} ||| {source} ||| {columns} {rows}"
        matrix = [" ".join(f"{weight:.6g}" for weight in row) for row in weights.weights]
        blocks.append("\n".join([header, *matrix, "", ""]))
    write_atomically(path, lambda partial: partial.write_bytes("".join(blocks).encode()))


def read_nematus(path: Path) -> list[Trace]:
    """Traces with one look, "source"; the header's id and score are in `about`."""
    lines = enumerate(_lines(path), start=1)
    return [_read_nematus(path, number, header, lines) for number, header in lines if header.strip()]


def _read_nematus(path: Path, number: int, header: str, lines: Iterator[tuple[int, str]]) -> Trace:
    try:
        name, target, score, source, counts = (part.strip(" ") for part in header.split("|||"))
        columns, rows = map(int, counts.split())
    except ValueError:
        expected = "id ||| target ||| score ||| source ||| columns rows"
        raise ValueError(f"{path}, line {number}: {header!r:.80} is not a header; it must be {expected!r}") from None
    try:
        memory, steps = _nematus_tokens(source, columns), _nematus_tokens(target, rows)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from None
    matrix = np.zeros((rows, columns))
    for row in range(rows):
        at, line = next(lines, (number + row + 1, ""))
        try:
            weights = [float(weight) for weight in line.split()]
        except ValueError:
            raise ValueError(f"{path}, line {at}: {line!r:.80} is not a row of numbers") from None
        if len(weights) != columns:
            raise ValueError(
                f"{path}, line {at}: {len(weights)} weights, but the header (line {number}) says {columns}"
            )
        matrix[row] = weights
    try:
        look = Weights(matrix, steps, memory)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from None
    return Trace(memory.text, steps.text, {"source": look}, about={"id": name, "score": score})


def write_npz(path: Path, trace: Trace) -> None:
    """One trace as NumPy arrays that load without pickle.

    For a look named "source": `source/weights` (or `source/centre`, `source/extent`, `source/scale`) in full precision,
    and the labels `source/steps` and `source/memory`. `trace` is the JSON of `attend.trace.v2` without those numbers.
    """
    form = trace.to_json()
    arrays = {}
    for name, look in trace.looks.items():
        for key in ("weights",) if isinstance(look, Weights) else ("centre", "extent", "scale"):
            arrays[f"{name}/{key}"] = getattr(look, key)
            del form["looks"][name][key]
        arrays[f"{name}/steps"] = np.array(look.steps.labels(), dtype=np.str_)
        if isinstance(look, Weights):
            arrays[f"{name}/memory"] = np.array(look.memory.labels(), dtype=np.str_)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, trace=np.array(json.dumps(form)), **arrays)
    write_atomically(path, lambda partial: partial.write_bytes(file.getvalue()))


def write_matrices(path: Path, looks: Iterable[Weights]) -> None:
    """Many looks as one archive of NumPy arrays, which load without pickle.

    That of example 7, counted from 1, is "7/weights", steps by cells, with the labels "7/target" and "7/source".
    """
    with whole_file(path) as partial, ZipFile(partial, "w", ZIP_DEFLATED) as archive:
        for number, look in enumerate(looks, start=1):
            source, target = np.array(look.memory.labels(), np.str_), np.array(look.steps.labels(), np.str_)
            for name, array in (("weights", look.weights), ("source", source), ("target", target)):
                with archive.open(f"{number}/{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)


def read_npz(path: Path) -> Trace:
    """The trace that `write_npz` wrote."""
    try:
        # Opened here, because NumPy leaves a file open that is not an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            form = json.loads(str(arrays["trace"]))
            for name, look in form["looks"].items():
                for key in ("weights",) if look["kind"] == "weights" else ("centre", "extent", "scale"):
                    look[key] = arrays[f"{name}/{key}"].tolist()
        return Trace.from_json(form)
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror or error}") from None
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        EOFError,
        RuntimeError,
        BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(f"{path}: not a trace in NPZ form: {error}") from error


def _numbering(axis: Axis, name: str) -> dict[int, int]:
    """The number of each token among those that are not special."""
    if not isinstance(axis, Tokens):
        raise ValueError(f"only tokens can be aligned, and the look's {name} are not tokens")
    real = [index for index, token in enumerate(axis.tokens) if token.start is not None]
    return {index: number for number, index in enumerate(real)}


def _nematus_words(axis: Axis) -> str:
    if not isinstance(axis, Tokens):
        raise ValueError("only tokens can be written")
    for index, token in enumerate(axis.tokens):
        if token.start is None and index != len(axis.tokens) - 1:
            raise ValueError(f"special token {index} {token.text!r} is not at the end")
    return " ".join(_escape(token.text) for token in axis.tokens if token.start is not None)


def _nematus_tokens(words: str, count: int) -> Tokens:
    texts = [_unescape(word) for word in words.split(" ") if word]
    if count not in (len(texts), len(texts) + 1):
        raise ValueError(f"{len(texts)} words but a count of {count}; it must be that number, or one more with the end")
    tokens, start = [], 0
    for text in texts:
        tokens.append(Token(text, start, start + len(text)))
        start += len(text) + 1
    end = [Token("</s>")] * (count - len(texts))
    return Tokens(" ".join(texts), (*tokens, *end))


def _escape(text: str) -> str:
    return re.sub(r"[\s|]", lambda match: f"&#{ord(match[0])};", text.replace("&", "&amp;") or " ")


def _unescape(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        plain = chr(int(match[1]))
        return plain if plain == "|" or plain.isspace() else match[0]

    return re.sub(r"&#([0-9]{1,5});", character, text).replace("&amp;", "&")


def _lines(path: Path) -> list[str]:
    """The lines of a text file, ended by line feeds only."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ValueError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 at byte {error.start}; convert the file to UTF-8") from None
    return text.removesuffix("\n").split("\n") if text else []
