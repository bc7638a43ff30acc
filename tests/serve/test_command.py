"""`attend serve` as people start and end it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attend.cli import main
from attend.commands import serve

ATTEND = shutil.which("attend", path=Path(sys.executable).parent)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt next to nothing."""
    folder: Path = tmp_path_factory.mktemp("runs")
    (folder / "pairs.tsv").write_text("".join(f"{'ab' * n}\t{'x' * n}\n" for n in range(1, 30)))
    small = ["--system.embedding", "8", "--system.hidden", "8", "--system.alignment", "8", "--training.epochs", "1"]
    data = [
        "--data.train",
        str(folder / "pairs.tsv"),
        "--data.valid",
        str(folder / "pairs.tsv"),
        "--inputs.source.unit",
        "character",
        "--output.unit",
        "character",
    ]
    # In a process of its own: training sets how this one would treat very small numbers.
    assert ATTEND
    command = [ATTEND, "train", "rnnsearch-modern", "--out", str(folder / "tiny"), *data, *small]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "tiny"


@contextmanager
def serving(attend: list[str], run: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [*attend, "serve", str(run), "--port", "0", "--text", "abab"]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=settings) as process:
        assert process.stderr
        try:
            line = process.stderr.readline()
            found = re.search(r"http://localhost:(\d+)/", line)
            assert found, line
            yield process, f"http://127.0.0.1:{found[1]}"
        finally:
            process.kill()


@pytest.fixture
def started(run: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and where it serves."""
    assert ATTEND
    with serving([ATTEND], run) as found:
        yield found


def test_an_installed_wheel_serves_the_page(run: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    root, site = Path(__file__).parents[2], str(tmp_path / "site")
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(root)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("attend-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", site, str(wheel)], check=True, capture_output=True)
    where = [sys.executable, "-c", "import attend; print(attend.__file__)"]
    found = subprocess.run(where, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": site})
    assert found.stdout.startswith(site)
    with serving([sys.executable, "-m", "attend"], run, PYTHONPATH=site) as (_, address):
        for path, content in (("/", b"attend-explorer"), ("/explorer.js", b"customElements")):
            with urllib.request.urlopen(f"{address}{path}", timeout=60) as answer:
                assert content in answer.read()


def test_it_serves_a_run_and_ends_cleanly(started: tuple[subprocess.Popen[str], str]) -> None:
    process, address = started
    with urllib.request.urlopen(f"{address}/v1/models", timeout=60) as answer:
        (model,) = json.load(answer)["models"]
    assert (model["name"], model["about"], model["examples"]) == ("tiny", {"recipe": "rnnsearch-modern"}, ["abab"])
    with urllib.request.urlopen(f"{address}/", timeout=60) as answer:
        assert b"attend-explorer" in answer.read()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.strip() == "stopped"


def test_a_port_that_is_taken_is_said_in_a_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(run), "--port", str(port)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"attend: can't listen at 127.0.0.1, port {port} (Address already in use)")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--port", "99999"], "can't listen at 127.0.0.1, port 99999"),
        (["--host", "203.0.113.7", "--port", "0"], "can't listen at 203.0.113.7"),
        (["--batch", "0"], "--batch and --queue must be at least 1"),
        (["--port", "0", "--token", "two words"], "--token must be of ASCII"),
        (["--colour"], "there is no flag '--colour'"),
        (["--longest-input", "0"], "--longest-input is 0"),
    ],
)
def test_mistakes_are_said_in_a_line(
    run: Path, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(run), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


def test_there_must_be_something_to_serve(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve"]) == 2
    assert "give at least one run folder" in capsys.readouterr().err


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert main(["serve", "runs/any"]) == 2
    assert "pip install 'attend[serve]'" in capsys.readouterr().err


def test_a_token_is_needed_where_others_can_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTEND_TOKEN", raising=False)
    run = (Path("runs/any"),)
    assert serve.token_for(serve.Options(run)) is None
    made = serve.token_for(serve.Options(run, host="0.0.0.0"))
    assert made
    assert made != serve.token_for(serve.Options(run, host="0.0.0.0"))
    assert serve.token_for(serve.Options(run, token="mine")) == "mine"
    monkeypatch.setenv("ATTEND_TOKEN", "")
    assert serve.token_for(serve.Options(run)) is None
    monkeypatch.setenv("ATTEND_TOKEN", "from outside")
    with pytest.raises(ValueError, match="without spaces"):
        serve.token_for(serve.Options(run))


def test_runs_of_one_name_are_told_apart(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(run, other)
    names = [model.name for model in serve.models(serve.Options((run, other)))]
    assert names == [f"{run.parent.name}/tiny", "elsewhere/tiny"]


def test_a_run_that_can_not_be_served_is_left_out(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = (tmp_path / "nowhere", run)
    (model,) = serve.models(serve.Options(runs, longest_input=7))
    assert (model.name, model.longest) == ("tiny", {"source": 7})
    (line,) = capsys.readouterr().err.splitlines()
    assert str(runs[0]) in line
    with pytest.raises(ValueError, match="nowhere"):
        serve.models(serve.Options(runs[:1]))


def test_every_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert serve.hosts_of("127.0.0.1") == ["localhost"]
    assert serve.hosts_of("192.0.2.7") == ["192.0.2.7"]
    known = [(socket.AF_INET, 0, 0, "", (host, 0)) for host in ("192.0.2.7", "127.0.1.1", "192.0.2.8")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: known)
    assert serve.hosts_of("0.0.0.0")[:3] == ["localhost", "192.0.2.7", "192.0.2.8"]
    assert serve.bracketed("2001:db8::1") == "[2001:db8::1]"


def test_answers_are_sent_without_delay() -> None:
    with serve.listening("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            # What asyncio asks a socket for before it sets TCP_NODELAY.
            assert accepted.proto == socket.IPPROTO_TCP
