#!/bin/sh
# How good the demo model is in every type of file: the suite, and divergence from the native file's predictions on
# held-out conversations.  What docs/demo-model.md has, with a few minutes of two cores.
#
# usage: sh tools/train-demo/measure.sh [WORK_DIR] [DEMO_MODEL] [SUITE]
#
# PYTHON names an interpreter (no PyTorch is needed: default python3), BIN a folder with the tools, TYPES other types, THREADS a number.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-build/measure-demo}
demo=${2:-examples/demo-model}
suite=${3:-examples/demo-suite.jsonl}
python=${PYTHON:-python3}
bin=${BIN:-build/release/bin}
types=${TYPES:-native compat native-int4 Q8_0 Q4_K_M Q2_K}

mkdir -p "$work"
"$python" "$here/data.py" tokens "$demo/tokenizer.json" "$work/tokens"

for type in $types; do
    "$bin/gguf-convert" -q "$demo" "$work/$type.gguf" --type "$type" --force
    "$bin/ggl-eval" -q -t "${THREADS:-0}" -m "$work/$type.gguf" --precision fast --suite "$suite" --answers "$work/$type.answers" >"$work/$type.table"
    : >"$work/$type.divergence"
    for tokens in "$work"/tokens/*.txt; do
        base=${tokens%.txt}.f32
        if [ "$type" = native ]; then "$bin/ggl-eval" -q -t "${THREADS:-0}" -m "$work/native.gguf" --tokens "$tokens" --logits "$base"
        else "$bin/ggl-eval" -q -t "${THREADS:-0}" -m "$work/$type.gguf" --tokens "$tokens" --kl-base "$base" >>"$work/$type.divergence"
        fi
    done
    printf '== %s, %d bytes\n' "$type" "$(wc -c <"$work/$type.gguf")"
    cat "$work/$type.table"
    awk '/^Mean +KLD:/ {k += $3; n++} /^Same top p:/ {t += $4}
        END {if (n) printf "mean KLD %.6f, same top token %.2f %%, over %d conversations\n", k / n, t / n, n}' "$work/$type.divergence"
done
