"""Runs the real gateway binary on a config folder made from Python dicts."""
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx

from . import documents, places

START_SECONDS = 30
STOP_SECONDS = 15


def free_port():
    """A port below the ephemeral range, so that no outgoing connection takes it before the gateway does."""
    while True:
        port = random.randint(10_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def eventually(check, seconds=10, pause=0.02):
    """Call `check` until it gives something true, and return that; its last failure is what the test shows."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = check()
            if found:
                return found
            problem = AssertionError(f"still {found!r} after {seconds} s")
        except (AssertionError, httpx.HTTPError, OSError) as error:
            problem = error
        if time.monotonic() > end:
            raise problem
        time.sleep(pause)


class Gateway:
    """One gateway process, its config folder and its log."""

    def __init__(self, folder, endpoints=(), catalog=(), settings=None, env=None):
        self.folder, self.config, self.state = Path(folder), Path(folder) / "config", Path(folder) / "state"
        (self.config / "endpoints").mkdir(parents=True)
        self.port, self.operations_port = free_port(), free_port()
        self.url, self.operations = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.operations_port}"
        self.env = {"WEIRGATE_ADMIN_TOKEN": documents.ADMIN, **(env or {})}
        self.log_file, self.process = self.folder / "gateway.log", None
        self.settings = {
            "listeners": [{"address": f"127.0.0.1:{self.port}"}],
            "operations": {"address": f"127.0.0.1:{self.operations_port}"},
            "threads": 2,
            "upstreams": {"allow_private": True},
            "shutdown": {"grace": "1s"},
            "engine": {"command": str(places.engine_binary())},
            "authentication": {"tokens": [documents.token(documents.ALICE, "alice", ["research"]),
                                          documents.token(documents.BOB, "bob")]},
            **(settings or {}),
        }
        self.write("weirgate.yaml", self.settings)
        if catalog:
            self.write("catalog.yaml", {"models": list(catalog)})
        for document in endpoints:
            self.put(document)

    # -- config
    def write(self, path, document):
        """Write a config file (dict or text) the way a careful editor does: temporary file, then rename."""
        text = document if isinstance(document, str) else json.dumps(document, indent=1)
        temporary = self.config / f".{Path(path).name}.tmp"
        temporary.write_text(text)
        temporary.rename(self.config / path)

    def put(self, document):
        self.write(f"endpoints/{document['name']}.yaml", document)

    def remove(self, name):
        (self.config / f"endpoints/{name}.yaml").unlink()

    # -- process
    def start(self, *arguments):
        command = [places.gateway_binary(), "run", "--config", self.config, "--state", self.state, *arguments]
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR", "LANG")}
        env |= {"RUST_BACKTRACE": "1", **self.env}
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        return self

    def wait_ready(self, seconds=START_SECONDS):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-4000:]}")
            status, body = self.readyz()
            engines = all(engine["state"] == "ready" for engine in body["engines"])
            assert status == 200 and body["status"] == "ready" and engines, f"not ready: {status} {body}\n{self.log()[-4000:]}"
            return True
        eventually(ready, seconds, 0.05)
        return self

    def stop(self):
        """SIGTERM, and the promises for a clean end: status 0, no panic, no secret in the log."""
        if self.process is None or self.process.poll() is not None:
            return self.examine_log()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the gateway did not end within {STOP_SECONDS} s of SIGTERM:\n{self.log()[-3000:]}") from None
        assert code == 0, f"exit status {code} after SIGTERM:\n{self.log()[-3000:]}"
        self.examine_log()

    def examine_log(self):
        log = self.log()
        assert "panicked at" not in log, log[-4000:]
        for secret in (documents.ADMIN, documents.ALICE, documents.BOB, documents.UPSTREAM_KEY):
            assert secret not in log, "a secret is in the log"

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def __enter__(self):
        try:
            return self.start().wait_ready()
        except BaseException:
            if self.process:
                self.process.kill()
            raise

    def __exit__(self, *_):
        self.stop()

    # -- operations listener
    def readyz(self):
        answer = httpx.get(f"{self.operations}/readyz", timeout=5)
        return answer.status_code, answer.json()

    def generation(self):
        return self.readyz()[1]["generation"]

    def reload(self, change, seconds=5):
        """Make a change to the folder and wait until it is served; returns the seconds that it took."""
        before, start = self.generation(), time.monotonic()
        change()
        eventually(lambda: self.generation() > before, seconds)
        return time.monotonic() - start

    def metrics(self):
        """Every sample as (name, labels, value)."""
        found = []
        for line in httpx.get(f"{self.operations}/metrics", timeout=5).text.splitlines():
            sample = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?", line)
            if sample:
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', sample[2] or ""))
                found.append((sample[1], labels, float(sample[3])))
            else:
                assert not line or line.startswith("#"), f"not a line of the exposition format: {line!r}"
        return found

    def metric(self, name, **labels):
        """The sum of the samples of a metric that carry these labels; None where there is none."""
        found = [value for n, have, value in self.metrics() if n == name and labels.items() <= have.items()]
        return sum(found) if found else None

    # -- calls
    def client(self, token=documents.ALICE, **options):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        options = {"timeout": 20, "trust_env": False, "verify": False, **options}
        return httpx.Client(base_url=self.url, headers={**headers, **options.pop("headers", {})}, **options)
