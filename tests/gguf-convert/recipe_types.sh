# Every recipe: the types that llama.cpp gave the tensors of the same model, --verify, the same file for any number of
# threads and on every level of the processor, and types that the user chooses.
. "$SOURCE/tests/support/script.sh"
convert=$BIN/gguf-convert inspect=$BIN/ggl-inspect eval=$BIN/ggl-eval
dir=$VECTORS/model/micro/checkpoint
types() # types FILE: "name type shape" lines
{
    "$inspect" "$1" | sed -n 's/^  \([^ ]*\) *\(\[.*\]\) *\([A-Z0-9_]*\) *[0-9]*  *\([-0-9a-f]*\)$/\1 \3 \2/p' | sed 's/, /,/g'
}
"$convert" -q "$dir" "$tmp/native.gguf" 2>"$tmp/err" || {
    ! grep -q jansson "$tmp/err" || skip "no checkpoint directories in this build"
    fail "native"
}
for type in Q6_K Q4_K_M Q3_K_M Q2_K IQ4_XS; do
    status 0 "$convert" -q "$dir" "$tmp/$type.gguf" --type $type --threads 1 --verify
    [ "$(grep -c 'relative RMS error' "$tmp/out")" -gt 40 ] || fail "$type: no losses"
    types "$tmp/$type.gguf" >"$tmp/got"
    diff "$VECTORS/gguf/micro-$type.types" "$tmp/got" >"$tmp/out" || fail "$type: other types than llama.cpp's"
    status 0 "$convert" -q "$tmp/native.gguf" "$tmp/again.gguf" --type $type --threads 5
    cmp "$tmp/$type.gguf" "$tmp/again.gguf" || fail "$type: other bytes with other threads"
    status 0 env GGL_CPU_DISABLE=avx512,avx2 "$convert" -q "$dir" "$tmp/plain.gguf" --type $type --threads 2
    cmp "$tmp/$type.gguf" "$tmp/plain.gguf" || fail "$type: other bytes without AVX"
    status 0 "$eval" -q -m "$tmp/$type.gguf" --tokens "$VECTORS/gguf/tokens.txt" --logits "$tmp/logits"
    rm "$tmp/again.gguf" "$tmp/plain.gguf" "$tmp/$type.gguf"
done
for type in Q5_K_M Q4_0 IQ4_NL; do
    status 0 "$convert" -q "$dir" "$tmp/$type.gguf" --type $type --verify
    status 0 "$eval" -q -m "$tmp/$type.gguf" --tokens "$VECTORS/gguf/tokens.txt" --logits "$tmp/logits"
    rm "$tmp/$type.gguf"
done

# An importance matrix: IQ2_XXS insists, others use it, and it belongs to what makes a conversion the same.
status 0 "$eval" -q -m "$dir" --tokens "$VECTORS/gguf/tokens.txt" --imatrix "$tmp/imatrix.gguf"
status 0 "$convert" -q "$dir" "$tmp/plain.gguf" --type Q4_K_M
status 0 "$convert" -q "$dir" "$tmp/weighed.gguf" --type Q4_K_M --imatrix "$tmp/imatrix.gguf" --verify
! cmp -s "$tmp/plain.gguf" "$tmp/weighed.gguf" || fail "the importance matrix changes nothing"
status 65 "$convert" -q "$dir" "$tmp/weighed.gguf" --type Q4_K_M --verify
"$inspect" "$tmp/weighed.gguf" >"$tmp/out"
for key in "quantize.imatrix.file " "quantize.imatrix.entries_count " "quantize.imatrix.chunks_count "; do
    grep "$key" "$tmp/out" >/dev/null || fail "no key $key"
done
status 0 "$convert" -q "$dir" "$tmp/int4.gguf" --type native-int4
status 0 "$convert" -q "$dir" "$tmp/int4w.gguf" --type native-int4 --imatrix "$tmp/imatrix.gguf" --verify
! cmp -s "$tmp/int4.gguf" "$tmp/int4w.gguf" || fail "INT4: the importance matrix changes nothing"
status 0 "$convert" -q "$dir" "$tmp/iq2.gguf" --type IQ2_XXS --imatrix "$tmp/imatrix.gguf" --verify
types "$tmp/iq2.gguf" >"$tmp/got"
for line in "blk.0.ffn_gate_exps.weight IQ2_XXS" "blk.1.attn_compressor_ape.weight Q2_K" "token_embd.weight Q2_K" "output.weight Q5_K"; do
    grep -q "^$line" "$tmp/got" || fail "IQ2_XXS: not $line"
done
status 0 "$eval" -q -m "$tmp/iq2.gguf" --tokens "$VECTORS/gguf/tokens.txt" --logits "$tmp/logits"
status 2 "$convert" -q "$dir" "$tmp/x.gguf" --type IQ2_XXS
says "$tmp/err" "IQ2_XXS needs an importance matrix: give one with --imatrix FILE"
[ ! -e "$tmp/x.gguf" ] || fail "a file in spite of an error"
status 66 "$convert" -q "$dir" "$tmp/x.gguf" --type Q4_K_M --imatrix "$tmp/none.gguf"

