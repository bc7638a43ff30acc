"""`attend serve`"""

import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from attend.commands.options import Groups, LongestInput, RecipeName, flat, named, parse
from attend.commands.runs import model_of
from attend.progress import say

if TYPE_CHECKING:
    import uvicorn

    from attend.serve.served import Served

BACKLOG = 2048
# Seconds after which uvicorn closes the connections of clients that do not take what is sent to them.
GRACE_SECONDS = 2
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Options:
    """Serve runs on this machine: a page where people see where they look, and an interface for programs (/docs).

    Only this machine is answered, unless --host says otherwise; then every request needs a token.

    examples:
      attend serve runs/mine --open
      attend serve runs/mine runs/other --text "a dog runs on the beach ."
      attend serve runs/mine --host 0.0.0.0 --port 8080 --token "$TOKEN"
      curl localhost:8000/v1/predict -H 'Content-Type: application/json' -d '{"inputs": ["a dog runs"]}'
    """

    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN [RUN ...]", help_behavior_hint="")]]
    """The run folders, side by side."""
    host: str = "127.0.0.1"
    """The address to listen at; 0.0.0.0 for all of this machine's."""
    port: int = 8000
    """The port to listen at; 0 for any that is free."""
    open: bool = False
    """Open the page in a browser."""
    text: Annotated[tuple[str, ...], arg(metavar="TEXT [TEXT ...]", help_behavior_hint="")] = ()
    """What the page reads first, of runs that read a text."""
    inputs: Annotated[tuple[str, ...], arg(metavar="NAME=INPUT [...]", help_behavior_hint="")] = ()
    """The same for runs with several inputs, by their names."""
    token: Annotated[str | None, arg(metavar="TOKEN", help_behavior_hint="")] = None
    """What every request must bring; also from ATTEND_TOKEN. Made up where one is needed and none is given."""
    allow_host: Annotated[Groups, arg(metavar="NAME [NAME ...]", help_behavior_hint="")] = ()
    """More names that this server goes by, such as that of a proxy in front of it."""
    batch: int = 16
    """Most inputs that are predicted together."""
    wait_ms: float = 4.0
    """How long the first input waits for others, in milliseconds."""
    queue: int = 64
    """Most requests waiting for one model; further ones are told to come back."""
    longest_input: LongestInput = None
    """Greatest length of an input that varies in it, in tokens of a text. What is longer is refused."""
    recipe: RecipeName = None
    """The runs' recipe, where it is of a module from outside of attend."""


def main(arguments: Sequence[str]) -> int:
    options = parse(Options, "attend serve", arguments)
    if not options.runs:
        raise ValueError("give at least one run folder to serve")
    if options.longest_input is not None and options.longest_input < 1:
        raise ValueError(f"--longest-input is {options.longest_input}: it must be at least 1")
    if options.batch < 1 or options.queue < 1 or options.wait_ms < 0:
        raise ValueError("--batch and --queue must be at least 1, --wait-ms at least 0")
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ValueError(f"{' and '.join(missing)} must be installed to serve: pip install 'attend[serve]'")
    listener = listening(options.host, options.port)
    with listener:
        serve(options, listener)
    return 0


def listening(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises `ValueError` if it is taken, or none of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Told that it is TCP, asyncio turns Nagle's delay off: else an answer's body waits 40 ms for the client's word.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"can't listen at {host}, port {port} ({reason}): choose another --port or --host") from None
    return listener


def serve(options: Options, listener: socket.socket) -> None:
    import uvicorn

    from attend.serve.application import application
    from attend.serve.connections import bounded
    from attend.serve.limits import Limits

    token = token_for(options)
    limits = Limits(batch=options.batch, wait_seconds=options.wait_ms / 1000, queue=options.queue)
    hosts = [*LOOPBACK, options.host, *map(str, flat(options.allow_host))]
    app = application(models(options), limits, hosts, token)
    port = listener.getsockname()[1]
    secret = f"#token={token}" if token else ""
    addresses = [f"http://{bracketed(host)}:{port}/{secret}" for host in hosts_of(options.host)]
    config = uvicorn.Config(
        app,
        http=bounded(limits),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    server.handle_exit = leaving(server, app.leave)  # pyright: ignore[reportAttributeAccessIssue]
    if options.open:
        opening = threading.Timer(0.5, webbrowser.open, addresses[:1])
        opening.daemon = True
        opening.start()
    listener.listen(BACKLOG)
    say(f"serving at {' and '.join(addresses)}  (the interface: /docs; Ctrl-C ends it)")
    # Uvicorn finishes what is running, and then passes the signal that ended it on.
    with suppress(KeyboardInterrupt, SystemExit):
        server.run(sockets=[listener])
    say("stopped")


def leaving(server: "uvicorn.Server", leave: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
    """What a signal does: what uvicorn makes of it, and that what is running is finished in a second, or told so."""
    uvicorns = server.handle_exit

    def handle_exit(sig: int, frame: FrameType | None) -> None:
        leave()
        uvicorns(sig, frame)

    return handle_exit


def hosts_of(host: str) -> list[str]:
    """The names and addresses that a server at this one answers to: of all of this machine's, each."""
    if host in LOOPBACK:
        return ["localhost"]
    if host not in ("0.0.0.0", "::"):
        return [host]
    family = socket.AF_INET6 if host == "::" else socket.AF_INET
    found = ["localhost"]
    with suppress(OSError):  # a machine may not know itself by its name
        found += [str(known[4][0]) for known in socket.getaddrinfo(socket.gethostname(), None, family)]
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as out:
        # Nothing is sent: the system says by which of its addresses it would be.
        out.connect(("2001:db8::1" if host == "::" else "192.0.2.1", 9))
        found.append(out.getsockname()[0])
    return [one for one in dict.fromkeys(found) if not one.startswith("127.") and one != "::1"]


def bracketed(host: str) -> str:
    """A host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def token_for(options: Options) -> str | None:
    """The token: where others can reach the server there must be one."""
    token = options.token or os.environ.get("ATTEND_TOKEN") or None
    if token is None and options.host not in LOOPBACK:
        token = secrets.token_urlsafe(24)
    if token is not None and (not token.isascii() or not token.isprintable() or " " in token):
        raise ValueError("--token must be of ASCII letters, digits and signs, without spaces")
    return token


def models(options: Options) -> "list[Served]":
    """The runs' models, each by the name of its folder: with that of the folder around it where two have the same.

    A run that can't be served is said, and left out. Raises `ValueError` if none is left.
    """
    from attend.serve.adapter import served

    folders = [path.resolve() for path in options.runs]
    names = [folder.name for folder in folders]
    examples = [*options.text, *([named(options.inputs, "--inputs")] if options.inputs else [])]
    found: list[Served] = []
    for path, folder in zip(options.runs, folders, strict=True):
        name = folder.name if names.count(folder.name) == 1 else f"{folder.parent.name}/{folder.name}"
        try:
            model = model_of([path], options.recipe)
            if options.longest_input is not None and hasattr(model, "read_up_to") and model.longest_input:
                model.read_up_to(options.longest_input)
            found.append(served(name, model, examples))
        except (ValueError, OSError) as error:
            if len(folders) == 1:
                raise
            say(f"attend: {error}: {path} is left out")
    if not found:
        raise ValueError("none of these runs can be served")
    return found
