#!/bin/sh
# Everything that a change has to pass, on Debian 12 from a bare system: installs what is missing, then
#
#   sanitizers  gcc, ASan and UBSan, all tests
#   clang       clang without warnings, all program tests
#   minimal     a C compiler and CMake, every optional library off
#   arm64       on x86-64: cross-compiled and emulated, with NEON alone, dot products and matrix products of integers;
#               the same logits as here
#   baseline    on x86-64: the release build on an emulated processor without AVX; the same logits as here
#   release     gcc without warnings, all tests; its ctest summary is the last thing on stdout
#
# usage: sh tests/run.sh        build trees: build/{sanitizers,clang,minimal,arm64,release}, logs beside them
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD
jobs=$(nproc 2>/dev/null || echo 2)
failed=""

say()
{
    printf '== %s\n' "$*"
}

# ---- packages

missing=""
need() # need PACKAGE TEST...: the package, unless the test succeeds already
{
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

list_missing()
{
    missing=""
    need gcc command -v gcc
    need g++ command -v g++
    need libc6-dev test -f /usr/include/stdio.h
    need make command -v make
    need binutils command -v nm
    need clang command -v clang
    need cmake command -v cmake
    need ninja-build command -v ninja
    need pkg-config command -v pkg-config
    need xz-utils command -v xz
    need libcmocka-dev pkg-config --exists cmocka
    need libjansson-dev pkg-config --exists jansson
    need libhwloc-dev pkg-config --exists hwloc
    need libxxhash-dev pkg-config --exists libxxhash
    need libopenblas-openmp-dev pkg-config --exists openblas
    [ "$(uname -m)" = x86_64 ] || return 0
    need gcc-aarch64-linux-gnu command -v aarch64-linux-gnu-gcc
    need libc6-dev-arm64-cross test -f /usr/aarch64-linux-gnu/include/stdio.h
    need qemu-user command -v qemu-aarch64
    need libcmocka-dev:arm64 env PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config --exists cmocka
}

install_missing()
{
    list_missing
    [ -n "$missing" ] || return 0
    say "installing:$missing"
    as_root=""
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 && as_root="sudo"
    fi
    if command -v apt-get >/dev/null 2>&1; then
        case $missing in *:arm64*) $as_root dpkg --add-architecture arm64 ;; esac
        $as_root apt-get update -q >/dev/null || say "apt-get update failed"
        # shellcheck disable=SC2086
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >/dev/null ||
            say "apt-get install failed"
    fi
    list_missing
    [ -z "$missing" ] || say "still missing:$missing"
}

# ---- stages

# stage NAME COMMAND...: its output goes to a log, of which failed tests and the end are shown when it fails
stage()
{
    name=$1
    shift
    log=build/$name.log
    start=$(date +%s)
    if ("$@") >"$log" 2>&1; then
        summary=$(grep -E '^[0-9]+% tests passed' "$log" | tail -n 1)
        say "$name: ok${summary:+, $summary} ($(($(date +%s) - start)) s)"
    else
        failed="$failed $name"
        say "$name: FAILED ($(($(date +%s) - start)) s); the end of $root/$log:"
        awk '/\*\*\*(Failed|Timeout|Exception|Not Run)/ { n = 60 } /^ *Start +[0-9]+:/ { n = 0 } n-- > 0' "$log"
        tail -n 60 "$log"
    fi
}

build() # build NAME CMAKE-OPTIONS...
{
    name=$1
    shift
    cmake -S . -B "build/$name" -G Ninja "$@" && cmake --build "build/$name" -j "$jobs"
}

check() # check NAME CTEST-OPTIONS...
{
    name=$1
    shift
    ctest --test-dir "build/$name" -j "$jobs" --output-on-failure --no-label-summary --no-tests=error "$@"
}

sanitizers()
{
    build sanitizers -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGGML_LITE_SANITIZE=ON &&
        ASAN_OPTIONS=allocator_may_return_null=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
            check sanitizers
}

