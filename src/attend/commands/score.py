"""`attend score`"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

from tyro.conf import Positional, arg

from attend.commands.options import Ensemble, Run, flat, parse
from attend.data.files import DataError, Pair, read_pairs, readable_again, scan_records, split_columns
from attend.progress import counting, say

CHUNK = 2048


@dataclass(frozen=True)
class Options:
    """Write log p(target | source) of each pair, in nats, the end of the output included: a number a line.

    examples:
      attend score runs/mine source.en target.de
      attend score runs/mine pairs.tsv --normalise
      paste source.en target.de | attend score runs/mine
    """

    run: Run
    """The run folder."""
    data: Positional[Annotated[tuple[str, ...], arg(metavar="[FILE [FILE]]")]] = ("-",)
    """Two line-aligned files (source target), or one .tsv or .jsonl file; "-" for tab-separated standard input."""
    ensemble: Ensemble = ()
    """More runs, of the same vocabulary, whose probabilities are averaged with the first one's."""
    normalise: bool = False
    """Divide by the number of target tokens, the end included."""
    json: bool = False
    """Write an object a line: log_prob, tokens, log_prob_per_token, and unknown: how many tokens of source and target
    are in no vocabulary, and are read or scored as <unk>."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend score", arguments)
    from attend.data.codec import UNKNOWN
    from attend.run import load_text

    model = load_text(options.run, *flat(options.ensemble))
    data = model.config.settings.data

    def pairs() -> Iterator[Pair]:
        return scorable(options.data, data.source_key, data.target_key)

    # A pair that can't be scored is found before the others are.
    count = sum(1 for _ in pairs()) if readable_again(options.data) else 0
    given = pairs()
    done = incomplete = 0
    with counting("pairs") as report:
        while chunk := list(islice(given, CHUNK)):
            for target in model.task.force(model.decoder, [(pair.source, pair.target) for pair in chunk]):
                tokens = len(target.token_log_probs)
                mean = target.log_prob / tokens
                unknown = target.source.ids.count(UNKNOWN) + target.ids.count(UNKNOWN)
                incomplete += unknown > 0
                if options.json:
                    found = {"log_prob": target.log_prob, "tokens": tokens, "log_prob_per_token": mean}
                    print(json.dumps(found | {"unknown": unknown}))
                else:
                    print(f"{mean if options.normalise else target.log_prob:.6f}")
            done += len(chunk)
            report(done, count)
    if incomplete:
        say(f"{incomplete:,} of {done:,} pairs have tokens that are in no vocabulary (<unk>): --json counts them")
    return 0


def scorable(paths: tuple[str, ...], source_key: str, target_key: str) -> Iterator[Pair]:
    """The pairs. Raises `DataError` at a line that is none, or has an empty side."""
    # Standard input has no suffix to say what it holds.
    found = scan_records("-", split_columns) if paths == ("-",) else read_pairs(paths, source_key, target_key)
    for pair in found:
        if isinstance(pair, DataError):
            raise pair
        for side, path, text in (("source", paths[0], pair.source), ("target", paths[-1], pair.target)):
            if not text.strip():
                raise DataError(path, f"the {side} is empty", "remove the pair: there is nothing to score", pair.line)
        yield pair
