"""Which part of the package may know which: held over the imports in the source, lazy ones included."""

import ast
import builtins
import dis
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import CodeType

import pytest

import attend

PACKAGE = Path(attend.__path__[0])

NOTHING: set[str] = set()
# What each part may import of the others, besides itself, from below upwards.
ONLY = {
    "atomic": NOTHING,
    "memory": NOTHING,
    "fast": NOTHING,
    "metrics": NOTHING,
    "progress": NOTHING,
    "stored": NOTHING,
    "settings": {"stored"},
    "precision": {"fast"},
    "recurrence": {"fast", "precision"},
    # The primitives, what is made of them, and the papers.
    "attention": {"fast"},
    "layers": {"attention", "fast", "recurrence"},
    "learning": {"attention", "fast", "precision"},
    "systems": {"attention", "contract", "fast", "layers", "learning", "precision", "recurrence", "settings"},
    # What systems, tasks and training promise one another.
    "contract": {"attention.glimpse", "attention.memory", "data.codec"},
    "decoding": {"attention", "contract"},
    "evidence": {"contract", "decoding"},
    "log": {"atomic", "data.files", "progress", "stored"},
    "weights": {"atomic", "data.checksum", "settings", "stored"},
    "training": {"atomic", "contract", "fast", "log", "memory", "precision", "progress", "settings", "weights"},
    # Data, and what is shown and measured of looks: without torch.
    "data": {"atomic", "settings"},
    "show": {"atomic", "attention.trace", "data.vectors"},
    "inspect": {"attention.trace", "data", "metrics", "show.formats", "show.reading", "show.words"},
    # Fields, outputs and the one task know no system.
    "fields": {"atomic", "attention.trace", "contract", "data", "settings", "stored"},
    "outputs": {
        "attention.glimpse",
        "attention.trace",
        "contract",
        "data",
        "decoding",
        "fields",
        "metrics",
        "settings",
    },
    "recipe": {"data.check", "data.examples", "memory", "training"},
    "task": {
        "contract",
        "data",
        "fields",
        "inspect.diagnosis",
        "memory",
        "outputs",
        "progress",
        "recipe",
        "settings",
        "training",
    },
    "tasks": {
        "attention",
        "contract",
        "data",
        "fields",
        "inspect",
        "learning",
        "metrics",
        "progress",
        "recipe",
        "settings",
        "show.page",
    },
    "model": {
        "attention.glimpse",
        "attention.trace",
        "contract",
        "data.examples",
        "decoding",
        "inspect",
        "outputs.output",
        "progress",
        "settings",
        "show",
        "task",
    },
    "explore": {
        "attention.trace",
        "contract",
        "data.image",
        "decoding",
        "evidence",
        "fields.text",
        "model",
        "outputs",
        "task",
    },
    "serve": {"attention.trace", "explore", "model", "outputs", "show", "task"},
    # Runs of recipes.
    "recipes": {"data", "fields", "outputs", "recipe", "systems", "task", "tasks", "training"},
    "catalogue": {"recipe", "recipes", "settings"},
    "folder": {"atomic", "progress"},
    "initial": {"weights"},
    "run": {
        "atomic",
        "memory",
        "catalogue",
        "contract",
        "data",
        "fast",
        "folder",
        "initial",
        "model",
        "progress",
        "recipe",
        "settings",
        "stored",
        "task",
        "tasks",
        "training",
        "weights",
    },
    "record": {
        "atomic",
        "contract",
        "inspect",
        "log",
        "progress",
        "run",
        "settings",
        "show.figure",
        "stored",
        "training",
    },
    "api": {"catalogue", "progress", "recipe", "record", "run", "settings"},
}
# What stands at the top may know all of them.
TOP = {"__main__", "cli", "commands", "demo"}
# Who may import these parts.
ONLY_BY = {
    "systems": {"recipes"},
    "recipes": {"catalogue"},
    "catalogue": {"api", "commands", "demo", "run"},
    "api": NOTHING,  # it is the root's
    "commands": {"cli"},
    "cli": {"__main__"},
}
# What shows or reads data, and the help of the command line, start without torch.
WITHOUT_TORCH = (
    "atomic",
    "attention.trace",
    "cli",
    "commands",
    "data",
    "folder",
    "inspect",
    "log",
    "metrics",
    "progress",
    "settings",
    "show",
    "stored",
)


