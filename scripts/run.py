"""Runs the gateway for `make run`: prepares .run/, starts it, waits until it is ready, says how to use it, stops it.

run.py GATEWAY MODELS, with in the environment:
  PORT                   where clients connect (8080)
  OPS_PORT               health and metrics (as in .run/config/weirgate.yaml, first 9090)
  MODEL                  a GGUF file or a folder with safetensors, instead of the demo chat model
  WEIRGATE_ADMIN_TOKEN   the admin's token (else one is made once and kept in .run/admin-token)
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUN = ROOT / ".run"
CONFIG = RUN / "config"
LOG = RUN / "weirgate.log"
DEMO_CHAT_MODEL = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
READY_WITHIN = 180.0
STOP_WITHIN = 15.0
RESTARTS = 5


class Stop(Exception):
    """Ctrl-C, or a request to end."""


def die(message: str) -> None:
    sys.exit(f"error: {message}")


def prepare(models: Path) -> None:
    """Makes .run/config once, so that edits in it last, and points it at the models."""
    if not CONFIG.exists():
        shutil.copytree(ROOT / "config/examples/local-models", CONFIG)
        for file in CONFIG.rglob("*.yaml"):  # the schema that editors use lies elsewhere from here
            file.write_text(file.read_text().replace("../schema/", "../config/schema/"))
    link = CONFIG / "models"
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(models)
    choose_chat_model(os.environ.get("MODEL", ""))


def choose_chat_model(model: str) -> None:
    """Rewrites the catalog's line for the chat model, and puts the demo model back when MODEL is no longer given."""
    mark = "  # MODEL of make run"
    source = DEMO_CHAT_MODEL
    if model:
        path = Path(model).expanduser().resolve()
        if not path.exists():
            die(f"MODEL={model}: there is no such file or folder")
        source = json.dumps(str(path)) + mark
    catalog = CONFIG / "catalog.yaml"
    text = catalog.read_text()
    line = re.compile(rf"(?m)^(\s*(?:- )?source: )(?:{re.escape(DEMO_CHAT_MODEL)}|.*{re.escape(mark)})[ \t]*$")
    chosen, found = line.subn(lambda match: match[1] + source, text, count=1)
    if model and not found:
        die(f"{catalog} no longer has the demo chat model's source line: name the model there, and leave MODEL out")
    if chosen != text:
        catalog.write_text(chosen)


def operations_address() -> str:
    """The operations listener of .run/config/weirgate.yaml, after OPS_PORT is written into it."""
    settings = CONFIG / "weirgate.yaml"
    text = settings.read_text()
    line = re.compile(r"(?m)^(operations:\s*\{?\s*address:\s*)[\"']?([^\"'\s}]+)[\"']?")
    found = line.search(text)
    if not found:
        die(f"{settings} has no operations listener, by which make run sees that the gateway is ready")
    address = found[2]
    if port := os.environ.get("OPS_PORT"):
        address = f"127.0.0.1:{port}"
        if address != found[2]:
            settings.write_text(line.sub(lambda match: f'{match[1]}"{address}"', text, count=1))
    return address


def admin_token() -> str:
    if token := os.environ.get("WEIRGATE_ADMIN_TOKEN"):
        return token
    file = RUN / "admin-token"
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(f"wg-{secrets.token_urlsafe(32)}")
    return file.read_text().strip()


def refuse_if_taken(address: str, remedy: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            die(f"cannot listen on {address} ({error.strerror}): {remedy}")


def start(gateway: str, listen: str, token: str) -> subprocess.Popen:
    command = [gateway, "run", "--config", CONFIG, "--state", RUN / "state", "--listen", listen]
    # A session of its own: Ctrl-C reaches this script alone, which then stops the gateway in order.
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"WEIRGATE_ADMIN_TOKEN": token},
        stdin=subprocess.DEVNULL,
        stdout=LOG.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def give_up(what: str) -> None:
    tail = LOG.read_text(errors="replace").splitlines()[-25:]
    print(*tail, sep="\n", file=sys.stderr)
    die(f"{what}; above is the end of {LOG.relative_to(ROOT)}")


