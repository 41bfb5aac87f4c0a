"""Measures the CPU time per request of nginx, bare Pingora and Weirgate, side by side in one run.

run.py BENCH_BINARIES WEIRGATE, with in the environment ROUNDS (7) and REQUESTS (40000, of the small answer; streams get
fewer). In each round every server gets the same load in turn, in an order that rotates, so that what the machine does
meanwhile hits all alike. What counts is user + system time of the server's process tree from /proc, not requests per
second: the load generator and the stub upstream share the machine's cores.
"""

import hashlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")
KEY = "bench-key-0123456789abcdef"
UPSTREAM, NGINX, PINGORA, WEIRGATE, OPERATIONS = (f"127.0.0.1:{port}" for port in range(19700, 19705))
BARE = "bare Pingora"

SMALL = json.dumps(
    {
        "model": "chat",
        "messages": [{"role": "system", "content": "Answer the question in one short sentence."}, {"role": "user", "content": "Why is our own sky blue?"}],
        "max_tokens": 64,
    },
    separators=(",", ":"),
)
STREAM = SMALL[:-1] + ',"stream":true,"stream_options":{"include_usage":true}}'


@dataclass
class Scenario:
    name: str
    body: str
    share: float
    """How many requests a round sends, as a part of REQUESTS."""


SCENARIOS = [
    Scenario("small JSON answer", SMALL, 1.0),
    Scenario("SSE burst, 64 events at once", STREAM, 0.25),
    Scenario("SSE paced, 32 events 5 ms apart", STREAM[:-1] + ',"user":"paced"}', 0.025),
]


@dataclass
class Sample:
    cpu_us: float
    p50_us: float
    p99_us: float


@dataclass
class Server:
    name: str
    address: str
    process: subprocess.Popen
    samples: dict[str, list[Sample]] = field(default_factory=dict)


def tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(process for child in children for process in tree(int(child)))]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its descendants."""

    def ticks(process: int) -> int:
        # Fields 14 and 15 of proc(5); the name, field 2, may hold spaces.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    return sum(ticks(process) for process in tree(pid)) / TICKS


def nginx_config(folder: Path) -> Path:
    file = folder / "nginx.conf"
    file.write_text(f"""
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_requests 1000000;
    upstream stub {{ server {UPSTREAM}; keepalive 64; keepalive_requests 1000000; }}
    server {{
        listen {NGINX};
        location / {{
            proxy_pass http://stub;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
""")
    return file


def weirgate_config(folder: Path) -> Path:
    """Two served entities at 50 % each behind one endpoint, and a key: what a real deployment has at least."""
    config = folder / "config"
    (config / "endpoints").mkdir(parents=True)
    (config / "weirgate.yaml").write_text(f"""
listeners: [{{ address: "{WEIRGATE}" }}]
operations: {{ address: "{OPERATIONS}" }}
threads: 1
upstreams: {{ allow_private: true }}
authentication:
  tokens: [{{ sha256: "{hashlib.sha256(KEY.encode()).hexdigest()}", user: bench }}]
""")
    entity = {
        "external_model": {
            "name": "gpt-4o-mini",
            "provider": "openai",
            "task": "llm/v1/chat",
            "openai_config": {"openai_api_base": f"http://{UPSTREAM}/v1", "openai_api_key_plaintext": "upstream-key"},
        }
    }
    endpoint = {
        "name": "chat",
        "config": {
            "served_entities": [entity | {"name": name} for name in "ab"],
            "traffic_config": {"routes": [{"served_model_name": name, "traffic_percentage": 50} for name in "ab"]},
        },
        "permissions": [{"user_name": "bench", "permission_level": "CAN_QUERY"}],
    }
    (config / "endpoints/chat.yaml").write_text(json.dumps(endpoint, indent=2))
    return config


def start(name: str, address: str, command: list[str | Path], log: Path) -> Server:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    host, port = address.split(":")
    for _ in range(100):
        if process.poll() is not None:
            break
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return Server(name, address, process)
        except OSError:
            time.sleep(0.1)
    process.kill()
    sys.exit(f"error: {name} does not listen on {address}:\n{log.read_text(errors='replace')[-2000:]}")


def put_load(binaries: Path, server: Server, scenario: Scenario, requests: int) -> Sample:
    before = cpu_seconds(server.process.pid)
    run = subprocess.run(
        [binaries / "load", server.address, str(requests), str(CONNECTIONS), KEY],
        input=scenario.body, capture_output=True, text=True, timeout=300, check=True,
    )
    used = cpu_seconds(server.process.pid) - before
    report = json.loads(run.stdout)
    if report["errors"]:
        sys.exit(f"error: {server.name}, {scenario.name}: {report['errors']} of {requests} requests failed: {run.stderr.strip()}")
    return Sample(used / requests * 1e6, report["p50_us"], report["p99_us"])


def measure(binaries: Path, servers: list[Server], rounds: int, requests: int) -> None:
    for scenario in SCENARIOS:
        count = max(CONNECTIONS, int(requests * scenario.share))
        for server in servers:
            put_load(binaries, server, scenario, max(CONNECTIONS, count // 10))  # warm-up: pools, caches
        for turn in range(rounds):
            at = turn % len(servers)
            for server in servers[at:] + servers[:at]:
                sample = put_load(binaries, server, scenario, count)
                server.samples.setdefault(scenario.name, []).append(sample)
            print(f"==> {scenario.name}: round {turn + 1} of {rounds}", flush=True)


def versions(weirgate: str) -> str:
    nginx = subprocess.run([nginx_binary(), "-v"], capture_output=True, text=True).stderr.strip().rpartition("/")[2]
    return f"nginx {nginx}; {gateway_version(weirgate)}"


def gateway_version(weirgate: str) -> str:
    gateway = subprocess.run([weirgate, "--version"], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    return f"{gateway} at {commit}"


def machine() -> str:
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, load average {load} at the end"


def table(servers: list[Server]) -> str:
    rows = []
    for scenario in SCENARIOS:
        bare = statistics.median(s.cpu_us for server in servers if server.name == BARE for s in server.samples[scenario.name])
        rows += [f"\n## {scenario.name}\n", "| server | CPU µs/request, median | min | max | × bare Pingora | p50 ms | p99 ms |", "|---|--:|--:|--:|--:|--:|--:|"]
        for server in servers:
            samples = server.samples[scenario.name]
            cpu = [sample.cpu_us for sample in samples]
            median = statistics.median(cpu)
            p50, p99 = (statistics.median(getattr(s, key) for s in samples) / 1000 for key in ("p50_us", "p99_us"))
            rows.append(f"| {server.name} | {median:.1f} | {min(cpu):.1f} | {max(cpu):.1f} | {median / bare:.2f} | {p50:.2f} | {p99:.2f} |")
    return "\n".join(rows)


def nginx_binary() -> str:
    return next((path for path in ("/usr/sbin/nginx", "/usr/local/sbin/nginx") if os.access(path, os.X_OK)), "nginx")


def main() -> None:
    binaries, weirgate = Path(sys.argv[1]), sys.argv[2]
    rounds, requests = int(os.environ.get("ROUNDS") or 7), int(os.environ.get("REQUESTS") or 40000)
    servers: list[Server] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        started: list[Server] = []
        try:
            started.append(start("upstream stub", UPSTREAM, [binaries / "upstream_stub", UPSTREAM], folder / "stub.log"))
            for name, address, command in [
                ("nginx proxy_pass", NGINX, [nginx_binary(), "-p", folder, "-c", nginx_config(folder)]),
                (BARE, PINGORA, [binaries / "bare_pingora", PINGORA, UPSTREAM]),
                ("Weirgate", WEIRGATE, [weirgate, "run", "--config", weirgate_config(folder), "--state", folder / "state"]),
            ]:
                started.append(start(name, address, command, folder / f"{name}.log"))
            servers = started[1:]
            measure(binaries, servers, rounds, requests)
        finally:
            for server in reversed(started):
                server.process.terminate()
            for server in started:
                try:
                    server.process.wait(10)
                except subprocess.TimeoutExpired:
                    server.process.kill()
    report = f"""# Bench results

Written by `make bench` (ROUNDS={rounds} REQUESTS={requests}) on {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC.

Machine: {machine()}. Versions: {versions(weirgate)}.

CPU time per request is user + system of the server's whole process tree, over {rounds} rounds that alternate between the
servers, {CONNECTIONS} keep-alive connections, one worker thread each, loopback, no TLS. Weirgate runs with authentication,
a weighted choice between two served entities, usage reading and metrics on; the others only forward. Latencies are medians
over the rounds of each round's percentile; load generator and upstream share the cores, so compare them only within a table.
{table(servers)}
"""
    (HERE / "RESULTS.md").write_text(report)
    print(report)


if __name__ == "__main__":
    main()