def belongs(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def source_of(package: Path) -> dict[str, Path]:
    """Every module below the package's root, by its name within the package: "cli", "show.page"."""
    names = {path: path.relative_to(package).with_suffix("").parts for path in sorted(package.rglob("*.py"))}
    return {
        ".".join(name[:-1] if name[-1] == "__init__" else name): path
        for path, name in names.items()
        if name != ("__init__",)
    }


def imports(package: Path) -> dict[str, set[str]]:
    """module -> the modules of the package that it imports anywhere in its text."""
    modules = source_of(package)
    return {module: set(imports_of(module, path, modules)) for module, path in modules.items()}


def imports_of(module: str, path: Path, modules: dict[str, Path]) -> list[str]:
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), path)):
        if isinstance(node, ast.Import):
            found += [alias.name.removeprefix("attend.") for alias in node.names if belongs(alias.name, "attend")]
        elif isinstance(node, ast.ImportFrom):
            base = (node.module or "").split(".") if node.module else []
            if node.level:
                here = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                base = ["attend", *here[: len(here) - node.level + 1], *base]
            if base[:1] == ["attend"]:
                names = [".".join([*base[1:], alias.name]) for alias in node.names]
                found += [name if name in modules else ".".join(base[1:]) for name in names]
    # The root itself holds nothing but the version, and passes on `api`.
    return [name for name in found if name in modules]


def part_of(module: str) -> str:
    return module.split(".")[0]


def violations(package: Path) -> list[str]:
    """Every import that goes against the arrows, in words."""
    graph = imports(package)
    found: list[str] = []
    parts: dict[str, set[str]] = {}
    for module, imported in sorted(graph.items()):
        for other in sorted(imported):
            here, there = part_of(module), part_of(other)
            if here == "systems" and there == "systems":
                found.append(f"{module} imports {other}: systems never import one another")
            if here == there:
                continue
            if here in ONLY and not any(belongs(other, allowed) for allowed in ONLY[here]):
                found.append(f"{module} imports {other}: {here} may only know {sorted(ONLY[here])}")
            if there in ONLY_BY and here not in ONLY_BY[there]:
                found.append(f"{module} imports {other}: {there} is only for {sorted(ONLY_BY[there])}")
            parts.setdefault(here, set()).add(there)
    try:
        TopologicalSorter(parts).prepare()
    except CycleError as error:
        found.append(f"the parts import one another in a circle: {' <- '.join(error.args[1])}")
    return found


