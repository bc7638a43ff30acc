"""The command line: which file each verb is in, and how every verb ends.

A verb is a module of `attend.commands` with a `main(arguments)` that gives the exit status. Nothing slow is imported
before a verb needs it, so that help comes at once.
"""

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

import attend
from attend.progress import say
from attend.settings import nearest

VERBS = {
    "list": "the recipes, and what each must reach",
    "check": "look for what is wrong with data, before a model learns from it",
    "train": "train a recipe on your data, or go on with a run",
    "predict": "an output for each line, image or row",
    "score": "the log-probability of given targets",
    "evaluate": "measure a run: how good its outputs are, its loss, its attention",
    "show": "where a run looked, in the terminal or as a picture",
    "serve": "a page where people see where runs look, and an interface for programs",
    "compare": "several runs on the same data, with tests of their differences",
    "demo": "train a small model on built-in data, and look at its attention",
    "doctor": "what is installed here, and what may get in the way",
}

HELP = """usage: attend VERB ...

Attention-based models: train them on your own data, and look where they look.

verbs:
{verbs}

examples:
  attend demo
  attend train rnnsearch-modern --out runs/mine --data.train train.en train.de --data.valid valid.en valid.de
  echo "a dog runs" | attend predict runs/mine

"attend VERB --help" says more about a verb, "attend train RECIPE --help" about a recipe's settings.
"attend --version" says which version this is.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb. Gives the exit status: 0 if all went well, 2 for a mistake in the command or in a file it names."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A file's name may hold bytes that are no text.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        status = verb(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return status
    except SystemExit as ended:  # after --help, or a value that is not of its flag's type
        return int(ended.code or 0)
    except BrokenPipeError:
        # Whoever read the output has gone, such as `head`. Python would complain when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OSError as error:
        say(f"attend: {error.filename}: {error.strerror}" if error.filename else f"attend: {error}")
        return 2
    except ValueError as error:
        say(f"attend: {error}")
        return 2


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
    # Before torch is imported. More threads help on a machine with nothing else to do; where another program keeps one
    # of them waiting, ten minutes were measured for what one thread did in one. Training has its own setting.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return import_module(f"attend.commands.{name}").main(rest)
