#!/bin/sh
# The demo model from nothing: vocabulary, two courses of training, checkpoint in the official layout, suite of held-out
# prompts.  A killed run goes on where it stopped when started again.
#
# usage: sh tools/train-demo/run.sh [OUT_DIR] [MINUTES] [MINUTES_OF_THE_SECOND_COURSE]
#
# PYTHON names an interpreter with PyTorch (default: Debian's, package python3-torch); BIN a folder with this
# project's tools, for the checks at the end (default: build/release/bin, left out if it is not there).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-build/train-demo}
minutes=${2:-80}
second=${3:-90}
python=${PYTHON:-/usr/bin/python3}
bin=${BIN:-build/release/bin}

mkdir -p "$out"
"$python" "$here/train.py" "$out/first" --minutes "$minutes" --seed 1
[ -d "$out/after-first" ] || "$python" "$here/export.py" "$out/first" "$out/after-first"
"$python" "$here/train.py" "$out/run" --from "$out/after-first" --course second --minutes "$second" --seed 2
"$python" "$here/export.py" "$out/run" "$out/demo-model"
"$python" "$here/data.py" suite "$out/suite.jsonl"
if [ -x "$bin/gguf-convert" ]; then
    "$python" "$here/check.py" engine "$bin" "$out/run"
    "$python" "$here/check.py" encoding "$bin" "$out/run/tokenizer.json"
fi
