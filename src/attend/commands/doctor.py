"""`attend doctor`"""

import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

import attend
from attend.commands.options import parse
from attend.commands.output import print_json

PACKAGES = ("torch", "numpy", "accelerate", "tokenizers", "safetensors", "sacrebleu", "matplotlib", "tyro", "rich")
# Extra of the package -> the module it brings.
EXTRAS = {"tensorboard": "tensorboard", "serve": "fastapi"}
SCRIPTS = {
    "Chinese, Japanese, Korean": "漢字かなカナ한글",
    "Arabic": "العربية",
    "Hebrew": "עברית",
    "Devanagari": "हिन्दी",
}
# Rates of two libraries differ by less than this from one measurement to the next.
AS_FAST = 0.95


@dataclass(frozen=True)
class Options:
    """What is installed here, and what may get in the way. Exits with 1 if something can't work.

    examples:
      attend doctor
      attend doctor --json
    """

    json: bool = False
    """Print one JSON object: a list of findings with state, subject and what was found."""


@dataclass(frozen=True)
class Finding:
    """`found` about a subject: ok, something to know ("warning"), or something that can't work ("error")."""

    state: Literal["ok", "warning", "error"]
    subject: str
    found: str


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend doctor", arguments)
    findings = [*packages(), *device(), *extras(), *fonts(), *places()]
    failed = any(finding.state == "error" for finding in findings)
    if options.json:
        print_json({"works": not failed, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print(f"{finding.state:8}{finding.subject}: {finding.found}")
    return 1 if failed else 0


def packages() -> Iterator[Finding]:
    yield Finding("ok", "attend", f"{attend.__version__}, Python {platform.python_version()}, {platform.platform()}")
    for name in PACKAGES:
        try:
            yield Finding("ok", name, version(name))
        except PackageNotFoundError:
            yield Finding("error", name, f"not installed: pip install {name}")


def device() -> Iterator[Finding]:
    import torch

    from attend.fast import by_onednn
    from attend.precision import WORTH_IT, bf16_speed, onednn_speed

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    if threads > cores:
        advice = f"torch would use {threads} threads on {cores} core(s), which is slow: set OMP_NUM_THREADS={cores}"
        yield Finding("warning", "threads", advice)
    else:
        advice = "OMP_NUM_THREADS sets them; training uses training.threads"
        yield Finding("ok", "threads", f"{threads} of torch on {cores} core(s): {advice}")
    if torch.cuda.is_available():
        yield Finding("ok", "GPU", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    elif torch.version.cuda:
        yield Finding(
            "warning", "GPU", f"torch was built for CUDA {torch.version.cuda}, but finds no GPU: see nvidia-smi"
        )
    else:
        yield Finding("ok", "GPU", "none, and torch is built for the CPU")
    yield products(by_onednn(), onednn_speed())
    speed = bf16_speed()
    use = "training.precision bf16 may pay" if speed >= WORTH_IT else "leave training.precision at float32"
    yield Finding("ok", "bf16", f"products are {speed:.1f} times as fast as in float32 on this CPU: {use}")


def products(by_onednn: bool, speed: float | None) -> Finding:
    """Where large products in float32 come from, and whether that is the faster library here; `speed` is oneDNN's rate
    as a multiple of MKL's."""
    library = "oneDNN" if by_onednn else "torch's own choice"
    found = f"large matrix products in float32 come from {library}"
    if speed is None:
        return Finding("ok", "products", f"{found}; there is no other to compare it with")
    found = f"{found}; oneDNN takes them {speed:.2f} times as fast as MKL here, on one thread"
    return Finding("warning" if by_onednn and speed < AS_FAST else "ok", "products", found)


def extras() -> Iterator[Finding]:
    for extra, module in EXTRAS.items():
        if find_spec(module):
            yield Finding("ok", f"extra {extra}", "installed")
        else:
            yield Finding("ok", f"extra {extra}", f"not installed; to have it: pip install 'attend[{extra}]'")


def fonts() -> Iterator[Finding]:
    from attend.show.figure import FONT_PACKAGES, missing_glyphs

    for name, sample in SCRIPTS.items():
        missing = missing_glyphs(sample)
        if missing:
            packages = sorted({FONT_PACKAGES.get(script, "fonts-noto-core") for script in missing})
            advice = (
                f"none for PNG pictures: install {', '.join(packages)} on Debian (elsewhere: Noto fonts), or write SVG"
            )
            yield Finding("warning", f"font for {name}", advice)
        else:
            yield Finding("ok", f"font for {name}", "installed")


def places() -> Iterator[Finding]:
    try:
        with tempfile.TemporaryFile(dir="."):
            yield Finding("ok", "this folder", "can be written to")
    except OSError as error:
        yield Finding("warning", "this folder", f"can't be written to ({error.strerror}): give --out elsewhere")
    folder = os.environ.get("ATTEND_DATA")
    if not folder:
        yield Finding("ok", "ATTEND_DATA", "not set: relative paths of data are looked for in this folder alone")
    elif os.path.isdir(folder):
        yield Finding("ok", "ATTEND_DATA", folder)
    else:
        yield Finding("warning", "ATTEND_DATA", f"{folder} is not a folder: set it to the one that holds the data")
    encoding = sys.getfilesystemencoding()
    if encoding.lower() != "utf-8":
        yield Finding("warning", "file names", f"are read as {encoding}: set LC_ALL=C.UTF-8")
