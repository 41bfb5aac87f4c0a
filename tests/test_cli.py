"""The commands beside `run`: check, schema, help, and ends that say why."""
import json
import re
import subprocess

import httpx
import pytest

from support import documents, places
from support.gateway import Gateway, free_port

pytestmark = pytest.mark.timeout(45)
REPO_CONFIG = places.REPO / "config"
EXAMPLES = sorted(path for path in (REPO_CONFIG / "examples").glob("*") if path.is_dir())


def weirgate(*arguments, **options):
    return subprocess.run([places.gateway_binary(), *arguments], capture_output=True, text=True, timeout=20, **options)


@pytest.fixture
def config(tmp_path):
    """A good folder of three files."""
    (tmp_path / "endpoints").mkdir()
    (tmp_path / "weirgate.yaml").write_text('listeners: [{ address: "127.0.0.1:8080" }]\n')
    entity = documents.openai("a", "https://api.example.com/v1")
    (tmp_path / "endpoints/chat.yaml").write_text(json.dumps(documents.endpoint("chat", entity), indent=1))
    return tmp_path


def test_check_of_a_good_folder(config):
    done = weirgate("check", config)
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_of_an_empty_folder(tmp_path):
    assert weirgate("check", tmp_path).returncode == 0, "a gateway with no endpoints and no catalog is ready"


def test_check_tells_all_errors_at_once_with_their_places(config):
    (config / "weirgate.yaml").write_text("listeners:\n  - address: nonsense\nlimitz: {}\nthreads: -1\n")
    (config / "catalog.yaml").write_text("models:\n  - name: a.b.c\n    version: 1\n    task: llm/v1/sing\n    source: x\n")
    (config / "endpoints/chat.yaml").write_text(
        "name: chat\nconfig:\n  served_entities:\n    - name: a\n      external_modle: {}\n  traffic_config:\n"
        "    routes:\n      - { served_model_name: ghost, traffic_percentage: 90 }\n")
    (config / "endpoints/torn.yml").write_text("name: [\n")
    done = weirgate("check", config)
    text = done.stdout + done.stderr
    assert done.returncode not in (0, 101)
    for place in (r"weirgate\.yaml:2:\d+", r"weirgate\.yaml:3:1\b", r"weirgate\.yaml:4:\d+", r"catalog\.yaml:4:\d+",
                  r"endpoints/chat\.yaml:5:7\b", r"endpoints/torn\.yml:\d+:\d+"):
        assert re.search(place, text), f"nothing about {place} in:\n{text}"
    assert "limits" in text and "external_model" in text, "no did-you-mean"


DOCUMENT_ERRORS = {
    "sum": ({"split": {"a": 75, "b": 20}}, "100"),
    "unknown entity": ({"split": {"a": 50, "ghost": 50}}, "ghost"),
    "two tasks": ({"tasks": (documents.CHAT, documents.EMBEDDINGS)}, "task"),
    "same name twice": ({"names": ("a", "a")}, "a"),
    "bad name": ({"name": "no spaces please"}, "name"),
    "name of another file": ({"name": "other"}, "other"),
    "unknown key": ({"more": {"descriptoin": "x"}}, "description"),
}


@pytest.mark.parametrize("case", DOCUMENT_ERRORS)
def test_check_refuses(config, case):
    options, told = DOCUMENT_ERRORS[case]
    names, tasks = options.get("names", ("a", "b")), options.get("tasks", (documents.CHAT, documents.CHAT))
    entities = [documents.openai(name, "https://api.example.com/v1", task=task) for name, task in zip(names, tasks, strict=True)]
    document = documents.endpoint(options.get("name", "chat"), *entities, split=options.get("split"), **options.get("more", {}))
    (config / "endpoints/chat.yaml").write_text(json.dumps(document, indent=1))
    done = weirgate("check", config)
    text = done.stdout + done.stderr
    assert done.returncode not in (0, 101), text
    assert re.search(r"endpoints/chat\.yaml:\d+:\d+: error: ", text) and told in text, text


