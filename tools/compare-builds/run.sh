#!/bin/sh
# Is the working tree faster than a revision?  Builds both and runs them in turn in one process, where the noise of a shared machine
# falls on both alike: 100 rounds of 4 tokens tell half a percent, when two runs of ggl-bench one after the other tell ten.
#
# usage: sh tools/compare-builds/run.sh REVISION MODEL.gguf [ROUNDS] [TOKENS] [--prompt]
#
# --prompt: TOKENS are evaluated at once instead of one by one.  WORK names a folder for what is built (default build/compare);
# CC and GGL_CPU_DISABLE as usual.  Linux, and revisions with the same public interface.
set -eu
[ $# -ge 2 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2; }
source=$(cd "$(dirname "$0")/../.." && pwd)
work=${WORK:-$source/build/compare}
revision=$1 model=$2
shift 2

# build SOURCE BUILD_DIR TARGET...
build() {
    cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release >/dev/null
    dir=$2
    shift 2
    cmake --build "$dir" -j "$(nproc)" --target "$@" >/dev/null
}

mkdir -p "$work"
git -C "$source" worktree prune
[ -d "$work/source" ] || git -C "$source" worktree add -q --detach "$work/source" "$revision"
trap 'git -C "$source" worktree remove --force "$work/source"' EXIT
git -C "$work/source" checkout -q --detach "$revision"
build "$work/source" "$work/before" ggml-lite
build "$source" "$work/after" ggml-lite compare-builds
"$work/after/bin/compare-builds" "$work/before/libggml-lite.so" "$work/after/libggml-lite.so" "$model" "${1:-100}" "${2:-4}" ${3:+"$3"}
