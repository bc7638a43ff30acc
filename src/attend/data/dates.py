"""A generated corpus: dates in many languages, and in ISO 8601.

The formats are the Unicode CLDR's, through Babel: each locale's full, long, medium and short patterns and its patterns
for a few common combinations of fields ("skeletons", UTS 35). A source is written field by field, so that the spans of
year, month and day are known: a gold alignment for attention.

An ambiguous date ("05/03/08") is prefixed with its locale's order: "<dmy> 05/03/08". Only such dates have years of two
digits, from 69 for 1969 to 68 for 2068, as in POSIX.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from babel import Locale
from babel.dates import DateTimeFormat, tokenize_pattern

from attend.data.examples import TARGET, Column, Fixed, Kept, Log, Row, Split, Truth, as_several, check_columns
from attend.settings import check_range

DateSplit = Literal["train", "valid", "test", "unseen"]

# fmt: off
LOCALES = (
    "en_US", "en_GB", "en_CA", "de", "fr", "fr_CA", "es", "es_MX", "it", "pt", "pt_PT", "nl", "sv", "da", "nb", "fi",
    "is", "et", "lv", "pl", "cs", "hu", "ro", "bg", "hr", "sr", "sr_Latn", "mk", "sq", "tr", "az", "ru", "uk", "be",
    "el", "ja", "zh", "zh_Hant", "ko", "vi", "id", "ms", "sw", "he", "hy", "ka", "kk", "eu", "cy", "ga", "ar_EG", "bn",
    "mr",
)
# fmt: on
# Languages related to those above, to measure transfer to unseen languages.
UNSEEN_LOCALES = ("ca", "sk", "sl", "gl", "lt", "af")

FORMATS = ("full", "long", "medium", "short")
SKELETONS = ("yMd", "yMMMd", "yMMMMd", "yMEd", "yMMMEd")
# The fields of a pattern's letters. A pattern with others (an era, say) is not used.
FIELDS = {"y": "year", "M": "month", "L": "month", "d": "day", "E": "weekday", "c": "weekday"}
# The zero of each numbering system that the locales here use for dates; Babel writes ASCII digits.
ZEROS = {"latn": "0", "arab": "٠", "beng": "০", "deva": "०"}

FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
# The hundred years that two digits stand for.
SHORT_YEARS = range(1969, 2069)

COUNTS: Mapping[DateSplit, int] = {"train": 50_000, "valid": 1_000, "test": 1_000, "unseen": 1_000}


@dataclass(frozen=True)
class DatePair:
    """A date as written in a locale, and in ISO 8601; `spans` are those of "year", "month" and "day" in `source`."""

    source: str
    target: str
    locale: str
    spans: Mapping[str, tuple[int, int]]


ISO_DATE: Mapping[str, tuple[int, int]] = {"year": (0, 4), "month": (5, 7), "day": (8, 10)}
"""The span in the target of each part of the date."""


@dataclass(frozen=True)
class Dates:
    """Dates in many languages, and in ISO 8601:

        Samstag, 3. Mai 2008  ->  2008-05-03
                 d. mmm yyyy      yyyy mm dd

    Rows have a `source` and a `target`, and the source spans of year, month and day.
    """

    name: str = "dates"
    """What the data is called in results and model cards."""
    train: int = 20_000
    """Training dates."""
    valid: int = 500
    """Validation dates."""
    test: int = 1_000
    """Test dates."""
    seed: int = 1
    """Seed of the dates, independent of the run's."""

    def __post_init__(self) -> None:
        check_range(self, "train valid test", 1)

    def open(self, columns: Sequence[Column], seed: int, log: Log) -> Fixed:
        """Raises `ValueError` for more dates than there are."""
        check_columns(columns, ("source", TARGET), "dates")
        several = any(column.several for column in columns if column.name == TARGET)
        counts: dict[Split, int] = {"train": self.train, "valid": self.valid, "test": self.test}
        return Kept({part: date_rows(generate(count, self.seed, part), several) for part, count in counts.items()})

    def reads(self) -> tuple[str, ...]:
        return ()

    def files(self, split: Split) -> tuple[str, ...]:
        return (f"generated dates ({split})",)


def date_rows(pairs: Sequence[DatePair], several: bool = False) -> list[Row]:
    """Pairs as rows; with `several` a target is a tuple of one."""
    return [
        Row(
            {"source": pair.source, TARGET: as_several(pair.target, several)},
            f"date {number}",
            truth=tuple(Truth("source", pair.spans[part], of=characters) for part, characters in ISO_DATE.items()),
        )
        for number, pair in enumerate(pairs, start=1)
    ]


