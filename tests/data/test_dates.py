import json
from datetime import date, timedelta

import pytest
from babel import Locale
from babel.dates import format_date, format_skeleton
from hypothesis import given
from hypothesis import strategies as st

from attend.data.dates import (
    FIRST,
    FORMATS,
    LAST,
    LOCALES,
    SHORT_YEARS,
    SKELETONS,
    UNSEEN_LOCALES,
    Dates,
    generate,
    patterns,
    write,
    write_date,
)
from attend.data.examples import Column, Fixed

ALL_LOCALES = (*LOCALES, *UNSEEN_LOCALES)
DAYS = st.dates(FIRST, LAST)
SPLITS = ("train", "valid", "test", "unseen")


def ascii_digits(text):
    return "".join(str(int(character)) if character.isdecimal() else character for character in text)


def untagged(text):
    return text.partition("> ")[2] if text.startswith("<") else text


@given(day=DAYS, locale=st.sampled_from(ALL_LOCALES), data=st.data())
def test_spans_are_the_fields(day, locale, data):
    pair = write_date(day, locale, data.draw(st.sampled_from(patterns(locale))))
    year, month, day_of_month = (pair.source[slice(*pair.spans[field])] for field in ("year", "month", "day"))
    assert pair.target == day.isoformat()
    assert int(year) == (day.year if len(year) == 4 else day.year % 100)
    assert int(day_of_month) == day.day
    names = Locale.parse(locale).months["format"]
    said = {names["wide"][day.month], names["abbreviated"][day.month], str(day.month), f"{day.month:02}"}
    assert ascii_digits(month) in said


@given(day=DAYS, locale=st.sampled_from(ALL_LOCALES))
def test_babel_writes_the_same(day, locale):
    written = {ascii_digits(untagged(write_date(day, locale, pattern).source)) for pattern in patterns(locale)}
    expected = {format_date(day, name, locale) for name in FORMATS}
    skeletons = Locale.parse(locale).datetime_skeletons
    expected |= {format_skeleton(name, day, locale=locale) for name in SKELETONS if name in skeletons}
    expected -= {day.isoformat()}
    if day.year in SHORT_YEARS:
        assert written == expected
    else:
        # Years that two digits can't say are whole, also where CLDR's pattern cuts them.
        assert all(str(day.year) in text for text in written)
        assert {text for text in expected if str(day.year) in text} <= written


def test_a_date_that_could_be_read_two_ways_says_its_order():
    def short(locale, day):
        return write_date(day, locale, Locale.parse(locale).date_formats["short"].pattern).source

    day = date(2008, 3, 5)
    assert short("en_US", day) == "<mdy> 3/5/08"
    assert short("en_GB", day) == "<dmy> 05/03/2008"
    assert short("ko", day) == "<ymd> 08. 3. 5."
    assert short("ja", day) == "2008/03/05"
    assert short("de", date(1969, 1, 1)) == "<dmy> 01.01.69"
    assert short("de", date(1968, 12, 31)) == "<dmy> 31.12.1968"
    assert short("de", date(2068, 12, 31)) == "<dmy> 31.12.68"
    assert short("de", date(2069, 1, 1)) == "<dmy> 01.01.2069"


def test_named_months_need_no_order():
    pair = write_date(date(2008, 3, 5), "de", "EEEE, d. MMMM y")
    assert pair.source == "Mittwoch, 5. März 2008"
    assert pair.spans == {"day": (10, 11), "month": (13, 17), "year": (18, 22)}


def test_native_digits():
    assert write_date(date(2008, 3, 5), "bn", "d MMMM, y").source == "৫ মার্চ, ২০০৮"
    assert write_date(date(2008, 3, 5), "mr", "d/M/yy").source == "<dmy> ५/३/०८"


def test_no_source_means_two_dates():
    targets = {}
    for number in range(0, (LAST - FIRST).days, 1009):
        day = FIRST + timedelta(number)
        for locale in ALL_LOCALES:
            for pattern in patterns(locale):
                source = write_date(day, locale, pattern).source
                assert targets.setdefault(source, day) == day


@pytest.mark.parametrize("split", SPLITS)
def test_a_seed_gives_the_same_different_dates(split):
    pairs = generate(300, 7, split)
    assert pairs == generate(300, 7, split)
    assert pairs != generate(300, 8, split)
    assert len({pair.source for pair in pairs}) == 300


def test_splits_share_no_day_and_unseen_no_locale():
    parts = {split: generate(2000, 3, split) for split in SPLITS}
    days = {split: {pair.target for pair in pairs} for split, pairs in parts.items()}
    assert not days["train"] & (days["valid"] | days["test"] | days["unseen"])
    assert not days["valid"] & days["test"]
    assert {pair.locale for pair in parts["train"]} == set(LOCALES)
    assert {pair.locale for pair in parts["unseen"]} == set(UNSEEN_LOCALES)
    assert not set(LOCALES) & set(UNSEEN_LOCALES)


def test_long_and_short_forms_are_there():
    sources = [pair.source for pair in generate(2000, 3, "train") if pair.locale == "de"]
    assert any("tag, " in source for source in sources)
    assert any(source.startswith("<dmy> ") for source in sources)


def test_more_dates_than_there_are():
    with pytest.raises(ValueError, match="unseen split has at most"):
        generate(100_000, 1, "unseen")


def test_write(tmp_path):
    paths = write(tmp_path / "dates", 5, {"train": 20, "unseen": 10})
    assert {split: path.name for split, path in paths.items()} == {"train": "train.jsonl", "unseen": "unseen.jsonl"}
    records = [json.loads(line) for line in paths["train"].read_text(encoding="utf-8").splitlines()]
    assert len(records) == 20
    for record, pair in zip(records, generate(20, 5, "train"), strict=True):
        assert (record["source"], record["target"], record["locale"]) == (pair.source, pair.target, pair.locale)
        assert {field: tuple(span) for field, span in record["spans"].items()} == pair.spans


COLUMNS = (Column("source"), Column("target"))


def test_rows_are_dates_and_know_where_their_parts_are():
    settings = Dates(train=50, valid=20, test=10, seed=3)
    source = settings.open(COLUMNS, 99, print)
    assert isinstance(source, Fixed)
    assert source.splits == ("train", "valid", "test")
    for part, count in (("train", 50), ("valid", 20), ("test", 10)):
        rows = list(source.rows(part))
        for row, pair in zip(rows, generate(count, 3, part), strict=True):
            assert row.values == {"source": pair.source, "target": pair.target}
            assert [truth.where for truth in row.truth] == [pair.spans[name] for name in ("year", "month", "day")]
            assert {truth.over for truth in row.truth} == {"source"}
            written = [pair.target[slice(*truth.of)] for truth in row.truth]
            assert "-".join(written) == pair.target
    several = (Column("source"), Column("target", several=True))
    assert next(settings.open(several, 1, print).rows("train")).values["target"] == (generate(1, 3, "train")[0].target,)


def test_dates_that_can_not_be_had():
    with pytest.raises(ValueError, match="valid"):
        Dates(valid=0)
    with pytest.raises(ValueError, match="'image'"):
        Dates().open((Column("image"), Column("target")), 1, print)
