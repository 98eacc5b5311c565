# Logits have the same bits with AVX-512, with AVX2 alone and in plain C, in both precisions, for 1 and 3 threads and however a
# prompt is cut.  AMX and AVX512FP16 add in orders of their own: in precision fast they need only agree with themselves.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
model=$VECTORS/model/micro
tr -s ' \n\t' '\n' <"$model/tokens.txt" | head -n 90 >"$tmp/tokens"

# logits NAME DISABLE PRECISION THREADS CHUNK MODEL
logits() {
    GGL_CPU_DISABLE=$2 "$BIN/ggl-eval" -q -m "$6" --tokens "$tmp/tokens" --precision "$3" -t "$4" --chunk "$5" --logits "$tmp/$1"
}

# same NAME FIRST WHAT
same() {
    cmp -s "$tmp/$1" "$tmp/$2" || {
        echo "$3: other logits"
        exit 1
    }
}

for precision in f32 fast; do
    for disable in none amx; do
        logits $precision-$disable $disable $precision 1 41 "$model/checkpoint"
        for threads in 1 3; do
            for chunk in 7 41; do
                logits again $disable $precision $threads $chunk "$model/checkpoint"
                same again $precision-$disable "precision $precision, without $disable, $threads threads, chunks of $chunk"
            done
        done
    done
    logits $precision-plain avx512,avx2 $precision 1 41 "$model/checkpoint"
    for disable in amx,avx512fp16 amx,intel avx512,intel avx512vnni,avx512bf16,avx512vbmi,avx512fp16 avx512 avx512,avxvnni avx512,avx2; do
        for threads in 1 3; do
            logits again $disable $precision $threads 41 "$model/checkpoint"
            same again $precision-plain "precision $precision, without $disable, $threads threads"
        done
    done
done
same f32-none f32-plain "precision f32, everything in use"
same f32-amx f32-plain "precision f32, without AMX"
grep -Eq '^flags.* (amx_int8|avx512_fp16)' /proc/cpuinfo 2>/dev/null ||
    same fast-none fast-plain "precision fast, everything in use, which is neither AMX nor AVX512FP16"

# The types of community files, each with kernels of its own.
tr -s ' \n\t' '\n' <"$VECTORS/gguf/tokens.txt" | head -n 30 >"$tmp/tokens"
for file in Q2_K IQ3_S Q4_K_M-split-00001-of-00004; do
    logits $file-plain avx512,avx2 fast 2 17 "$VECTORS/gguf/micro-$file.gguf"
    for disable in amx,avx512fp16 amx,intel avx512 avx512,avxvnni; do
        logits again $disable fast 2 17 "$VECTORS/gguf/micro-$file.gguf"
        same again $file-plain "$file, without $disable"
    done
done
if cmp -s "$tmp/f32-none" "$tmp/fast-none"; then
    echo "both precisions give the same logits: fast is not in use"
    exit 1
fi
