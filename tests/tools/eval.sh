# ggl-eval: sizes of what it writes, the same bits however it is called, and how it fails.
. "$SOURCE/tests/support/script.sh"
eval=$BIN/ggl-eval
model=$VECTORS/gguf/micro-Q2_K.gguf
split=$VECTORS/gguf/micro-Q4_K_M-split-00001-of-00004.gguf
dir=$VECTORS/model/pro-order/checkpoint
vocab=512
head -c 140 "$VECTORS/gguf/tokens.txt" | sed 's/[0-9]*$//' >"$tmp/tokens"
n=$(wc -w <"$tmp/tokens")
[ "$n" -gt 20 ] || fail "no tokens"

size() # size FILE BYTES
{
    [ "$(wc -c <"$1")" -eq "$2" ] || fail "$1 has $(wc -c <"$1") bytes, expected $2"
}
same()
{
    cmp "$1" "$2" >"$tmp/out" || fail "$1 and $2 differ"
}

# ---- what is written

status 0 "$eval" -m "$model" --tokens "$tmp/tokens" --logits "$tmp/logits"
size "$tmp/logits" $((n * vocab * 4))
[ ! -s "$tmp/out" ] || fail "something on stdout"
for chunk in 1 3 1000; do
    status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" --logits "$tmp/again" --chunk $chunk --threads $((chunk % 3 + 1))
    same "$tmp/logits" "$tmp/again"
    [ ! -s "$tmp/err" ] || fail "--quiet is not quiet"
done
status 0 "$eval" --quiet --model "$model" --tokens - --logits="$tmp/again" --precision f32 --cache-rounding on <"$tmp/tokens"
same "$tmp/logits" "$tmp/again"
status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" --logits "$tmp/again" --cache-rounding off
size "$tmp/again" $((n * vocab * 4))
! cmp -s "$tmp/logits" "$tmp/again" || fail "--cache-rounding off changes nothing"
tr ' ' '\n' <"$tmp/tokens" | sed 's/$/\r\n\t/' >"$tmp/other-blanks"
status 0 "$eval" -q -m "$model" --tokens "$tmp/other-blanks" --logits "$tmp/again"
same "$tmp/logits" "$tmp/again"
status 0 "$eval" -q -m "$split" --tokens "$tmp/tokens" --logits "$tmp/again"
size "$tmp/again" $((n * vocab * 4))
status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" # nothing asked for: still evaluated

# Rows of intermediates: the width is the layer's.
dumps="L0.attn.in:256 L0.attn.q:512 L0.attn.kv:128 L1.attn.selected:17 L1.attn.out:256 L0.ffn.in:256 L2.ffn.experts:2
L2.ffn.gains:2 L2.ffn.out:256 L2.h:1024"
set --
for d in $dumps; do set -- "$@" --dump "${d%:*}=$tmp/${d%:*}"; done
status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" "$@" --dump "L1.attn.compressed=$tmp/L1.attn.compressed" \
    --dump "L1.attn.index_keys=$tmp/L1.attn.index_keys" --logits "$tmp/again"
