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

# What each of these parts may import of the others; it may import itself, and `contract` is everyone's.
ONLY = {
    "attention": {"fast"},
    "fast": set[str](),
    "precision": {"fast"},
    "settings": set[str](),
    "recurrence": {"fast", "precision"},
    "metrics": set[str](),
    "data": {"settings"},
    "learning": {"attention", "fast", "precision"},
    "decoding": {"attention"},
    "layers": {"attention", "fast", "recurrence"},
    "systems": {"attention", "fast", "layers", "learning", "precision", "recurrence", "settings"},
    "atomic": set[str](),
    "show": {"attention.trace", "atomic"},
    "evidence": {"attention", "data", "decoding"},
    # Traces and predictions: what made them is behind `serve.served`, and of models of text `serve.text` knows.
    "serve": {"attention.trace", "show", "decoding", "tasks"},
}
# Who may import these parts.
ONLY_BY = {
    "systems": {"recipes"},
    "commands": {"cli"},
    "cli": {"__main__"},
}
# What shows or reads data, and the help of the command line, start without torch.
WITHOUT_TORCH = ("attend", "cli", "commands", "data", "metrics", "inspect", "show", "attention.trace")


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
    # The root itself holds nothing but the version.
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
            if here == there or there == "contract":
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


def test_the_walk_sees_the_package() -> None:
    graph = imports(PACKAGE)
    assert graph["attention.mechanism"] == {"attention.memory", "attention.normalise", "attention.score"}
    assert "attention.memory" in graph["contract"]


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
        ("systems/first.py", "from attend.systems.second import System", "systems never import one another"),
        ("systems/first.py", "from . import second", "systems never import one another"),
        ("systems/first.py", "from attend.recipes import dates", "systems.first imports recipes.dates"),
        ("training.py", "from attend.systems import first", "training imports systems.first: systems is only for"),
        ("training.py", "from attend.cli import main", "training imports cli: cli is only for"),
        ("recipes/dates.py", "from attend.catalogue import find", "in a circle"),
        ("new/part.py", "from attend.systems.first import System", "new.part imports systems.first: systems is only"),
    ],
)
def test_an_import_against_the_arrows_is_found(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    sound = {
        "attention/score.py": "import torch",
        "attention/trace.py": "import numpy",
        "contract.py": "from attend.attention.score import Score\nfrom attend.data.text import PAD",
        "layers.py": "from attend.attention import score",
        "learning.py": "import attend.attention.score",
        "metrics.py": "import attend",
        "data/text.py": "from attend.contract import Pairs",
        "show/page.py": "from attend.attention.trace import Trace",
        "systems/first.py": "from ..layers import project\nfrom attend.contract import Loss",
        "systems/second.py": "from attend.learning import cross_entropy",
        "training.py": "from attend.contract import Task",
        "recipes/dates.py": "from attend.systems import first\nfrom attend.training import train",
        "catalogue.py": "from attend.recipes import dates",
        "cli.py": "def main():\n    from attend.catalogue import find",
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
    assert [complaint in found for found in violations(tmp_path)][:1] == [True], violations(tmp_path)
