#!/bin/sh
# The demo model from nothing: vocabulary, the courses of training one after the other, checkpoint in the official layout,
# suite of held-out prompts.  A killed run goes on where it stopped when started again.
#
# usage: sh tools/train-demo/run.sh [OUT_DIR] [MINUTES_OF_EACH_COURSE...]
#
# PYTHON names an interpreter with PyTorch (default: Debian's, package python3-torch); BIN a folder with this
# project's tools, for the checks at the end (default: build/release/bin, left out if it is not there).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-build/train-demo}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 80 90 55 13 34 17 32
[ $# -eq 7 ] || { echo "run.sh: $# numbers of minutes, expected 7: a course each" >&2; exit 2; }
python=${PYTHON:-/usr/bin/python3}
bin=${BIN:-build/release/bin}

mkdir -p "$out"
seed=1 from=
for course in first second third fourth fifth sixth seventh; do
    if [ ! -d "$out/after-$course" ]; then
        "$python" "$here/train.py" "$out/$course" ${from:+--from "$from"} --course $course --minutes "$1" --seed $seed
        "$python" "$here/export.py" "$out/$course" "$out/after-$course.part"
        mv "$out/after-$course.part" "$out/after-$course"
    fi
    from=$out/after-$course seed=$((seed + 1))
    shift
    if [ $course = sixth ]; then
        from=$out/mixed
        rm -rf "$from"
        "$python" "$here/average.py" "$out/after-sixth" "$out/after-fourth" "$from"
    fi
done
rm -rf "$out/demo-model"
"$python" "$here/average.py" "$out/after-seventh" "$out/mixed" "$out/demo-model" --share 0.5
"$python" "$here/data.py" suite "$out/suite.jsonl"
if [ -x "$bin/gguf-convert" ]; then
    "$python" "$here/check.py" engine "$bin" "$out/$course"
    "$python" "$here/check.py" encoding "$bin" "$out/$course/tokenizer.json"
fi
