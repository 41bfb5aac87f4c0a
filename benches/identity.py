"""Measures what 10 000 tokens and 1000 endpoints cost, beside one of each: instructions per request, and time to readiness.

identity.py WEIRGATE, with in the environment REQUESTS (400, of a round) and ROUNDS (5). Ends
with status 1 if a limit is exceeded.
"""

import hashlib
import http.client
import json
import os
import re
import signal
import socket
import socketserver
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO, NamedTuple

from run import HERE, cpu_seconds, gateway_version, machine

GATEWAY, OPERATIONS, UPSTREAM = (f"127.0.0.1:{port}" for port in range(19710, 19713))
MOST_INSTRUCTIONS = 1.02
MOST_START_SECONDS = 0.5
WORKER = "gateway"
WARM_UP = 1000
TIMER_STEP = 0.012
"""Seconds before each request and each answer of the upstream. How often the worker goes to sleep, and how many timeouts
share a step of Pingora's timers (10 ms), would else depend on how busy the machine is, and costs up to 5 %."""
IDLE_SECONDS = 10
PATIENCE = 120
"""Seconds for a gateway to get ready; under callgrind it runs some fifty times slower."""


class Start(NamedTuple):
    """Of a gateway, until it is ready."""

    seconds: float
    cpu_seconds: float


@dataclass
class World:
    """A gateway's folders, and who may ask it for what."""

    name: str
    tokens: int
    endpoints: int
    folder: Path
    per_request: list[float] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    first_start: Start = Start(0.0, 0.0)
    idle: float = 0.0

    def command(self, weirgate: str) -> list[str | Path]:
        return [weirgate, "run", "--config", self.folder / "config", "--state", self.folder / "state"]

    def token(self, n: int) -> str:
        return "wg-" + hashlib.sha256(f"token {n}".encode()).hexdigest()


def user(n: int) -> str:
    return f"user{n:05}@example.org"


def endpoint(n: int) -> str:
    return f"endpoint-{n:04}"


def write_config(world: World) -> None:
    config = world.folder / "config"
    (config / "endpoints").mkdir(parents=True)
    (config / "weirgate.yaml").write_text(f"""
listeners: [{{ address: "{GATEWAY}" }}]
operations: {{ address: "{OPERATIONS}" }}
threads: 1
upstreams: {{ allow_private: true }}
""")
    entity = {
        "name": "a",
        "external_model": {
            "name": "gpt-4o-mini",
            "provider": "openai",
            "task": "llm/v1/chat",
            "openai_config": {"openai_api_base": f"http://{UPSTREAM}/v1", "openai_api_key_plaintext": "upstream-key"},
        },
    }
    for n in range(world.endpoints):
        document = {
            "name": endpoint(n),
            "config": {"served_entities": [entity]},
            "permissions": [{"group_name": "callers", "permission_level": "CAN_QUERY"}],
        }
        (config / f"endpoints/{endpoint(n)}.yaml").write_text(json.dumps(document, indent=2))


def write_tokens(world: World) -> None:
    """Into the database that the gateway made at its first start: one insert is what the API and the command line do too."""
    now = int(time.time() * 1000)
    rows = [
        (f"{n:032x}", hashlib.sha256(world.token(n).encode()).digest(), "user", user(n), '["callers"]', 0, "", now, "bench", None)
        for n in range(world.tokens)
    ]
    columns = "id, sha256, kind, name, groups, admin, comment, created_at, created_by, expires_at"
    with sqlite3.connect(world.folder / "state/weirgate.db") as database:
        database.execute("DELETE FROM tokens")
        database.executemany(f"INSERT INTO tokens ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    database.close()


def is_ready() -> bool:
    try:
        connection = http.client.HTTPConnection(OPERATIONS, timeout=PATIENCE)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def wait_for(what: Callable[[], bool], process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            sys.exit(f"error: the process does not get ready:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.0005)


def run_while(command: list[str | Path], log: Path, work: Callable[[subprocess.Popen], None]) -> None:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    try:
        work(process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            sys.exit("error: the process does not end")


class Upstream(socketserver.StreamRequestHandler):
    """A model provider that has one answer, and gives it when it is waited for."""

    wait: Callable[[], None]

    ANSWER = json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "The sky scatters blue light most."}, "finish_reason": "stop"}
    ], "usage": {"prompt_tokens": 23, "completion_tokens": 8, "total_tokens": 31}}).encode()  # fmt: skip

    def handle(self) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(self.ANSWER)}\r\n\r\n".encode()
        while self.rfile.readline():
            self.rfile.read(body_length(self.rfile))
            type(self).wait()
            self.wfile.write(head + self.ANSWER)