def generate(count: int, seed: int, split: DateSplit) -> list[DatePair]:
    """`count` different dates from 1900 to 2099, the same for the same seed (and release of CLDR).

    The days of "train", "valid" and "test" are disjoint; "unseen" has the days of "test", in locales that no other
    split has. Raises `ValueError` if there are fewer dates.
    """
    locales = UNSEEN_LOCALES if split == "unseen" else LOCALES
    days = days_by_split()["test" if split == "unseen" else split]
    if count > len(days) * len(locales):
        raise ValueError(f"the {split} split has at most {len(days) * len(locales)} dates: ask for fewer")
    choose = random.Random(f"{split} {seed}")
    pairs: dict[str, DatePair] = {}
    while len(pairs) < count:
        locale = choose.choice(locales)
        pair = write_date(choose.choice(days), locale, choose.choice(patterns(locale)))
        pairs.setdefault(pair.source, pair)
    return list(pairs.values())


def write(folder: str | Path, seed: int, counts: Mapping[DateSplit, int] = COUNTS) -> dict[DateSplit, Path]:
    """Write each split as `<split>.jsonl`, an object a line with the fields of `DatePair`; return the paths."""
    paths: dict[DateSplit, Path] = {}
    Path(folder).mkdir(parents=True, exist_ok=True)
    for split, count in counts.items():
        paths[split] = Path(folder, f"{split}.jsonl")
        lines = [json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in generate(count, seed, split)]
        paths[split].write_text("".join(lines), encoding="utf-8", newline="\n")
    return paths


@cache
def days_by_split() -> dict[str, list[date]]:
    """The days of each split, by a hash of the day, independent of seed and count: one in ten is held out."""
    days: dict[str, list[date]] = {"train": [], "valid": [], "test": []}
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(number)
        part = blake2b(day.isoformat().encode(), digest_size=8).digest()[0] % 20
        days[{0: "valid", 1: "test"}.get(part, "train")].append(day)
    return days


@cache
def patterns(locale: str) -> tuple[str, ...]:
    """A locale's different date patterns, without ISO 8601's own."""
    found = parsed(locale)
    all_patterns = [found.date_formats[name].pattern for name in FORMATS]
    all_patterns += [found.datetime_skeletons[name].pattern for name in SKELETONS if name in found.datetime_skeletons]
    usable = (text for text in all_patterns if text != "y-MM-dd" and fields(text) <= set(FIELDS))
    return tuple(dict.fromkeys(usable))


def fields(pattern: str) -> set[str]:
    return {value[0] for kind, value in tokenize_pattern(pattern) if kind == "field"}


def write_date(day: date, locale: str, pattern: str) -> DatePair:
    """A day in a locale's words and digits, after a CLDR date pattern such as "d MMMM y"."""
    pieces, order = parse(pattern, day.year in SHORT_YEARS)
    source = f"<{order}> " if order else ""
    spans: dict[str, tuple[int, int]] = {}
    for field, text in pieces:
        start = len(source)
        source += write_field(day, locale, text) if field else text
        if field in ("year", "month", "day"):
            spans[field] = (start, len(source))
    return DatePair(source, day.isoformat(), locale, spans)


@cache
def parse(pattern: str, short_years: bool) -> tuple[list[tuple[str | None, str]], str]:
    """A pattern's pieces, each a field and its letters or None and literal text; and its order, if it is ambiguous.

    Without `short_years`, two-digit years become four-digit ones.
    """
    pieces: list[tuple[str | None, str]] = []
    for kind, value in tokenize_pattern(pattern):
        if kind == "field":
            letter, width = value[0], int(value[1])
            year_is_cut = letter == "y" and width == 2
            pieces.append((FIELDS[letter], "y" if year_is_cut and not short_years else letter * width))
        else:
            pieces.append((None, str(value)))
    letters = {field: text for field, text in pieces if field in ("year", "month", "day")}
    order = "".join(field[0] for field in letters if field)
    # A month of one or two letters is a number. After a leading four-digit year comes the month.
    unclear = letters["year"] == "yy" or (len(letters["month"]) <= 2 and not order.startswith("y"))
    return pieces, order if unclear else ""


def write_field(day: date, locale: str, letters: str) -> str:
    """One field of a date, in the digits of the locale."""
    text = DateTimeFormat(day, parsed(locale))[letters]
    return text.translate(native_digits(parsed(locale).default_numbering_system))


@cache
def parsed(locale: str) -> Locale:
    return Locale.parse(locale)


@cache
def native_digits(system: str) -> dict[int, int]:
    """A translation table from ASCII digits to a numbering system's."""
    zero = ord(ZEROS[system])
    return {ord("0") + value: zero + value for value in range(10)}