def report(operations: str) -> dict | None:
    """What /readyz says; nothing while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{operations}/readyz", timeout=2) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


class Progress:
    """One line that is rewritten on a terminal; elsewhere a line for each change."""

    def __init__(self) -> None:
        self.last = ""

    def show(self, words: str, seconds: float) -> None:
        if sys.stdout.isatty():
            print(f"\r\033[K==> {words} ({seconds:.0f} s)", end="", flush=True)
        elif words != self.last:
            print(f"==> {words}", flush=True)
        self.last = words

    def end(self) -> None:
        if self.last and sys.stdout.isatty():
            print()


def wait_until_ready(gateway: subprocess.Popen, operations: str) -> None:
    began = time.monotonic()
    progress = Progress()
    problem = ""
    while not problem:
        state = report(operations) or {"status": "starting"}
        engines = state.get("engines", [])
        words = ", ".join([f"gateway {state['status']}", *(f"{engine['name']} {engine['state']}" for engine in engines)])
        seconds = time.monotonic() - began
        progress.show(words, seconds)
        waiting = [engine for engine in engines if engine["state"] != "ready"]
        if state["status"] == "ready" and not waiting:
            progress.end()
            return
        if gateway.poll() is not None:
            problem = f"the gateway ended with status {gateway.returncode}"
        elif any(engine.get("restarts", 0) >= RESTARTS for engine in waiting):
            problem = f"an engine does not stay up ({words})"
        elif seconds > READY_WITHIN:
            problem = f"not ready within {READY_WITHIN:.0f} s ({words})"
        else:
            time.sleep(0.2)
    progress.end()
    give_up(problem)


def tell(listen: str, operations: str, token: str) -> None:
    print(f"""
Weirgate is ready.

  URL           http://{listen}/v1
  admin token   {token}
  models        smollm2 (chat), minilm (embeddings)
  config        {CONFIG.relative_to(ROOT)}: an edit takes effect within a second
  log           {LOG.relative_to(ROOT)}
  operations    http://{operations}/metrics, /healthz, /readyz

With curl:

curl -N http://{listen}/v1/chat/completions -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' \
-d '{{"model":"smollm2","stream":true,"max_tokens":200,"messages":[{{"role":"user","content":"Why is the sky blue?"}}]}}'

With the OpenAI SDK (pip install openai):

from openai import OpenAI
client = OpenAI(base_url="http://{listen}/v1", api_key="{token}")
messages = [{{"role": "user", "content": "Why is the sky blue?"}}]
for chunk in client.chat.completions.create(model="smollm2", messages=messages, max_tokens=200, stream=True):
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print(len(client.embeddings.create(model="minilm", input="a blue sky").data[0].embedding))

Ctrl-C stops it.""", flush=True)


def stop(gateway: subprocess.Popen) -> None:
    """Asks the gateway to end, with its engines. The first signal lets running requests finish, the second does not."""
    if gateway.poll() is None:
        print("\n==> Stopping; Ctrl-C again cuts running requests off", flush=True)
    for _ in range(2):
        if gateway.poll() is None:
            gateway.terminate()
            try:
                gateway.wait(STOP_WITHIN)
            except (subprocess.TimeoutExpired, Stop):
                pass
    if gateway.poll() is None:
        os.killpg(gateway.pid, signal.SIGKILL)
        gateway.wait()


def on_signal(_number: int, _frame: object) -> None:
    raise Stop


def main() -> None:
    binary, models = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)

    listen = f"127.0.0.1:{os.environ.get('PORT') or 8080}"
    prepare(Path(models))
    operations = operations_address()
    refuse_if_taken(listen, "stop what does, or choose another: make run PORT=8081")
    refuse_if_taken(operations, "stop what does, or choose another: make run OPS_PORT=9091")
    token = admin_token()

    gateway = start(binary, listen, token)
    try:
        wait_until_ready(gateway, operations)
        tell(listen, operations, token)
        gateway.wait()
        give_up(f"the gateway ended with status {gateway.returncode}")
    except Stop:
        pass
    finally:
        stop(gateway)


if __name__ == "__main__":
    try:
        main()
    except Stop:
        pass