def body_length(message: BinaryIO) -> int:
    """Reads the headers of a message."""
    length = 0
    while (line := message.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return length


def put_load(world: World, first: int, requests: int, wait: Callable[[], None]) -> None:
    """One after the other over one connection, going through tokens and endpoints so that any stretch of them is spread."""
    host, port = GATEWAY.split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answers = client.makefile("rb")
        for n in range(first, first + requests):
            # 7919 is prime to both numbers; endpoint names have one length, so all requests do.
            body = json.dumps({"model": endpoint(n * 7919 % world.endpoints), "messages": [{"role": "user", "content": "Why?"}]})
            wait()
            client.sendall(
                (
                    f"POST /v1/chat/completions HTTP/1.1\r\nhost: {GATEWAY}\r\nauthorization: Bearer {world.token(n * 7919 % world.tokens)}\r\n"
                    f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
                ).encode()
            )
            status = answers.readline()
            answer = answers.read(body_length(answers))
            if b" 200 " not in status or b'"choices"' not in answer:
                sys.exit(f"error: {world.name}: request {n} was answered {status!r} {answer[:300]!r}")


def vgdb(process: subprocess.Popen, *command: str) -> str:
    return subprocess.run(["vgdb", f"--pid={process.pid}", *command], capture_output=True, text=True, timeout=PATIENCE).stdout


def worker(process: subprocess.Popen) -> tuple[int, Path]:
    """The thread that serves requests: valgrind's number, and its folder in /proc."""
    for number, thread in re.findall(r"Thread (\d+): .*lwpid (\d+)", vgdb(process, "v.info", "scheduler")):
        folder = Path(f"/proc/{process.pid}/task/{thread}")
        if folder.joinpath("comm").read_text().strip() == WORKER:
            return int(number), folder
    sys.exit(f"error: the gateway has no thread called {WORKER}")


def count_instructions(world: World, weirgate: str, requests: int, rounds: int) -> None:
    log, out = world.folder / "log", world.folder / "callgrind"
    command = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}", *world.command(weirgate)]

    def work(process: subprocess.Popen) -> None:
        wait_for(is_ready, process, log)
        thread, folder = worker(process)

        def asleep() -> None:
            wait_for(lambda: "poll" in folder.joinpath("wchan").read_text(), process, log)

        def late() -> None:
            time.sleep(TIMER_STEP)
            asleep()

        for turn in range(rounds + 1):
            # First the warm-up: what is done once per endpoint.
            Upstream.wait = staticmethod(late if turn else asleep)
            put_load(world, turn * WARM_UP, requests if turn else WARM_UP, Upstream.wait)
            vgdb(process, "dump")  # and begin from zero
            dump = Path(f"{out}.{turn + 1}-{thread:02}").read_text()
            counted = re.search(r"^(?:totals|summary): (\d+)", dump, re.MULTILINE)
            if turn:
                world.per_request.append(int(counted.group(1)) / requests)

    run_while(command, log, work)


