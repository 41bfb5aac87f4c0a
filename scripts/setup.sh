#!/usr/bin/env bash
# Finds what this machine lacks for the jobs named (build, models, check, test, bench, bench-identity) and, on Debian and Ubuntu, installs it.
. "$(dirname "$0")/lib.sh"

rust_wanted=95 # minor version of `rust-version` in Cargo.toml

python_has() { have python3 && python3 -c "import $1" 2>/dev/null; }

rust_is_new_enough() {
    have cargo || return 1
    local minor
    minor=$(rustc --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge "$rust_wanted" ]
}

# Prints one Debian package per line for each thing that the job $1 needs and that is not here.
lacking() {
    case $1 in
    build)
        if ! have cc || ! have make; then echo build-essential; fi
        have cmake || echo cmake
        have cargo || echo rustup
        ;;
    models | test)
        have python3 || echo python3
        python_has venv,ensurepip || echo python3-venv
        ;;
    check) have python3 || echo python3 ;;
    bench)
        have python3 || echo python3
        have nginx || [ -x /usr/sbin/nginx ] || echo nginx
        ;;
    bench-identity)
        have python3 || echo python3
        have valgrind || echo valgrind
        ;;
    *) die "setup.sh knows build, models, check, test, bench and bench-identity, not '$1'" ;;
    esac
}

lacking_for() {
    for job in "$@"; do lacking "$job"; done | sort -u | paste -sd ' ' -
}

rust_hint="Rust 1.$rust_wanted or newer is needed: install it as https://rustup.rs says, then run this again"

apt_install() {
    local lacks="this machine lacks: $*."
    [[ " $* " != *" rustup "* ]] || lacks="$lacks $rust_hint."
    have apt-get || die "$lacks Install what is missing with the system's package manager (the names are Debian's)"
    local sudo=
    if [ "$(id -u)" -ne 0 ]; then
        have sudo || die "$lacks Run as root: apt-get install $*"
        sudo=sudo
    fi
    local apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300"
    local log=$cache/setup.log
    mkdir -p "$cache"
    say "Installing with apt-get: $* (log: .cache/setup.log)"
    # A mirror that cannot be reached matters only if the installation then fails.
    $apt update </dev/null >"$log" 2>&1 || true
    if [[ " $* " == *" rustup "* ]] && ! apt-cache show rustup >/dev/null 2>&1; then die "$rust_hint"; fi
    $apt install -y --no-install-recommends "$@" </dev/null >>"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        die "apt-get could not install: $*"
    }
}

[ $# -gt 0 ] || die "say what for: setup.sh build|models|check|test|bench|bench-identity ..."

missing=$(lacking_for "$@")
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    apt_install $missing
    if [[ " $missing " == *" rustup "* ]]; then
        say "Installing the stable Rust toolchain with rustup"
        rustup toolchain install stable --profile minimal -c rustfmt -c clippy
        rustup default stable
    fi
    hash -r
    missing=$(lacking_for "$@")
    [ -z "$missing" ] || die "still missing after apt-get: $missing. Is another one first in PATH?"
fi

for job in "$@"; do
    case $job in
    build) rust_is_new_enough || die "$rust_hint (found: $(rustc --version)). With rustup: rustup update stable" ;;
    check)
        python_has tomllib || die "make check needs Python 3.11 or newer (found: $(python3 --version))"
        for component in rustfmt clippy; do
            have cargo-${component/rustfmt/fmt} || rustup component add "$component"
        done
        ;;
    test)
        # The requirements as installed are kept in the environment: nothing to do while they are the same.
        if ! cmp -s tests/requirements.txt .venv/requirements.txt; then
            say "Preparing the Python environment of the tests in .venv"
            rm -rf .venv
            python3 -m venv .venv
            .venv/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt
            cp tests/requirements.txt .venv/requirements.txt
        fi
        ;;
    esac
done
