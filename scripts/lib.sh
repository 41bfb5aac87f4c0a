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

# Builds what the benches need; WEIRGATE_BIN names a gateway that is there already.
build_benches() {
    say "Building for release"
    cargo build --quiet --release --locked -p weirgate-benches
    if [ -z "${WEIRGATE_BIN:-}" ]; then
        cargo build --quiet --release --locked -p weirgate-proxy
        WEIRGATE_BIN=$target/release/weirgate
    fi
}