same "$tmp/logits" "$tmp/again"
for d in $dumps; do size "$tmp/${d%:*}" $((n * ${d#*:} * 4)); done
size "$tmp/L1.attn.compressed" $((n / 4 * 128 * 4))
size "$tmp/L1.attn.index_keys" $((n / 4 * 128 * 4))
status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" --chunk 1 --dump "L2.h=$tmp/again"
same "$tmp/L2.h" "$tmp/again"

status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" --perplexity
[ "$(wc -l <"$tmp/out")" -eq 1 ] || fail "--perplexity is not one line"
grep -Eq "^perplexity [0-9]+\.[0-9]+ over $((n - 1)) tokens$" "$tmp/out" || fail "--perplexity"

# Another model's logits: the perplexities are the same as each model's own.
status 0 "$eval" -q -m "$split" --tokens "$tmp/tokens" --logits "$tmp/base" --perplexity
other=$(sed 's/^perplexity \([0-9.]*\) .*/\1/' "$tmp/out")
status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" --kl-base "$tmp/base" --perplexity --chunk 3
own=$(sed -n 's/^perplexity \([0-9.]*\) .*/\1/p' "$tmp/out")
says "$tmp/out" "PPL(Q)                   : $own"
says "$tmp/out" "PPL(base)                : $other"

# An importance matrix: the file of llama.cpp, the same however the tokens are cut; it replaces an older one.
status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" --imatrix "$tmp/imatrix" --logits "$tmp/again"
same "$tmp/logits" "$tmp/again"
[ ! -s "$tmp/out" ] || fail "something on stdout"
status 0 "$BIN/ggl-inspect" "$tmp/imatrix"
says "$tmp/out" "general.type"
for t in blk.0.attn_q_a blk.2.ffn_gate_exps blk.2.ffn_up_exps blk.2.ffn_down_exps blk.1.indexer.proj blk.0.hc_ffn_fn output; do
    says "$tmp/out" " $t.weight.in_sum2 "
    says "$tmp/out" " $t.weight.counts "
done
cp "$tmp/imatrix" "$tmp/first"
status 0 "$eval" -q -m "$model" --tokens "$tmp/tokens" --imatrix "$tmp/imatrix" --chunk 5 --threads 2
same "$tmp/imatrix" "$tmp/first"

# A vocabulary that cannot be used is worth a warning, no more; --quiet says nothing (above).
status 0 "$eval" -m "$model" --tokens "$tmp/tokens"
says "$tmp/err" "ggl-eval: warning: "
says "$tmp/err" tokenizer

# ---- a checkpoint directory, with draft logits

"$eval" -q -m "$dir" --tokens "$tmp/tokens" >/dev/null 2>"$tmp/err" || true
if grep -q jansson "$tmp/err"; then
    echo "no checkpoint directories in this build"
else
    seq 0 65 >"$tmp/few"
    status 0 "$eval" -q -m "$dir" --tokens "$tmp/few" --logits "$tmp/l" --draft-logits "$tmp/d" --dump "M0.h=$tmp/m" \
        --dump "L0.attn.in=$tmp/in"
    size "$tmp/l" $((66 * 67 * 4))
    size "$tmp/d" $((65 * 67 * 4))
    size "$tmp/m" $((65 * 2 * 96 * 4))
    size "$tmp/in" $((66 * 96 * 4))
    status 0 "$eval" -q -m "$dir" --tokens "$tmp/few" --logits "$tmp/l1" --draft-logits "$tmp/d1" --chunk 7
    same "$tmp/l" "$tmp/l1"
    same "$tmp/d" "$tmp/d1"
    echo 5 >"$tmp/one"
    status 0 "$eval" -q -m "$dir" --tokens "$tmp/one" --logits "$tmp/l" --draft-logits "$tmp/d"
    size "$tmp/l" $((67 * 4))
    size "$tmp/d" 0
fi

# ---- failures: the status, one line, and the line names the place

fails() # fails CODE TEXT ARGS...
{
    code=$1 text=$2
    shift 2
    status "$code" "$eval" "$@"
    one_line ggl-eval
    says "$tmp/err" "$text"
}
ok="-q -m $model --tokens $tmp/tokens"
fails 2 "-m MODEL" --tokens "$tmp/tokens"
fails 2 "--tokens" -m "$model"
for bad in "--precision double" "--precision f16" "--cache-rounding maybe" "--threads -1" "--threads 2000" "--chunk -1" \
    "--chunk 9999999" "--dump L0.h" "--dump L0.h="; do
    # shellcheck disable=SC2086
    fails 2 "${bad%% *}" $ok $bad
done
# shellcheck disable=SC2086
{
    fails 2 L9.h $ok --dump "L9.h=$tmp/not-made"
    fails 2 "multi-token" $ok --draft-logits "$tmp/not-made"
    fails 2 "" $ok an-argument-too-many
    fails 2 --imatrix $ok --imatrix "$tmp/not-made" --precision fast
    fails 73 "$tmp/no/folder" $ok --imatrix "$tmp/no/folder"
    fails 73 "$tmp/no/folder" $ok --logits "$tmp/no/folder"
    fails 73 "$tmp/no/folder" $ok --dump "L0.h=$tmp/no/folder"
}
[ ! -e "$tmp/not-made" ] || fail "an output was made although nothing could be written to it"
fails 66 "$tmp/missing" -m "$tmp/missing" --tokens "$tmp/tokens"
fails 66 "$tmp/missing" -m "$model" --tokens "$tmp/missing"
fails 66 "$tmp" -m "$model" --tokens "$tmp"
fails 65 "$tmp/tokens" -m "$tmp/tokens" --tokens "$tmp/tokens"
fails 65 00002-of-00004 -m "$VECTORS/gguf/micro-Q4_K_M-split-00002-of-00004.gguf" --tokens "$tmp/tokens"
mkdir "$tmp/parts"
cp "$VECTORS"/gguf/micro-Q4_K_M-split-0000[124]* "$tmp/parts"
fails 65 00003-of-00004 -m "$tmp/parts/micro-Q4_K_M-split-00001-of-00004.gguf" --tokens "$tmp/tokens"
head -c 2999000 "$model" >"$tmp/short.gguf"
fails 65 "$tmp/short.gguf" -m "$tmp/short.gguf" --tokens "$tmp/tokens"

# Tokens: the file, and the byte or the token.  What was there before stays.
echo kept >"$tmp/kept"
tokens_fail()
{
    printf "$1" >"$tmp/bad"
    fails 65 "$tmp/bad" -m "$model" --tokens "$tmp/bad" --logits "$tmp/kept"
    says "$tmp/err" "$2"
    [ "$(cat "$tmp/kept")" = kept ] || fail "a failure replaced an output"
}
tokens_fail "" "no tokens"
tokens_fail " \n " "no tokens"
tokens_fail "1 2 x" "byte 4"
tokens_fail "1 -2" "byte 2"
tokens_fail "1 2.5" "byte 2"
tokens_fail "1,2" "byte 0"
tokens_fail "7 99999999999999999999" "byte 2"
tokens_fail "7 2147483648" "byte 2"
tokens_fail "7 2147483647" "token 1 "
tokens_fail "1 2 512 4" "token 2 "
tokens_fail "1 2\\0003" "byte 2"
printf "7" >"$tmp/one"
fails 65 "$tmp/one" -m "$model" --tokens "$tmp/one" --perplexity
# shellcheck disable=SC2086
{
    fails 66 "$tmp/missing" $ok --kl-base "$tmp/missing"
    fails 65 "$tmp/one" $ok --kl-base "$tmp/one" --imatrix "$tmp/not-made"
}
[ ! -e "$tmp/not-made" ] || fail "an importance matrix was made although the base is broken"

if [ -w /dev/full ]; then
    # shellcheck disable=SC2086
    {
        fails 74 /dev/full $ok --logits /dev/full
        fails 74 /dev/full $ok --dump L0.h=/dev/full
        got=0
        "$eval" $ok --perplexity >/dev/full 2>"$tmp/err" || got=$?
    }
    [ $got -eq 74 ] || fail "--perplexity on a full disk ends with $got"
    one_line ggl-eval
fi
