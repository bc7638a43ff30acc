"""The peers' own environments, under .bench/: each has the torch measured against and what the peer imports."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TORCH = "torch==2.13.0"
# Both peers ask for other versions of torch, or for much that training a model never calls: hence no dependencies.
PACKAGES = {
    "joeynmt": (
        "joeynmt==2.3.0",
        "importlib_metadata==8.7.0",
        "packaging",
        "pyyaml",
        "sentencepiece",
        "subword-nmt",
        "tqdm",
        "zipp==3.23.0",
    ),
    "opennmt": ("OpenNMT-py==3.5.1", "configargparse", "pyonmttok", "pyyaml"),
}


def environment(peer: str) -> Path:
    """The Python of a peer's environment, built at the first call. Exits with a message if it can't be built."""
    folder = ROOT / ".bench" / peer
    python, done = folder / "bin" / "python", folder / "done"
    if done.exists():
        return python
    print(f"installing {PACKAGES[peer][0]} under {folder} ...", flush=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*install, TORCH, "numpy"],
        [*install, "--no-deps", *PACKAGES[peer]],
    ]
    for step in steps:
        if subprocess.run(step).returncode:
            sys.exit(
                f"bench: could not build {peer}'s environment: `{' '.join(step)}` failed (it needs the package index)"
            )
    done.touch()
    return python
