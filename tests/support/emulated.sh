# The same logits on an emulated processor as on this one: published checkpoints' numbers (a small model as GGUF, in both
# profiles of gguf-convert) and the types of community files, in both precisions, with one to three threads.  AMX and
# AVX512FP16, which round their own way, are left out.
#
# usage: sh tests/support/emulated.sh BIN OTHER_BIN EMULATOR CPU...
#   BIN        folder of this machine's tools
#   OTHER_BIN  folder of the tools to run as `EMULATOR tool`, once with each CPU in the environment as QEMU_CPU
set -eu
bin=$1
other=$2
emulator=$3
shift 3
vectors=$(dirname "$0")/../vectors
tmp=$(mktemp -d "${TMPDIR:-/tmp}/ggl-emulated.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

for profile in native native-int4; do
    "$bin/gguf-convert" -q --type $profile "$vectors/model/micro/checkpoint" "$tmp/$profile.gguf"
done
tr -s ' \n\t' '\n' <"$vectors/model/micro/tokens.txt" | head -n 24 >"$tmp/tokens"
compared=0
for model in "$tmp/native" "$tmp/native-int4" "$vectors/gguf/micro-Q2_K" "$vectors/gguf/micro-IQ3_S" \
    "$vectors/gguf/micro-Q4_K_M-split-00001-of-00004"; do
    for precision in f32 fast; do
        GGL_CPU_DISABLE=amx,avx512fp16 "$bin/ggl-eval" -q -m "$model.gguf" --tokens "$tmp/tokens" --precision $precision -t 1 --chunk 17 --logits "$tmp/here"
        for cpu; do
            threads=$((compared % 3 + 1))
            QEMU_CPU=$cpu $emulator "$other/ggl-eval" -q -m "$model.gguf" --tokens "$tmp/tokens" --precision $precision \
                -t $threads --chunk 17 --logits "$tmp/there"
            cmp -s "$tmp/here" "$tmp/there" || {
                echo "$(basename "$model"), precision $precision, $cpu, $threads threads: other logits"
                exit 1
            }
            rm "$tmp/there"
            compared=$((compared + 1))
        done
    done
done
echo "the same logits $compared times"
