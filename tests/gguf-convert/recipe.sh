# llama.cpp's recipes: the files have the tensors, bytes and keys that llama.cpp's own tools wrote for the same model, lose
# nothing that they need not lose, and --verify sees every change.
. "$SOURCE/tests/support/script.sh"
convert=$BIN/gguf-convert inspect=$BIN/ggl-inspect eval=$BIN/ggl-eval
dir=$VECTORS/model/micro/checkpoint

tensors() # tensors FILE: "name type shape hash" lines
{
    "$inspect" "$1" | sed -n 's/^  \([^ ]*\) *\(\[.*\]\) *\([A-Z0-9_]*\) *[0-9]*  *\([-0-9a-f]*\)$/\1 \3 \2 \4/p' |
        sed 's/, /,/g'
}
keys() # keys FILE: those of the model
{
    "$inspect" "$1" | sed -n '/^metadata/,/^tensors/s/^  \(deepseek4\.[^ ]*\|general\.[qf][^ ]*\)  */\1 /p' |
        sed 's/  */ /g' | LC_ALL=C sort
}

"$convert" -q "$dir" "$tmp/native.gguf" 2>"$tmp/err" || {
    ! grep -q jansson "$tmp/err" || skip "no checkpoint directories in this build"
    fail "native"
}
tensors "$tmp/native.gguf" >"$tmp/native"
hashes=yes
grep -q ' -$' "$tmp/native" && hashes=

for type in MXFP4_MOE Q8_0; do
    status 0 "$convert" -q "$dir" "$tmp/$type.gguf" --type $type --verify
    grep -q "^blk.1.attn_q_a.weight: Q8_0, relative RMS error 0\.[1-9]" "$tmp/out" || fail "$type: no losses"
    ! grep -q norm "$tmp/out" || fail "$type: a norm lost something"
    want=$VECTORS/gguf/micro-$type.tensors
    tensors "$tmp/$type.gguf" >"$tmp/got"
    cut -d ' ' -f 1-3 "$want" >"$tmp/want.3"
    cut -d ' ' -f 1-3 "$tmp/got" >"$tmp/got.3"
    diff "$tmp/want.3" "$tmp/got.3" >"$tmp/out" || fail "$type: other tensors, or in another order"
    # Bytes; llama.cpp rounded the experts again and got other codes for the same values.  Ours are the checkpoint's.
    if [ -n "$hashes" ]; then
        grep -v ' -$' "$want" >"$tmp/want.4"
        [ "$(wc -l <"$tmp/want.4")" -gt 80 ] || fail "$type: no hashes to compare with"
        grep -vxF -f "$tmp/got" "$tmp/want.4" >"$tmp/out" && fail "$type: other bytes"
        grep ' -$' "$want" | cut -d ' ' -f 1 | while read -r name; do
            a=$(grep "^$name " "$tmp/native") b=$(grep "^$name " "$tmp/got")
            [ "$a" = "$b" ] || fail "$type: $name is not the native file's"
        done
    fi
    # The quick way over a native file, in parts, with other threads.
    status 0 "$convert" -q "$tmp/native.gguf" "$tmp/again.gguf" --type $(echo $type | tr A-Z a-z) --threads 3 --verify
    cmp "$tmp/$type.gguf" "$tmp/again.gguf" || fail "$type: another file from the native one"
    status 0 "$convert" -q "$tmp/$type.gguf" "$tmp/copy.gguf" --type $type --verify
    cmp "$tmp/$type.gguf" "$tmp/copy.gguf" || fail "$type: a file with the right types is not copied"
    rm "$tmp/again.gguf" "$tmp/copy.gguf"
done
keys "$tmp/MXFP4_MOE.gguf" >"$tmp/got"
diff "$VECTORS/gguf/micro-MXFP4_MOE.keys" "$tmp/got" >"$tmp/out" || fail "other keys"
sed 's/file_type u32 38/file_type u32 7/' "$tmp/got" >"$tmp/want"
keys "$tmp/Q8_0.gguf" >"$tmp/got"
diff "$tmp/want" "$tmp/got" >"$tmp/out" || fail "other keys"

# What llama.cpp's file computes, without the rounding of the cache.
status 0 "$eval" -q -m "$tmp/MXFP4_MOE.gguf" --tokens "$VECTORS/gguf/tokens.txt" --cache-rounding off --logits "$tmp/logits"
for file in "$tmp/logits" "$VECTORS/gguf/micro-MXFP4_MOE.logits_no_cache_rounding.f32"; do
    od -An -v -w4 -tfF "$file" >"$tmp/text.$(basename "$file")"
done
paste "$tmp"/text.* | awk '
    { e += ($1 - $2) ^ 2; s += $2 ^ 2; n++ }
    END { printf "%d logits, NMSE %g\n", n, e / s; exit !(n > 100000 && s > 0 && e / s <= 1e-9) }' >"$tmp/out" ||
    fail "other logits than the vector's"

# Prediction blocks: only on request, and then they work.
status 0 "$convert" -q "$dir" "$tmp/mtp.gguf" --type MXFP4_MOE --with-mtp --verify
status 0 "$eval" -q -m "$tmp/mtp.gguf" --tokens "$VECTORS/gguf/tokens.txt" --draft-logits "$tmp/draft" --cache-rounding off \
    --logits "$tmp/logits.mtp"
cmp "$tmp/logits" "$tmp/logits.mtp" || fail "the prediction block changes the logits"
status 2 "$eval" -q -m "$tmp/MXFP4_MOE.gguf" --tokens "$VECTORS/gguf/tokens.txt" --draft-logits "$tmp/draft"
status 2 "$convert" -q "$dir" "$tmp/x.gguf" --with-mtp --no-mtp

# Nothing is rounded twice; unknown recipes.
status 65 "$convert" -q "$VECTORS/gguf/micro-Q2_K.gguf" "$tmp/x.gguf" --type MXFP4_MOE
says "$tmp/err" "expected a type that was not rounded"
status 0 "$convert" -q "$tmp/native.gguf" "$tmp/int4.gguf" --type native-int4
status 65 "$convert" -q "$tmp/int4.gguf" "$tmp/x.gguf" --type MXFP4_MOE
status 2 "$convert" -q "$dir" "$tmp/x.gguf" --type Q9_K
[ ! -e "$tmp/x.gguf" ] || fail "a file in spite of an error"

# Another model; and one bit anywhere is found.
status 0 "$convert" -q "$VECTORS/model/partial-tiles/checkpoint" "$tmp/odd.gguf" --type MXFP4_MOE --verify
status 0 "$eval" -q -m "$tmp/odd.gguf" --tokens "$VECTORS/model/partial-tiles/tokens.txt"
size=$(wc -c <"$tmp/Q8_0.gguf")
for part in 2 3 4 5 6 7 8; do
    at=$((size / 9 * part)) byte=0 # zeros may be padding
    while [ "$byte" -eq 0 ]; do
        at=$((at + 1))
        byte=$(dd if="$tmp/Q8_0.gguf" bs=1 skip=$at count=1 2>/dev/null | od -An -tu1)
    done
    cp "$tmp/Q8_0.gguf" "$tmp/flip.gguf"
    printf "\\$(printf %03o $((byte ^ 1)))" | dd of="$tmp/flip.gguf" bs=1 seek=$at conv=notrunc 2>/dev/null
    status 65 "$convert" -q "$dir" "$tmp/flip.gguf" --type Q8_0 --verify
    says "$tmp/err" "slice"
done