def idle_cpu(world: World, weirgate: str) -> float:
    """CPU seconds per second of a gateway that nobody asks anything."""
    log, used = world.folder / "log", 0.0

    def work(process: subprocess.Popen) -> None:
        nonlocal used
        wait_for(is_ready, process, log)
        time.sleep(1)
        before = cpu_seconds(process.pid)
        time.sleep(IDLE_SECONDS)
        used = (cpu_seconds(process.pid) - before) / IDLE_SECONDS

    run_while(world.command(weirgate), log, work)
    return used


def start(world: World, weirgate: str) -> Start:
    log, begin = world.folder / "log", time.monotonic()
    taken = Start(0.0, 0.0)

    def work(process: subprocess.Popen) -> None:
        nonlocal taken
        wait_for(is_ready, process, log)
        taken = Start(time.monotonic() - begin, cpu_seconds(process.pid))

    run_while(world.command(weirgate), log, work)
    return taken


def main() -> None:
    weirgate = sys.argv[1]
    requests, rounds = int(os.environ.get("REQUESTS") or 400), int(os.environ.get("ROUNDS") or 5)
    host, port = UPSTREAM.split(":")
    with tempfile.TemporaryDirectory() as folder, socketserver.ThreadingTCPServer((host, int(port)), Upstream) as upstream:
        upstream.daemon_threads = True
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        worlds = [World("one of each", 1, 1, Path(folder, "one")), World("many", 10_000, 1000, Path(folder, "many"))]
        for world in worlds:
            write_config(world)
            world.first_start = start(world, weirgate)
            write_tokens(world)
        for turn in range(rounds):
            for world in worlds[:: 1 if turn % 2 else -1]:
                world.starts.append(start(world, weirgate))
        for world in worlds:
            world.idle = idle_cpu(world, weirgate)
            count_instructions(world, weirgate, requests, rounds)
            print(f"==> {world.name}: {statistics.median(world.per_request):.0f} instructions per request", flush=True)
        upstream.shutdown()
    one = statistics.median(worlds[0].per_request)
    rows, within = [], True
    for world in worlds:
        cost, seconds = statistics.median(world.per_request), [start.seconds for start in world.starts]
        typical, cpu = statistics.median(seconds), statistics.median(start.cpu_seconds for start in world.starts)
        within = within and cost <= one * MOST_INSTRUCTIONS and typical <= MOST_START_SECONDS
        rows.append(
            f"| {world.tokens} | {world.endpoints} | {cost:.0f} | {min(world.per_request):.0f} | {max(world.per_request):.0f} | {cost / one:.4f} "
            f"| {typical:.3f} | {min(seconds):.3f} | {max(seconds):.3f} | {cpu:.2f} | {world.first_start.seconds:.3f} | {world.idle * 1000:.0f} |"
        )
    results = f"""# What tokens and endpoints cost

Written by `make bench-identity` (REQUESTS={requests} ROUNDS={rounds}) on {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC.

Machine: {machine()}. Versions: {gateway_version(weirgate)}.

Instructions are callgrind's, of the one worker thread, in user space, over {requests} requests, {rounds} times in one process after
{WARM_UP} to warm up; one keep-alive connection, no TLS, requests spread over all tokens (in the store) and endpoints (permissions
by group), upstream on loopback, client and upstream only sending to a worker that is asleep. Seconds are from the start of the process to `200` of
`/readyz`, not under callgrind; the first start is the one that makes the database and a row for each endpoint. What other
threads do meanwhile does not depend on requests: it is the idle process' CPU time.

| tokens | endpoints | instructions/request, median | min | max | × one of each | start s, median | min | max | CPU s | first start s | idle CPU ms/s |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
{os.linesep.join(rows)}

Limits: {MOST_INSTRUCTIONS:.2f} × the instructions of one of each, {MOST_START_SECONDS} s to readiness.
"""
    (HERE / "RESULTS-identity.md").write_text(results)
    print(results)
    if not within:
        sys.exit("error: over a limit")


if __name__ == "__main__":
    main()
