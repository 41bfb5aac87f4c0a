"""Endpoints on the local engine, and the engine's process."""
import os
import signal
from pathlib import Path

from . import documents, places

CHAT_ENDPOINT, EMBED_ENDPOINT, TEXT_ENDPOINT = "smol", "minilm", "smol-text"


def catalog():
    return [{"name": "system.ai.smollm2_135m_instruct", "version": "1", "task": documents.CHAT, "source": str(places.chat_model())},
            {"name": "system.ai.all_minilm_l6_v2", "version": "1", "task": documents.EMBEDDINGS,
             "source": str(places.embedding_model())},
            {"name": "system.ai.smollm2_135m_text", "version": "1", "task": documents.COMPLETIONS, "source": str(places.chat_model())}]


def entity(name, model):
    return {"name": name, "entity_name": model, "entity_version": "1"}


def chat_endpoint():
    return documents.endpoint(CHAT_ENDPOINT, entity("smollm2", "system.ai.smollm2_135m_instruct"))


def text_endpoint():
    return documents.endpoint(TEXT_ENDPOINT, entity("text", "system.ai.smollm2_135m_text"))


def embedding_endpoint():
    return documents.endpoint(EMBED_ENDPOINT, entity("minilm", "system.ai.all_minilm_l6_v2"))


def children(pid, program="weirgate-inference"):
    """The engine processes that this process started."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if not folder.name.isdigit():
                continue
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            state, parent = fields[0], int(fields[1])
            command = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
        except (OSError, ValueError):
            continue
        if parent == pid and state != "Z" and Path(command).name == program:
            found.append(int(folder.name))
    return sorted(found)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid):
    os.kill(pid, signal.SIGKILL)
