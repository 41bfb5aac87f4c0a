"""Where the binaries, the recordings and the models are; a missing one ends the run with what to do."""
import os
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


def _place(variable, default, mend):
    path = Path(os.environ.get(variable) or default).resolve()
    if not path.exists():
        pytest.exit(f"{path} does not exist: {mend}, or point {variable} at it", returncode=2)
    return path


def gateway_binary():
    return _place("WEIRGATE_BIN", REPO / "target/debug/weirgate", "run `cargo build`")


def engine_binary():
    return _place("WEIRGATE_INFERENCE_BIN", REPO / "target/debug/weirgate-inference", "run `cargo build`")


def shared():
    return _place("WEIRGATE_SHARED", REPO.parent / "shared", "the recordings are kept outside the repository")


def _model(pattern):
    root = _place("WEIRGATE_MODELS", REPO / ".cache/models", "run `make models`")
    found = sorted(root.rglob(pattern))
    if not found:
        pytest.exit(f"no {pattern} under {root}: run `make models`, or point WEIRGATE_MODELS at the models", returncode=2)
    return found[0]


def chat_model():
    """The GGUF file of SmolLM2-135M-Instruct."""
    return _model("SmolLM2-135M-Instruct*.gguf")


def embedding_model():
    """The folder of all-MiniLM-L6-v2."""
    return _model("model.safetensors").parent


def replay_module():
    """The replay server of the shared recordings, as a module."""
    folder = str(shared() / "recorded")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    import replay
    return replay
