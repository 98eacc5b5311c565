# Logits have the same bits with AVX-512, with AVX2 alone and in plain C, in both precisions, for 1 and 3 threads.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
model=$VECTORS/model/micro
tr -s ' \n\t' '\n' <"$model/tokens.txt" | head -n 90 >"$tmp/tokens"
for precision in f32 fast; do
    first=""
    for disable in none intel avx512,intel avx512vnni,avx512bf16,avx512vbmi avx512 avx512,avx2; do
        for threads in 1 3; do
            GGL_CPU_DISABLE=$disable "$BIN/ggl-eval" -q -m "$model/checkpoint" --tokens "$tmp/tokens" --precision $precision \
                -t $threads --chunk 41 --logits "$tmp/$precision-$disable-$threads"
            if [ -z "$first" ]; then
                first=$tmp/$precision-$disable-$threads
            elif ! cmp -s "$first" "$tmp/$precision-$disable-$threads"; then
                echo "precision $precision, without $disable, $threads threads: other logits"
                exit 1
            fi
        done
    done
done
# The types of community files, each with kernels of its own.
tr -s ' \n\t' '\n' <"$VECTORS/gguf/tokens.txt" | head -n 30 >"$tmp/tokens"
for file in Q2_K IQ3_S Q4_K_M-split-00001-of-00004; do
    for disable in none intel avx512 avx512,avx2; do
        GGL_CPU_DISABLE=$disable "$BIN/ggl-eval" -q -m "$VECTORS/gguf/micro-$file.gguf" --tokens "$tmp/tokens" --precision fast \
            -t 2 --chunk 17 --logits "$tmp/$file-$disable"
        cmp -s "$tmp/$file-none" "$tmp/$file-$disable" || {
            echo "$file, without $disable: other logits"
            exit 1
        }
    done
done
if cmp -s "$tmp/f32-none-1" "$tmp/fast-none-1"; then
    echo "both precisions give the same logits: fast is not in use"
    exit 1
fi
