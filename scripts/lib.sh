# Sourced by the other scripts: places and messages.
# shellcheck shell=bash disable=SC2034

set -eu

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

cache=$root/.cache
models=${WEIRGATE_MODELS:-$cache/models}
target=${CARGO_TARGET_DIR:-$root/target}

# A login shell would have it; `make` from an editor or a service may not.
if [ -d "$HOME/.cargo/bin" ]; then PATH=$PATH:$HOME/.cargo/bin; fi

say() { printf '==> %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Builds the gateway to be measured; WEIRGATE_BIN names one that is there already.
release_gateway() {
    [ -z "${WEIRGATE_BIN:-}" ] || return 0
    say "Building for release"
    cargo build --quiet --release --locked -p weirgate-proxy
    WEIRGATE_BIN=$target/release/weirgate
}

# What every run of the end to end tests needs: tools, models, both binaries, and where they are.
prepare_tests() {
    scripts/setup.sh build models test
    scripts/models.sh
    export WEIRGATE_MODELS=$models
    export WEIRGATE_BIN=$target/debug/weirgate
    export WEIRGATE_INFERENCE_BIN=$target/debug/weirgate-inference
    export WEIRGATE_SHARED=${WEIRGATE_SHARED:-$root/../shared}
    say "Building"
    cargo build --locked -p weirgate-proxy -p weirgate-inference
}
