#!/bin/sh
# From a fresh checkout to a first conversation, on Debian or anything with a C compiler and CMake:
# installs what is missing, builds, converts the demo model (examples/demo-model) to GGUF and talks to it.
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

# ---- 3. a model: ten million parameters, trained for this; a conversion changes no number, and --verify shows it
if [ ! "$build/demo.gguf" -nt examples/demo-model/model-00001-of-00001.safetensors ]; then
    step "Converting the demo model to GGUF"
    run "$build/bin/gguf-convert" examples/demo-model "$build/demo.gguf" --force --verify
fi

# ---- 4. talk
if [ -t 0 ] && [ -t 1 ]; then
    step "Talking to it: capitals, sums, units, days, months, spelling, lists to remember (/help, Ctrl-D ends)"
    run "$build/bin/ggl-chat" -m "$build/demo.gguf" --temp 0
else
    step "Talking to it (on a terminal it would wait for your questions)"
    rm -f "$build/conversation"
    while read -r line; do
        printf '\n> %s\n' "$line"
        "$build/bin/ggl-chat" -m "$build/demo.gguf" --temp 0 -q --session "$build/conversation" -p "$line" </dev/null
    done <tools/quickstart.txt
    printf '\nTo go on: %s/bin/ggl-chat -m %s/demo.gguf --temp 0\n' "$build" "$build"
fi
