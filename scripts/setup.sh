#!/usr/bin/env bash
# Installs what a step needs and is not here yet: scripts/setup.sh rust|wasm|python|python-dev|npm|chromium…
# Each part says what it does, does nothing the second time, and fails naming what is missing and how to get it.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=${VENV:-.venv}
PYTHON=${PYTHON:-python3}

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
fail() {
    printf 'rackrate: %s\n' "$*" >&2
    exit 1
}

# at_least HAVE WANT: whether version HAVE is not below WANT.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# debian PACKAGE…: installs Debian packages where this machine and user can.
debian() {
    command -v apt-get >/dev/null || return 1
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

rust() {
    command -v cargo >/dev/null || fail "cargo is missing: install Rust with rustup (https://rustup.rs), then run this again"
    local have want
    have=$(rustc --version | cut -d' ' -f2)
    want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    at_least "$have" "$want" || fail "Rust $have is too old, $want or newer is needed: rustup update stable"
    command -v cc >/dev/null || {
        say "Installing a C compiler (Rust links with it)"
        debian gcc libc6-dev || fail "cc is missing: install a C compiler (Debian: apt install gcc libc6-dev)"
    }
}

wasm() {
    rust
    local target=wasm32-unknown-unknown
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] && return
    command -v rustup >/dev/null ||
        fail "the Rust target $target is missing and rustup is not here to add it: install Rust with rustup (https://rustup.rs)"
    say "Installing the Rust target $target"
    rustup target add "$target" || fail "rustup could not add $target: check the network and run this again"
}

# venv GROUP STAMP: a virtual environment with one dependency group of pyproject.toml.
venv() {
    local group=$1 stamp=$VENV/.ready-$1
    [ -f "$stamp" ] && [ "$stamp" -nt pyproject.toml ] && return
    command -v "$PYTHON" >/dev/null || fail "$PYTHON is missing: install Python 3.11 or newer, or name one with PYTHON=…"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$("$PYTHON" --version) is too old: install Python 3.11 or newer, or name one with PYTHON=…"
    if [ ! -x "$VENV/bin/python" ]; then
        say "Making the Python environment $VENV"
        "$PYTHON" -m venv "$VENV" || {
            rm -rf "$VENV"
            debian python3-venv && "$PYTHON" -m venv "$VENV"
        } || fail "$PYTHON cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)"
    fi
    say "Installing Python packages ($group)"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' &&
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --group "$group" ||
        fail "pip could not install the group $group of pyproject.toml: check the network and run this again"
    touch "$stamp"
}

npm_packages() {
    command -v node >/dev/null && command -v npm >/dev/null ||
        fail "node or npm is missing: install Node.js 20.19 or newer with npm (Debian: apt install nodejs npm)"
    local have
    have=$(node --version | tr -d v)
    at_least "$have" 20.19 || fail "Node.js $have is too old, 20.19 or newer is needed"
    local done=web/node_modules/.package-lock.json
    [ -f "$done" ] && [ ! web/package-lock.json -nt "$done" ] && return
    say "Installing npm packages by web/package-lock.json"
    # Not `npm ci`: it demands every optional package of every platform in the lockfile, and a mirror may carry only
    # its own. This takes the versions and checksums of the lockfile all the same, and does not write it.
    npm --prefix web install --no-save --no-audit --no-fund --loglevel=error ||
        fail "npm could not install web/package-lock.json: check the network and run this again"
    touch "$done"
}

find_chromium() {
    local name
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable chrome; do
        # A path, not the name: a function of this script has the same.
        [ -n "$name" ] && type -P "$name" && return
    done
    return 1
}

chromium() {
    find_chromium >/dev/null && return
    say "Installing Chromium for the browser tests"
    debian chromium && find_chromium >/dev/null ||
        fail "no Chromium is here and none could be installed: install chromium, or name one with CHROMIUM=/path/to/chrome"
}

for part in "$@"; do
    case $part in
    rust) rust ;;
    wasm) wasm ;;
    python) venv build ;;
    python-dev) venv dev ;;
    npm) npm_packages ;;
    chromium) chromium ;;
    find-chromium) find_chromium ;;
    *) fail "setup.sh knows rust, wasm, python, python-dev, npm, chromium and find-chromium, not $part" ;;
    esac
done
