"""The command line: dispatch to verbs, and handling of their errors.

A verb is a module of `attend.commands` with a `main(arguments)` that returns the exit status. Slow imports wait until a
verb needs them, so that help is fast.
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from types import FrameType

import attend
from attend.progress import say
from attend.settings import nearest

VERBS = {
    "list": "list the recipes, and the figures that each must reach",
    "check": "find problems in data before training",
    "train": "train a recipe on your data, or resume a run",
    "predict": "predict an output for each line, image or row",
    "score": "give the log-probability of given targets",
    "evaluate": "measure a run's outputs, loss and attention",
    "show": "show where a run looked, in the terminal or as a picture",
    "serve": "serve runs as a web page that shows where they look, and as an API",
    "compare": "compare runs on the same data, with tests of their differences",
    "demo": "train a small model on built-in data, and show its attention",
    "doctor": "report what is installed here, and likely problems",
}

HELP = """usage: attend VERB ...

Attention-based models: train them on your own data, and see what they attend to.

verbs:
{verbs}

examples:
  attend demo
  attend train rnnsearch-modern --out runs/mine --data.train train.en train.de --data.valid valid.en valid.de
  echo "a dog runs" | attend predict runs/mine

"attend VERB --help" describes a verb, "attend train RECIPE --help" a recipe's settings.
"attend --version" prints the version.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb. Returns the exit status: 0 on success, 2 for an error in the command or in a file that it names."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A file's name may hold bytes that aren't valid text.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        with suppress(ValueError):  # only a main thread is told of signals
            signal.signal(signal.SIGTERM, terminated)
        status = verb(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return status
    except SystemExit as ended:  # after --help, or a value that is not of its flag's type
        return int(ended.code or 0)
    except BrokenPipeError:
        # The reader of standard output, such as `head`, has exited. Python would complain when closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OSError as error:
        # What has no name here was being written: only standard output is, beside files that name themselves.
        say(f"attend: {error.filename or 'standard output'}: {error.strerror or error}")
        return 2
    except ValueError as error:
        say(f"attend: {error}")
        return 2
    finally:
        with suppress(ValueError):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if arguments is None:
            # The process ends: looking for garbage among two million objects of torch's would take as long as a verb.
            gc.freeze()


def terminated(number: int, frame: FrameType | None) -> None:
    """Ends a verb as Ctrl-C does: what it has half written is cleared away."""
    raise SystemExit(128 + number)


def verb(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP.format(verbs="\n".join(f"  {name:10}{about}" for name, about in VERBS.items())), end="")
        return 0
    if arguments[0] == "--version":
        print(f"attend {attend.__version__}")
        return 0
    name, *rest = arguments
    if name not in VERBS:
        raise ValueError(f"there is no verb {name!r}; {nearest(name, list(VERBS))}")
    # Before torch is imported. More threads help on an idle machine; beside another busy program they were measured to
    # be ten times slower than one. Training has its own setting.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return import_module(f"attend.commands.{name}").main(rest)