def first_with_torch(modules: list[str]) -> str | None:
    """The first of these modules, imported in a fresh interpreter one after the other, that brings in torch."""
    program = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules:\n"
        "        print(name)\n"
        "        break\n"
    )
    done = subprocess.run([sys.executable, "-c", program, *modules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip() or None


def test_imports_follow_the_arrows() -> None:
    assert violations(PACKAGE) == []


def test_every_part_says_what_it_may_know() -> None:
    parts = {part_of(module) for module in source_of(PACKAGE)}
    assert parts == {*ONLY, *TOP}
    # And nothing that isn't there.
    known = set(source_of(PACKAGE))
    assert {name for allowed in ONLY.values() for name in allowed} <= known
    assert {name for allowed in ONLY_BY.values() for name in allowed} <= known


def test_the_walk_sees_the_package() -> None:
    graph = imports(PACKAGE)
    assert graph["attention.mechanism"] == {"attention.memory", "attention.normalise", "attention.score"}
    assert "attention.memory" in graph["contract"]
    # What is imported to check types alone, or only in a function, counts.
    assert "outputs.output" in graph["commands.predict"]
    assert "show.page" in graph["model"]


def test_showing_reading_and_help_start_without_torch() -> None:
    modules = [name for name in source_of(PACKAGE) if any(belongs(name, part) for part in WITHOUT_TORCH)]
    assert "attention.trace" in modules
    assert first_with_torch(["attend", *(f"attend.{name}" for name in modules)]) is None


def global_names(code: CodeType) -> Iterator[str]:
    """The names that a piece of code, or any in it, looks up outside of its functions when it runs."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from global_names(constant)


@pytest.mark.parametrize("module", sorted(source_of(PACKAGE)))
def test_every_name_is_defined(module: str) -> None:
    """Linters can't be asked: they take the axes in jaxtyping's annotations for names."""
    if module == "__main__":
        return
    tree = compile(source_of(PACKAGE)[module].read_text(encoding="utf-8"), module, "exec")
    functions = [constant for constant in tree.co_consts if isinstance(constant, CodeType)]
    in_classes = {name for code in functions for name in code.co_names if not code.co_flags & inspect.CO_OPTIMIZED}
    known = {"__annotations__", *vars(importlib.import_module(f"attend.{module}")), *vars(builtins), *in_classes}
    assert {name for code in functions for name in global_names(code)} - known == set()


def test_torch_is_found_where_it_is() -> None:
    assert first_with_torch(["attend.attention.trace", "attend.contract", "attend.layers"]) == "attend.contract"


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("attention/score.py", "from attend.layers import project", "attention.score imports layers: attention"),
        ("attention/score.py", "from ..layers import project", "attention.score imports layers: attention"),
        ("attention/__init__.py", "from ..layers import project", "attention imports layers: attention"),
        ("layers.py", "import attend.systems.first", "layers imports systems.first: layers may only know"),
        ("learning.py", "from attend.systems import first", "learning imports systems.first: learning may only"),
        ("data/text.py", "def read():\n    from attend import systems", "data.text imports systems: data may only"),
        ("metrics.py", "from attend.recipes.dates import RECIPES", "metrics imports recipes.dates: metrics may only"),
        ("show/page.py", "from attend.attention.score import Dot", "show.page imports attention.score: show may only"),
        ("show/page.py", "from attend.contract import Loss", "show.page imports contract: show may only"),
        ("data/text.py", "from attend.contract import PAD", "data.text imports contract: data may only"),
        ("contract.py", "from attend.attention import score", "contract imports attention.score: contract may only"),
        ("fields/text.py", "from attend.systems.first import System", "fields.text imports systems.first: fields may"),
        ("fields/text.py", "from attend import task", "fields.text imports task: fields may only"),
        (
            "systems/first.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from attend.fields.text import Text",
            "systems.first imports fields.text: systems may only",
        ),
        ("task.py", "from attend.catalogue import find", "task imports catalogue: task may only"),
        ("systems/first.py", "from attend.systems.second import System", "systems never import one another"),
        ("systems/first.py", "from . import second", "systems never import one another"),
        ("systems/first.py", "from attend.recipes import dates", "systems.first imports recipes.dates"),
        ("training.py", "from attend.systems import first", "training imports systems.first: training may only"),
        ("commands/train.py", "from attend.systems import first", "commands.train imports systems.first: systems is"),
        ("training.py", "from attend.cli import main", "training imports cli: training may only"),
        ("recipes/dates.py", "from attend.catalogue import find", "recipes.dates imports catalogue: recipes may"),
        ("new.py", "from attend.newer import other", "in a circle"),
        ("new/part.py", "from attend.systems.first import System", "new.part imports systems.first: systems is only"),
    ],
)
def test_an_import_against_the_arrows_is_found(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    sound = {
        "attention/score.py": "import torch",
        "attention/trace.py": "import numpy",
        "attention/memory.py": "import torch",
        "contract.py": "from attend.attention.memory import Memory",
        "layers.py": "from attend.attention import score",
        "learning.py": "import attend.attention.score",
        "metrics.py": "import attend",
        "data/text.py": "import numpy",
        "fields/text.py": "from attend.contract import Cells\nfrom attend.data.text import PAD",
        "task.py": "from attend.fields.text import Text",
        "new.py": "import torch",
        "newer.py": "from attend.new import one",
        "commands/train.py": "def main():\n    from attend.catalogue import find",
        "show/page.py": "from attend.attention.trace import Trace",
        "systems/first.py": "from ..layers import project\nfrom attend.contract import Loss",
        "systems/second.py": "from attend.learning import cross_entropy",
        "training.py": "from attend.contract import Task",
        "recipes/dates.py": "from attend.systems import first\nfrom attend.task import Supervised",
        "catalogue.py": "from attend.recipes import dates",
        "cli.py": "def main():\n    from attend.commands.train import main",
    }
    for name, text in sound.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        if path.parent != tmp_path:
            (path.parent / "__init__.py").touch()
    assert violations(tmp_path) == []
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{sound.get(file, '')}\n{line}\n")
    assert any(complaint in found for found in violations(tmp_path)), violations(tmp_path)