def test_check_warns_of_secrets_in_plain_text_and_does_not_show_them(config):
    done = weirgate("check", config)
    text = done.stdout + done.stderr
    assert "warning" in text and "openai_api_key_plaintext" in text and documents.UPSTREAM_KEY not in text


def test_check_of_a_folder_that_is_not_there(tmp_path):
    done = weirgate("check", tmp_path / "nowhere")
    assert done.returncode not in (0, 101) and "nowhere" in done.stderr + done.stdout


def test_check_of_bytes_that_are_no_text(config):
    (config / "endpoints/chat.yaml").write_bytes(bytes(range(256)) * 10)
    done = weirgate("check", config)
    assert done.returncode not in (0, 101) and "chat.yaml" in done.stdout + done.stderr


def test_check_of_a_yaml_bomb(config):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (config / "endpoints/chat.yaml").write_text("\n".join(lines) + "\n")
    assert weirgate("check", config).returncode not in (0, 101)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples_pass_check(example):
    done = weirgate("check", example)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_examples():
    assert EXAMPLES


def test_schema_is_the_one_in_the_repository(tmp_path):
    kept = {path.name: path.read_text() for path in (REPO_CONFIG / "schema").glob("*.json")}
    assert kept and all(json.loads(text)["$schema"] for text in kept.values())
    assert weirgate("schema", "--write", tmp_path).returncode == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == kept, "run `make schema`"
    printed = weirgate("schema").stdout
    assert all(text in printed for text in kept.values())


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "--help"], ["schema", "--help"], ["token", "create", "--help"]])
def test_help(arguments):
    done = weirgate(*arguments)
    assert done.returncode == 0 and "Usage" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["run"], ["check"], ["run", "--config"]])
def test_wrong_usage(arguments):
    done = weirgate(*arguments)
    assert done.returncode not in (0, 101) and done.stderr


def test_version():
    done = weirgate("--version")
    assert done.returncode == 0 and done.stdout.startswith("weirgate")


# -- run: how it fails to start

def run_and_fail(folder, *arguments):
    done = weirgate("run", "--config", folder / "config", "--state", folder / "state", *arguments)
    assert done.returncode not in (0, 101), done.stderr
    assert "panicked" not in done.stderr
    return done.stdout + done.stderr


def test_run_with_broken_config_and_nothing_to_fall_back_on(tmp_path):
    gateway = Gateway(tmp_path)
    gateway.write("endpoints/chat.yaml", "name: chat\nconfigg: {}\n")
    assert "endpoints/chat.yaml:2:1" in run_and_fail(tmp_path)


def test_run_on_a_taken_port(tmp_path, plain):
    Gateway(tmp_path)
    assert str(plain.port) in run_and_fail(tmp_path, "--listen", f"127.0.0.1:{plain.port}")


def test_listen_replaces_the_configured_listeners(tmp_path, hello):
    gateway = Gateway(tmp_path, [documents.endpoint("chat", documents.openai("a", f"{hello.url}/v1"))])
    configured, ports = gateway.port, (free_port(), free_port())
    gateway.start(*[word for port in ports for word in ("--listen", f"127.0.0.1:{port}")]).wait_ready()
    try:
        for port in ports:
            gateway.url = f"http://127.0.0.1:{port}"
            with gateway.client() as client:
                assert client.post("/v1/chat/completions", json=documents.chat_body("chat")).status_code == 200
        gateway.url = f"http://127.0.0.1:{configured}"
        with gateway.client() as client, pytest.raises(httpx.ConnectError):
            client.get("/v1/models")
    finally:
        gateway.stop()


def test_restart_serves_last_good_when_a_file_is_broken(tmp_path, hello):
    gateway = Gateway(tmp_path, [documents.endpoint("chat", documents.openai("a", f"{hello.url}/v1"))])
    with gateway:
        pass
    gateway.write("endpoints/chat.yaml", "name: chat\nconfigg: {}\n")
    with gateway:
        assert "endpoints/chat.yaml:2:1" in str(gateway.readyz()[1]["config_error"])
        with gateway.client() as client:
            assert client.post("/v1/chat/completions", json=documents.chat_body("chat")).status_code == 200