clang_build()
{
    build clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Release -DGGML_LITE_WERROR=ON &&
        check clang -LE script
}

minimal()
{
    build minimal -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release -DGGML_LITE_WERROR=ON -DGGML_LITE_OPENMP=OFF \
        -DGGML_LITE_OPENBLAS=OFF -DGGML_LITE_HWLOC=OFF -DGGML_LITE_XXHASH=OFF -DGGML_LITE_JANSSON=OFF \
        -DGGML_LITE_TESTS=OFF || return 1
    for tool in build/minimal/bin/gguf-convert build/minimal/bin/ggl-*; do
        "$tool" --help >/dev/null && "$tool" --version || return 1
    done
}

# emulated NAME CPU CTEST-OPTIONS...: fewer cases of each kernel, everything takes fifty times as long
emulated()
{
    name=$1
    cpu=$2
    shift 2
    QEMU_CPU=$cpu GGL_TEST_QUICK=1 check "$name" -LE script "$@"
}

levels() # levels CPU "LEVEL...": what the library finds there, so that nothing is passed over in silence
{
    found=$(QEMU_CPU=$1 qemu-aarch64 build/arm64/tests/test-ggml-lite-cpu | sed -n 's/^  *\([a-z0-9]*\)$/\1/p' | tr '\n' ' ')
    [ "$found" = "$2 " ] || {
        echo "$1 has the levels \"$found\", not \"$2\""
        return 1
    }
}

arm64()
{
    leveled='^kernels/(kquant|mxfp4|panel|peak|vec)$' # those with kernels above NEON, and what is picked
    # Many evaluations, for which emulated.sh stands; tests that start tools, which only the emulator could.
    left_out='^(model/(broken|cancel_race|logits|oom|session|steps|synthetic)|gguf-convert/dialects|tools/(chat_pty|divergence|inspect_output))$'
    build arm64 --toolchain cmake/aarch64-linux-gnu.cmake -DCMAKE_BUILD_TYPE=Release -DGGML_LITE_WERROR=ON \
        -DGGML_LITE_OPENMP=OFF -DGGML_LITE_OPENBLAS=OFF -DGGML_LITE_HWLOC=OFF -DGGML_LITE_XXHASH=OFF \
        -DGGML_LITE_JANSSON=OFF &&
        levels cortex-a53 "neon" && levels neoverse-n1 "neon dotprod" && levels max "neon dotprod i8mm" &&
        emulated arm64 neoverse-n1 -R "$leveled" &&
        emulated arm64 max -R "$leveled" &&
        emulated arm64 cortex-a53 -E "$left_out" &&
        sh tests/support/emulated.sh build/release/bin build/arm64/bin qemu-aarch64 cortex-a53 neoverse-n1 max
}

# The processor refuses every instruction that a file without flags of its own should not have.  The comparison with
# OpenBLAS stays outside, as on arm64: its threads have crashed the emulator.  It runs natively, at this level, too.
baseline()
{
    printf '%s\n' build/release/tests/test-kernels-* | grep -v openblas |
        QEMU_CPU=Nehalem GGL_TEST_QUICK=1 xargs -P "$jobs" -n 1 qemu-x86_64 &&
        sh tests/support/emulated.sh build/release/bin build/release/bin qemu-x86_64 Nehalem &&
        GGL_CPU_DISABLE=avx2 check release -R '^(kernels|ggml-lite)/'
}

install_missing
mkdir -p build
stage sanitizers sanitizers
stage clang clang_build
stage minimal minimal
stage release-build build release -DCMAKE_C_COMPILER=gcc -DCMAKE_BUILD_TYPE=Release -DGGML_LITE_WERROR=ON
if [ "$(uname -m)" = x86_64 ]; then
    stage arm64 arm64
    stage baseline baseline
fi
[ -z "$failed" ] || say "FAILED so far:$failed"
check release || failed="$failed release"
[ -z "$failed" ]
