"""How many requests `attend serve` answers, and how soon, with and without batching.

python bench/serve_load.py RUN [--seconds 5] [--clients 1 4 16 64] [--text TEXT ...] [--out results/serve-load.json]

Everything is on the loopback. Each client asks for one prediction after another over one connection; a request that is
told to come back (503) does so, and is counted. The server is a process of its own, and so are the clients.
"""

import argparse
import http.client
import json
import re
import resource
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from run import commit, cpu_seconds, machine

TEXTS = ("Samstag, 3. Mai 2008", "2008年5月3日", "samedi 3 mai 2008", "3/5/08", "May 3, 2008", "3. mája 2008")
SETTINGS = {"one at a time": 1, "batches of up to 16": 16}


@contextmanager
def serving(run: Path, batch: int) -> Iterator[int]:
    """A server of its own over a run; gives its port."""
    attend = Path(sys.executable).with_name("attend")
    command = [str(attend), "serve", str(run), "--port", "0", "--batch", str(batch), "--queue", "128"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            line = process.stderr.readline()
            found = re.search(r"http://localhost:(\d+)/", line)
            if not found:
                sys.exit(f"the server did not start: {line}")
            yield int(found[1])
        finally:
            process.terminate()


def client(port: int, texts: list[str], first: int, until: float, found: list[float], odd: Counter[str]) -> None:
    """Ask until it is time to end; note how long each answer took, in seconds, and what was no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    number = first
    while time.perf_counter() < until:
        body = json.dumps({"inputs": [texts[number % len(texts)]]}).encode()
        number += 1
        started = time.perf_counter()
        try:
            connection.request("POST", "/v1/predict", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
        except (ConnectionError, http.client.HTTPException):
            # A connection that was idle for too long is closed: a client opens another one.
            odd["reconnected"] += 1
            connection.close()
            continue
        if answer.status == 200:
            found.append(time.perf_counter() - started)
            continue
        odd["refused" if answer.status == 503 else "failed"] += 1
        time.sleep(float(answer.headers.get("Retry-After", 0)))
    connection.close()


def load(port: int, texts: list[str], clients: int, seconds: float) -> dict[str, Any]:
    """Throughput and latency with so many clients at once."""
    found: list[float] = []
    odd: Counter[str] = Counter()
    started = time.perf_counter()
    until = started + seconds
    threads = [
        threading.Thread(target=client, args=(port, texts, number, until, found, odd)) for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    found.sort()

    if not found:
        sys.exit(f"no request of {clients} clients was answered in {seconds:g} s: {dict(odd)}")

    def percentile(share: int) -> float:
        return round(1000 * found[int(share / 100 * (len(found) - 1))], 1)

    return {
        "clients": clients,
        "requests_per_second": round(len(found) / took, 1),
        **{f"p{share}_ms": percentile(share) for share in (50, 95, 99)},
        **{kind: odd[kind] for kind in ("refused", "failed", "reconnected")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--text", nargs="+", default=list(TEXTS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if max(options.clients) > 64 or options.seconds > 60:
        parser.error("this is a bounded test: at most 64 clients, for at most 60 seconds")
    metrics: dict[str, float] = {}
    for (name, batch), word in zip(SETTINGS.items(), ("single", "batched"), strict=True):
        with serving(options.run, batch) as port:
            load(port, options.text, 1, 0.5)  # the first requests warm it up
            for clients in options.clients:
                found = load(port, options.text, clients, options.seconds)
                metrics |= {f"{word}_{clients}_{key}": value for key, value in found.items() if key != "clients"}
                print(" | ".join(f"{key} {value}" for key, value in ({"batching": name} | found).items()), flush=True)
    if options.out:
        config = json.loads((options.run / "config.json").read_text())
        record = {
            "recipe": f"{config['recipe']} serve",
            "command": shlex.join([Path(sys.executable).name, *sys.argv]),
            "commit": commit(),
            "seed": 1,
            "machine": machine(threads=1),
            "data": "the same few inputs, one after the other",
            "split": "none",
            "metrics": metrics,
            "train_seconds": 0.0,
            "cpu_seconds": cpu_seconds(),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1),
        }
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
