#!/bin/sh
# Installs what the guests of the tests are built with, where it is missing: compilers from apt, and what testdata/pins names, each version with its
# hash, from PyPI and npm into the folder of guesttest.Cache. Quick when all is there. Called by `make install-tools`.
set -eu
pins=$(cd "$(dirname "$0")" && pwd)/testdata/pins

case $(uname -s) in
Darwin) cache=$HOME/Library/Caches ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
esac
tools=$cache/caisson-guests/tools

# folder PINS: what the pins name is in the folder that is named by their hash, so that new pins are a new folder.
folder() { echo "$tools/$(sha256sum "$pins/$1" | cut -c 1-32)"; }

missing=
lacks() { ! ls -d "$@" >/dev/null 2>&1; }
command -v clang >/dev/null || missing="$missing clang"
command -v wasm-ld >/dev/null || missing="$missing lld"
command -v node >/dev/null || missing="$missing nodejs"
lacks "$(folder package-lock.json)" && { command -v npm >/dev/null || missing="$missing npm"; }
lacks "$(folder requirements.txt)" && { python3 -m pip --version >/dev/null 2>&1 || missing="$missing python3-pip"; }
if command -v apt-get >/dev/null; then
	lacks /usr/lib/wasm32-wasi/libc.a && missing="$missing wasi-libc"
	lacks /usr/lib/llvm-*/lib/clang/*/lib/wasi/libclang_rt.builtins-wasm32.a && missing="$missing libclang-rt-dev-wasm32"
	lacks /usr/bin/rustc && missing="$missing rustc" # rustup's has no standard library for WASI
	lacks /usr/lib/rustlib/wasm32-wasi* && missing="$missing libstd-rust-dev-wasm32"
fi
if [ -n "$missing" ]; then
	command -v apt-get >/dev/null || { echo "install these, then try again:$missing" >&2; exit 1; }
	sudo=$([ "$(id -u)" = 0 ] || command -v sudo)
	echo "installing:$missing"
	$sudo apt-get update -qq
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

# into PINS COMMAND...: runs the command in an empty folder that becomes the one of the pins.
into() {
	lacks "$(folder "$1")" || return 0
	echo "installing: what $1 names"
	mkdir -p "$tools"
	fresh=$(mktemp -d "$tools/.install-XXXXXX")
	trap 'rm -rf "$fresh"' EXIT
	chmod 755 "$fresh"
	(cd "$fresh" && "$2")
	mv "$fresh" "$(folder "$1")"
}
from_pypi() { python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile --no-deps --only-binary :all: --require-hashes --target . --requirement "$pins/requirements.txt"; }
from_npm() {
	cp "$pins/package.json" "$pins/package-lock.json" .
	npm ci --silent --ignore-scripts --no-audit --no-fund
}
into requirements.txt from_pypi
into package-lock.json from_npm
