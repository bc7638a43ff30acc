"""`attend check`"""

from collections.abc import Sequence
from dataclasses import dataclass

from attend.commands.options import Data, parse
from attend.commands.output import print_json


@dataclass(frozen=True)
class Options:
    """Look for what is wrong with parallel text: encoding, alignment, duplicates, overlap of the parts, and so on.

    Exits with 1 if something found makes learning impossible. Every part is two line-aligned files (source target), or
    one .tsv or .jsonl file, each plain, .gz or .xz.

    examples:
      attend check --train train.en train.de --valid valid.en valid.de
      attend check --train pairs.tsv --test test.jsonl --json
    """

    train: Data
    """What a model would learn from."""
    valid: Data = ()
    """What its best weights would be chosen by."""
    test: Data = ()
    """What it would be judged by."""
    source_key: str = "source"
    """The source's key in .jsonl files."""
    target_key: str = "target"
    """The target's key in .jsonl files."""
    longest: int = 100
    """Lines of more words are reported."""
    json: bool = False
    """Print the whole report as one JSON object, with every problem's file and line."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend check", arguments)
    from attend.data.check import check

    if not options.train:
        raise ValueError("--train names no file: give two line-aligned files, or one .tsv or .jsonl file")
    report = check(
        options.train,
        options.valid or None,
        options.test or None,
        source_key=options.source_key,
        target_key=options.target_key,
        longest=options.longest,
    )
    if options.json:
        print_json(report.to_json())
    else:
        print(report)
    return 1 if report.fatal else 0
