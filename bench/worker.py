"""A contender's process, as the benchmark sees it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
THREADS = 2


def surroundings() -> dict[str, str]:
    """The environment variables of every process that is measured."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(THREADS),
        "MKL_NUM_THREADS": str(THREADS),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": str(ROOT / "src"),
    }


class Worker:
    """One process that answers requests (see peers/protocol.py); what it logs goes to a file in the data folder."""

    def __init__(self, name: str, python: Path, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        script = Path(__file__).parent / "peers" / f"{name}.py"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(python), str(script), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=surroundings(),
            )

    def ask(self, do: str, **request: Any) -> Mapping[str, Any]:
        """The reply to one request. Exits with the end of the worker's log if it ended instead."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the missing reply says so
        reply = self.process.stdout.readline()
        if not reply:
            end = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            sys.exit(f"bench: {self.name} ended at {do!r}:\n{end}")
        return json.loads(reply)

    def close(self) -> None:
        """Let the process end, and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
