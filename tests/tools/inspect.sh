# ggl-inspect on a checkpoint directory, and on the same model as a file in one part and in several.
. "$SOURCE/tests/support/script.sh"
inspect=$BIN/ggl-inspect
[ -x "$BIN/ggl-make-model" ] && [ -x "$BIN/gguf-convert" ] || skip "no ggl-make-model or gguf-convert"

status 0 "$BIN/ggl-make-model" "$tmp/dir" --preset micro
"$inspect" "$tmp/dir" >/dev/null 2>"$tmp/err" || ! grep -q jansson "$tmp/err" || skip "a build without jansson"
status 0 "$inspect" "$tmp/dir"
says "$tmp/out" "checkpoint directory"
says "$tmp/out" "FP8"
says "$tmp/out" "FP4"
status 0 "$inspect" --json "$tmp/dir"
says "$tmp/out" '"format": "checkpoint"'
dir_kv=$(grep -o '"kv_bytes": [0-9]*' "$tmp/out")

status 0 "$BIN/gguf-convert" --quiet "$tmp/dir" "$tmp/one.gguf"
status 0 "$BIN/gguf-convert" --quiet --split-max-size 1M "$tmp/dir" "$tmp/some.gguf"
first=$(ls "$tmp"/some-00001-of-*.gguf)
verify=--verify
! "$inspect" --verify "$tmp/one.gguf" 2>&1 >/dev/null | grep -q "no xxHash" || verify=
for file in "$tmp/one.gguf" "$first"; do
    status 0 "$inspect" "$file"
    says "$tmp/out" "alignment 4096"
    says "$tmp/out" "MXFP4"
    status 0 "$inspect" --json $verify "$file"
    says "$tmp/out" '"stored_type": "I8"'
    says "$tmp/out" '"type": "FP8"'
    [ -z "$verify" ] || says "$tmp/out" '"verified": true'
    [ "$(grep -o '"kv_bytes": [0-9]*' "$tmp/out")" = "$dir_kv" ] || fail "another cache size than the directory's"
done
status 65 "$inspect" "$(ls "$tmp"/some-00002-of-*.gguf)"
one_line ggl-inspect
rm "$(ls "$tmp"/some-00002-of-*.gguf)"
status 65 "$inspect" "$first"
says "$tmp/err" missing
one_line ggl-inspect
mkdir "$tmp/empty"
status 66 "$inspect" "$tmp/empty"
