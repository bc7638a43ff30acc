"""What people read: the papers' pages follow from the records, figures and commands are real, examples run."""

import doctest
import importlib
import inspect
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from attend.catalogue import RECIPES, imported
from attend.cli import VERBS
from attend.commands.options import flags

ROOT = Path(__file__).parents[1]
PRIMITIVES = ("score", "normalise", "memory", "mechanism", "glimpse")
WRITTEN = ("README.md", "CONTRIBUTING.md", "docs/guide.md", "docs/explorer.md", "bench/README.md")


def load_papers() -> ModuleType:
    spec = spec_from_file_location("papers", ROOT / "docs" / "papers.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses ask for it
    spec.loader.exec_module(module)
    return module


papers = load_papers()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# The papers' pages


def test_committed_pages_are_what_the_command_writes() -> None:
    pages = papers.texts()
    stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert not stale, f"{', '.join(stale)}: run make papers"
    assert {path.name for path in (ROOT / "docs" / "papers").glob("*.md")} == {path.name for path in pages} - {
        "results.md"
    }


def test_committed_learning_curves_show_the_records() -> None:
    pictures = papers.pictures()
    assert len(pictures) > 10
    stale = [
        path.name for path, (plan, curves) in pictures.items() if papers.digest_in(path) != papers.digest(plan, curves)
    ]
    assert not stale, f"{', '.join(stale)}: run make papers"
    assert set((ROOT / "docs" / "papers").glob("*.svg")) == set(pictures)


def test_a_system_without_records_says_how_to_get_them() -> None:
    plans, parts = papers.read_plans()
    text = papers.page("entailment", plans["entailment"], [], parts)
    assert "attend evaluate runs/entailment-word-by-word --record results/" in text
    assert "Not recorded yet: `entailment-word-by-word`" in text


def test_a_changed_figure_changes_the_page() -> None:
    plans, parts = papers.read_plans()
    records = papers.read_records()
    changed = [replace(one, content={**one.content, "metrics": {**one.metrics, "error": 0.123}}) for one in records]
    before, after = (papers.page("wsram", plans["wsram"], found, parts) for found in (records, changed))
    assert before != after
    assert "12.30%" in after


def test_a_curve_is_drawn_with_its_digest(tmp_path: Path) -> None:
    plan = {"title": "a", "curve": "error", "log": True}
    curves = {"a": [[[1, 0.5], [2, 0.25]]]}
    papers.draw_curves(tmp_path / "a.svg", plan, curves)
    assert papers.digest_in(tmp_path / "a.svg") == papers.digest(plan, curves)
    assert papers.digest_in(tmp_path / "none.svg") == ""


def test_a_record_of_a_flag_that_is_gone_is_refused(tmp_path: Path) -> None:
    content = {"recipe": "ram-mnist", "command": "attend train ram-mnist --out r --system.places grid"}
    assert papers.row_of(content, tmp_path) == "ram-mnist --system.places grid"
    same = {"recipe": "ram-mnist", "command": "attend train ram-mnist --out r --system.glimpses 6 --training.seed 3"}
    assert papers.row_of(same, tmp_path) == "ram-mnist"
    with pytest.raises(ValueError, match=r"--system\.gone"):
        papers.row_of({**content, "command": "attend train ram-mnist --out r --system.gone 1"}, tmp_path)
    with pytest.raises(ValueError, match="ram-mnist-grid"):
        papers.row_of({**content, "recipe": "ram-mnist-grid"}, tmp_path)


def test_published_figures_say_where_they_stand() -> None:
    plans, _ = papers.read_plans()
    rows = [row for plan in plans.values() for table in plan["tables"] for row in table.get("published", ())]
    assert len(rows) > 20
    for row in rows:
        assert {"what", "on", "place"} <= set(row)
        assert set(row) - {"what", "on", "place", "time"} <= set(papers.METRICS)


# The README's figures

UNITS = {
    "BLEU": "bleu",
    "error": "error",
    "nats": "nats",
    "exact match": "exact_match",
    "accuracy": "accuracy",
    "bits at 4x": "bits_at_4x",
}
FIGURE = re.compile(r"(\d[\d.]*%?) (BLEU|error|nats|exact match|accuracy|bits at 4x)(?: \((?:(\d+) seeds|[^)]*)\))?")


def table_rows() -> list[list[str]]:
    lines = [line for line in read("README.md").splitlines() if line.startswith("| [")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_figure_of_the_readme_is_recorded_or_published() -> None:
    """Ours is the mean over the records of the recipe in the row's command, and the paper's is in papers.toml."""
    plans, _ = papers.read_plans()
    known = papers.rows_of(papers.read_records())
    rows = table_rows()
    assert {re.findall(r"papers/(\w+)\.md", row[0])[0] for row in rows} == set(plans)
    checked = 0
    for system, published, ours, _, command in rows:
        recipe = command.strip("`").split()[2]
        for value, unit, seeds in FIGURE.findall(ours):
            records = known[recipe]
            assert papers.mean(records, UNITS[unit]) == value, (recipe, unit)
            assert len(records) == int(seeds or 1), recipe
            checked += 1
        name = re.findall(r"papers/(\w+)\.md", system)[0]
        there = [row for table in plans[name]["tables"] for row in table.get("published", ())]
        for value, unit, _ in FIGURE.findall(published):
            form = papers.METRICS[UNITS[unit]][1]
            assert value in [format(row[UNITS[unit]], form) for row in there if UNITS[unit] in row], (name, value)
            checked += 1
        for text in (published, ours):  # nothing that is no such figure
            assert not re.search(r"\d", re.sub(r"WMT'14", "", FIGURE.sub("", text))), text
    assert checked >= 12


def test_figures_in_the_readmes_text_are_recorded() -> None:
    known = papers.rows_of(papers.read_records())
    means = {papers.mean(records, "bleu") for records in known.values() if "bleu" in records[0].metrics}
    text = " ".join(line for line in read("README.md").splitlines() if not line.startswith("|"))
    found = re.findall(r"(?<!Python )\b\d+\.\d\d\b", text)
    assert found
    assert set(found) <= means


def test_records_name_no_place_of_one_machine() -> None:
    for record in papers.read_records():
        named = [record.content["command"], *record.content["runs"]]
        assert not [word for text in named for word in text.split() if word.startswith(("/", "~"))], record.name


def test_records_of_a_row_differ_in_the_seed_alone() -> None:
    for row, records in papers.rows_of(papers.read_records()).items():
        first = records[0].content
        for record in records:
            content = record.content
            assert [content[name] for name in ("split", "count")] == [first[name] for name in ("split", "count")], row
            # Batches by length are as many as the seed makes them.
            assert content["curve"][-1][0] == pytest.approx(first["curve"][-1][0], rel=0.01), row
        assert len({record.seeds for record in records}) == len(records), row


def test_figures_of_the_benchmark_are_those_of_its_record() -> None:
    records = [json.loads(read(f"results/{name}.json")) for name in ("bench", "bench-glimpses")]
    text = read("bench/README.md").partition("## Run it")[0]
    assert f"commit {records[0]['commit'][:7]}" in text
    values = [value for record in records for value in record["metrics"].values() if isinstance(value, float)]
    known = {format(value / scale, f".{digits}f") for value in values for scale in (1, 1000) for digits in (1, 2)}
    found = re.findall(r"(?<![\d.])\d+\.\d+(?![\d.]*\d)", text)
    assert len(found) > 15
    assert set(found) <= known


def test_the_readme_is_two_screens() -> None:
    assert len(read("README.md").splitlines()) <= 110


# Links and commands


PAGES = [ROOT / name for name in (*WRITTEN, "CHANGELOG.md", "docs/architecture.md", "docs/results.md")]
PAGES += sorted((ROOT / "docs" / "papers").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if not link.startswith("https://"):
            assert (path.parent / link).exists(), link


def commands(text: str) -> Iterator[list[str]]:
    """The words of each attend command in code blocks, without comments, pipes and redirections."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    for line in lines:
        if re.match(r" {4}(echo .*\| )?attend \w", line) or re.match(r" {4}.* -m attend \w", line):
            words = shlex.split(line[line.index("attend ") :], comments=True)
            end = next((place for place, word in enumerate(words) if word in ("<", ">", "|", "&&")), len(words))
            yield words[:end]


def settings_of(recipe: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "examples")
    return (imported(recipe) if ":" in recipe else RECIPES[recipe]).settings


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_have_verbs_recipes_and_flags_that_exist(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _, verb, *rest in commands(path.read_text(encoding="utf-8")):
        assert verb in VERBS
        known = flags(importlib.import_module(f"attend.commands.{verb}").Options)
        if rest and rest[0] == "RECIPE":
            continue
        if verb == "train" and not rest[0].startswith("-"):
            known += flags(settings_of(rest[0], monkeypatch))
        for word in rest:
            if word.startswith("--") and word != "--help":
                assert word.split("=")[0] in known, (verb, word)


def test_the_commands_of_the_guide_are_found() -> None:
    found = list(commands(read("docs/guide.md")))
    assert len(found) > 20
    assert {words[1] for words in found} >= {"train", "predict", "show", "evaluate", "compare"}


@pytest.mark.parametrize("name", ["README.md", "docs/guide.md"])
def test_flags_in_the_text_exist(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {flag for recipe in RECIPES.values() for flag in flags(recipe.settings)}
    known |= {flag for verb in VERBS for flag in flags(importlib.import_module(f"attend.commands.{verb}").Options)}
    known |= {"--num_processes", "--help"}
    assert {flag for flag in re.findall(r"(?<![\w-])--[a-z][\w.-]*", read(name)) if flag not in known} == set()


def test_python_and_toml_in_the_docs_are_well_formed() -> None:
    blocks = [block for name in WRITTEN for block in re.findall(r"```(\w+)\n(.*?)```", read(name), re.DOTALL)]
    assert {language for language, _ in blocks} == {"python", "toml"}
    for language, code in blocks:
        if language == "python":
            compile(code, "the docs", "exec")
        else:
            tomllib.loads(code)


# The primitives' examples


def examples() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The public functions, classes and modules that explain themselves, with their modules' names."""
    for name in PRIMITIVES:
        module = importlib.import_module(f"attend.attention.{name}")
        for key, value in vars(module).items():
            mine = inspect.isclass(value) or inspect.isroutine(value)
            if mine and not key.startswith("_") and value.__module__ == module.__name__:
                yield f"{name}.{key}", value, vars(module)


# Records and protocols, which are named in the examples of what gives or takes them.
WITHOUT = {
    "score.Score",
    "normalise.Choice",
    "normalise.Normalise",
    "glimpse.Place",
    "glimpse.Views",
    "glimpse.Pyramid",
    "glimpse.Aim",
    "glimpse.FilterBanks",
}


@pytest.mark.parametrize(
    ("name", "value", "names"), list(examples()), ids=lambda part: part if isinstance(part, str) else ""
)
def test_the_primitives_have_examples_that_run(name: str, value: Any, names: dict[str, Any]) -> None:
    found = doctest.DocTestParser().get_doctest(inspect.getdoc(value) or "", dict(names), name, None, None)
    assert bool(found.examples) != (name in WITHOUT)
    result = doctest.DocTestRunner().run(found)
    assert result.failed == 0