# compat: nothing is lost, and the logits of what it was made from stay within rounding of the sums.
status 0 "$convert" -q "$dir" "$tmp/compat.gguf" --type compat --verify
[ ! -s "$tmp/out" ] || fail "compat loses something"
status 0 "$convert" -q "$tmp/native.gguf" "$tmp/again.gguf" --type compat
cmp "$tmp/compat.gguf" "$tmp/again.gguf" || fail "compat: another file from the native one"
types "$tmp/compat.gguf" | grep -q "attn_q_a.weight BF16" || fail "compat: no BF16"
! "$inspect" "$tmp/compat.gguf" | grep -q "deepseek4\.feed_forward_length" || fail "a key that the converter does not write"
status 0 "$eval" -q -m "$dir" --tokens "$VECTORS/gguf/tokens.txt" --logits "$tmp/want"
status 0 "$eval" -q -m "$tmp/compat.gguf" --tokens "$VECTORS/gguf/tokens.txt" --logits "$tmp/logits"
cmp "$tmp/want" "$tmp/logits" || fail "compat: other logits"

# Types that the user chooses: the first match counts.
status 0 "$convert" -q "$dir" "$tmp/x.gguf" --type Q4_K_M --tensor-type 'blk\.1\.attn_q_a=Q8_0' --tensor-type 'attn_q_a=F16' \
    --tensor-type '^output\.weight$=bf16' --verify
types "$tmp/x.gguf" >"$tmp/got"
for line in "blk.0.attn_q_a.weight F16" "blk.1.attn_q_a.weight Q8_0" "blk.2.attn_q_a.weight F16" "output.weight BF16" \
    "blk.1.attn_q_b.weight Q4_K"; do
    grep -q "^$line" "$tmp/got" || fail "not chosen: $line"
done
rm "$tmp/x.gguf"
for input in "$dir" "$tmp/native.gguf"; do
    status 0 "$convert" -q "$input" "$tmp/x.gguf" --tensor-type 'attn_kv\.weight=Q8_0' --verify
    types "$tmp/x.gguf" >"$tmp/got"
    grep -q "^blk.0.attn_kv.weight Q8_0" "$tmp/got" || fail "native: not chosen"
    ! grep -q "^blk.0.attn_kv.scale" "$tmp/got" || fail "native: scales of a matrix that has another type"
    status 0 "$eval" -q -m "$tmp/x.gguf" --tokens "$VECTORS/gguf/tokens.txt" --logits "$tmp/logits"
    rm "$tmp/x.gguf"
done
refuses() # refuses TEXT CHOICE
{
    status 2 "$convert" -q "$dir" "$tmp/x.gguf" --type Q4_K_M --tensor-type "$2"
    says "$tmp/err" "$1"
    one_line gguf-convert
    [ ! -e "$tmp/x.gguf" ] || fail "a file in spite of an error"
}
refuses "expected REGEX=TYPE" "Q8_0"
refuses "type is Q9_K" "attn=Q9_K"
refuses "type is Q8_K" "attn=Q8_K"
refuses "(unclosed" "(unclosed=Q8_0"
refuses "it matches no tensor" "blk\\.99\\.=Q8_0"
refuses "attn_norm.weight is Q8_0, expected F32 for vectors and norms" "attn_norm=Q8_0"
refuses "ffn_gate_inp.weight is Q8_0" "gate_inp=Q8_0"
refuses "ffn_gate_tid2eid.weight is F32, expected I32" "tid2eid=F32"
refuses "_ape.weight is Q4_K, blocks of 256 in rows of 128" "_ape=Q4_K"

# --report: a table, also of a file that is there; the figures are those of --verify, and worse for smaller types.
status 0 "$convert" -q "$dir" "$tmp/r4.gguf" --type Q4_K_M --report "$tmp/r4.tsv"
status 0 "$convert" -q "$dir" "$tmp/r2.gguf" --type Q2_K --report -
cp "$tmp/out" "$tmp/r2.tsv"
status 0 "$convert" -q "$dir" "$tmp/r4.gguf" --type Q4_K_M --report - --threads 3
cmp "$tmp/r4.tsv" "$tmp/out" || fail "another report of the same file with other threads"
status 0 "$convert" -q "$dir" "$tmp/r4.gguf" --type Q4_K_M --verify
awk -F '\t' 'NR == 1 { exit !(NF == 7 && $1 == "tensor") } { exit !(NF == 7 && $4 > 0 && $5 >= $4) }' "$tmp/r4.tsv" || fail "report: lines"
awk -F '\t' 'NR == FNR { if ($2 == "Q4_K") e[$1] = $4; next } FNR > 1 && e[$1] && $4 < e[$1] * 1.5 { bad = 1; print } END { exit bad }' \
    "$tmp/r4.tsv" "$tmp/r2.tsv" >"$tmp/err" || fail "Q2_K loses less than Q4_K"
name=blk.1.attn_q_b.weight
want=$(awk -F '\t' -v n=$name '$1 == n { printf "%.3f", 100 * $4 }' "$tmp/r4.tsv")
says "$tmp/out" "$name: Q4_K, relative RMS error $want %"
awk "BEGIN { exit !($want > 4 && $want < 12) }" || fail "Q4_K: $want % is not what it loses of noise"
status 73 "$convert" -q "$dir" "$tmp/r4.gguf" --type Q4_K_M --report "$tmp/no/such/folder"
