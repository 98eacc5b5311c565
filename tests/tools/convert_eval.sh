# A checkpoint and the files converted from it give the same logits, bit for bit; converting twice gives the same bytes.
. "$SOURCE/tests/support/script.sh"
convert=$BIN/gguf-convert eval=$BIN/ggl-eval
for name in pro-order partial-tiles index-only one-layer long-window; do
    dir=$VECTORS/model/$name/checkpoint tokens=$VECTORS/model/$name/tokens.txt
    n=30
    [ "$name" != pro-order ] || n=135 # an entry of 128 tokens, too
    cut -d ' ' -f 1-$n "$tokens" >"$tmp/tokens"
    draft="--draft-logits"
    [ -e "$VECTORS/model/$name/draft_logits.f32" ] || draft=
    "$eval" -q -m "$dir" --tokens "$tmp/tokens" --logits "$tmp/want" ${draft:+$draft "$tmp/want.d"} 2>"$tmp/err" || {
        ! grep -q jansson "$tmp/err" || skip "no checkpoint directories in this build"
        fail "$name"
    }
    status 0 "$convert" -q "$dir" "$tmp/$name.gguf" --verify
    status 0 "$convert" -q "$dir" "$tmp/$name.gguf" --verify # against the file that is there
    status 0 "$convert" -q "$dir" "$tmp/twice.gguf"
    cmp "$tmp/$name.gguf" "$tmp/twice.gguf" || fail "$name: converting twice gives different files"
    status 0 "$convert" -q "$dir" "$tmp/split.gguf" --split-max-size 300K --verify
    parts=$(ls "$tmp"/split-0*.gguf | wc -l)
    [ "$name" = one-layer ] || [ "$parts" -gt 2 ] || fail "$name: $parts parts"
    for file in "$tmp/$name.gguf" "$tmp"/split-00001-of-*.gguf; do
        status 0 "$eval" -q -m "$file" --tokens "$tmp/tokens" --logits "$tmp/got" ${draft:+$draft "$tmp/got.d"} --chunk 33
        cmp "$tmp/want" "$tmp/got" || fail "$name: $file: other logits than the directory's"
        [ -z "$draft" ] || cmp "$tmp/want.d" "$tmp/got.d" || fail "$name: $file: other draft logits"
    done
    # One part again from several, and without the prediction block.
    status 0 "$convert" -q "$(ls "$tmp"/split-00001-of-*.gguf)" "$tmp/merged.gguf"
    cmp "$tmp/$name.gguf" "$tmp/merged.gguf" || fail "$name: the parts do not make the whole"
    if [ -n "$draft" ]; then
        status 0 "$convert" -q "$dir" "$tmp/plain.gguf" --no-mtp
        status 0 "$eval" -q -m "$tmp/plain.gguf" --tokens "$tmp/tokens" --logits "$tmp/got"
        cmp "$tmp/want" "$tmp/got" || fail "$name: other logits without the prediction block"
        status 2 "$eval" -q -m "$tmp/plain.gguf" --tokens "$tmp/tokens" --draft-logits "$tmp/got.d"
        rm "$tmp/plain.gguf"
    fi
    # The check can fail: one bit of a weight.
    size=$(wc -c <"$tmp/twice.gguf")
    half=$((size / 2)) # the first byte behind it that is not zero: zeros may be padding
    read -r place byte <<EOF
$(tail -c +$((half + 1)) "$tmp/twice.gguf" | od -An -v -tu1 -w1 | awk '$1 {print NR - 1, $1; exit}')
EOF
    at=$((half + place))
    printf "\\$(printf %03o $((byte ^ 1)))" | dd of="$tmp/twice.gguf" bs=1 seek=$at conv=notrunc 2>/dev/null
    status 65 "$convert" -q "$dir" "$tmp/twice.gguf" --verify
    rm -f "$tmp"/*.gguf
done
