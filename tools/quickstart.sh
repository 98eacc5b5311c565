#!/bin/sh
# From a fresh checkout to a first conversation, on Debian or anything with a C compiler and CMake:
# installs what is missing, builds, makes a small random model, converts it to GGUF and talks to it.
# Run it again at any time: what is done already is not done twice.
#
# usage: sh tools/quickstart.sh
set -eu
cd "$(dirname "$0")/.."
build=build/quickstart

step()
{
    printf '\n== %s\n' "$*"
}

# Print a command, then run it.
run()
{
    printf '$ %s\n' "$*"
    "$@"
}

# ---- 1. packages: a compiler and CMake are needed, the libraries are optional but wanted
missing=""
need() # need PACKAGE TEST...
{
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}
need gcc sh -c 'command -v cc || command -v gcc || command -v clang'
need libc6-dev test -f /usr/include/stdio.h
need cmake command -v cmake
need ninja-build sh -c 'command -v ninja || command -v make'
need pkg-config command -v pkg-config
need libjansson-dev pkg-config --exists jansson
need libhwloc-dev pkg-config --exists hwloc
need libxxhash-dev pkg-config --exists libxxhash
if [ -n "$missing" ]; then
    step "Installing$missing"
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        command -v sudo >/dev/null || { echo "please install:$missing"; exit 1; }
    fi
    command -v apt-get >/dev/null || { echo "please install:$missing (names as in Debian)"; exit 1; }
    run $as_root apt-get update -q
    # shellcheck disable=SC2086
    run $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
fi

# ---- 2. build
step "Building into $build"
generator=""
[ -f "$build/CMakeCache.txt" ] || ! command -v ninja >/dev/null || generator="-GNinja"
run cmake -S . -B "$build" $generator -DCMAKE_BUILD_TYPE=Release -DGGML_LITE_TESTS=OFF
run cmake --build "$build" -j "$(nproc 2>/dev/null || echo 2)"

# ---- 3. a model: random weights in the layout of the published checkpoints
if [ ! -f "$build/demo/config.json" ]; then
    step "Making a small random checkpoint"
    run "$build/bin/ggl-make-model" "$build/demo" --preset tiny
fi
if [ ! -f "$build/demo.gguf" ]; then
    step "Converting it to GGUF, without changing a number"
    run "$build/bin/gguf-convert" "$build/demo" "$build/demo.gguf"
fi

# ---- 4. talk
step "Talking to it (the weights are noise, and so are the answers)"
if [ -t 0 ] && [ -t 1 ]; then
    run "$build/bin/ggl-chat" -m "$build/demo.gguf" -n 64
else
    run "$build/bin/ggl-chat" -m "$build/demo.gguf" -n 64 -p "Hello"
fi
