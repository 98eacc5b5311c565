#!/bin/sh
# ggl-tokenize: the known texts forth and back, --plain, models of each kind, and lines that are wrong.
. "$SOURCE/tests/support/script.sh"
tool=$BIN/ggl-tokenize
vectors=$VECTORS/tokenizer
small=$vectors/tokenizer.small.json

echo '""' | "$tool" --tokenizer "$small" >"$tmp/out" 2>"$tmp/err" || {
    grep -q jansson "$tmp/err" && skip "this build has no jansson"
    fail "cannot tokenize at all"
}

tokenize() # tokenize JSON-TEXT OPTIONS... -> ids without spaces
{
    text=$1
    shift
    printf '%s\n' "$text" | "$tool" --tokenizer "$small" "$@" | tr -d ' '
}

# ---- all known texts; the vectors are one {"text":...,"ids":[...]} a line
sed -n 's/^{"text":\(".*"\),"ids":\(\[.*\]\)},*$/\1/p' "$vectors/small.json" >"$tmp/texts"
sed -n 's/^{"text":\(".*"\),"ids":\(\[.*\]\)},*$/\2/p' "$vectors/small.json" >"$tmp/ids"
[ "$(wc -l <"$tmp/texts")" -eq 1500 ] || fail "1500 texts expected"
"$tool" --tokenizer "$small" <"$tmp/texts" | tr -d ' ' >"$tmp/got"
cmp "$tmp/got" "$tmp/ids" || fail "ids differ"
"$tool" --tokenizer "$small" --decode <"$tmp/ids" >"$tmp/back"
"$tool" --tokenizer "$small" <"$tmp/back" | tr -d ' ' >"$tmp/got"
cmp "$tmp/got" "$tmp/ids" || fail "decoded texts have other ids"

# ---- options
[ "$(tokenize '"<think>"')" = "[4006]" ] || fail "<think> is one token"
[ "$(tokenize '"<think>"' --plain | tr , '\n' | wc -l)" -ge 3 ] || fail "<think> is text with --plain"
[ "$(tokenize '"a\u0000b"' | tr , '\n' | wc -l)" -eq 3 ] || fail "a zero is a character"
[ "$(tokenize '[]' -d)" = '""' ] || fail "no ids are no text"
[ "$(tokenize '[4006]' -d)" = '"<think>"' ] || fail "added tokens are decoded"

# The bytes of one Chinese character, cut: U+FFFD for what is incomplete.
ids=$(tokenize '"\u6bd5"')
[ "$(tokenize "$ids" -d)" = '"毕"' ] || fail "a character of $ids"
case $ids in
*,*) [ "$(tokenize "${ids%,*}]" -d)" = '"�"' ] || fail "half a character is U+FFFD" ;;
*) fail "the character should be several tokens" ;;
esac

# ---- where the tokenizer comes from
mkdir "$tmp/model"
cp "$small" "$tmp/model/tokenizer.json"
head -n 50 "$tmp/texts" | "$tool" -m "$tmp/model" | tr -d ' ' >"$tmp/got"
head -n 50 "$tmp/ids" | cmp - "$tmp/got" || fail "-m FOLDER"
"$BIN/ggl-make-model" "$tmp/random" --preset micro -q >/dev/null
cp "$small" "$tmp/random/tokenizer.json"
"$BIN/gguf-convert" "$tmp/random" "$tmp/random.gguf" --no-mtp -q
"$tool" -m "$tmp/random.gguf" <"$tmp/texts" | tr -d ' ' >"$tmp/got"
cmp "$tmp/got" "$tmp/ids" || fail "-m GGUF: ids differ"
status 66 "$tool" -m "$tmp/model/none.gguf" </dev/null
one_line ggl-tokenize
status 66 "$tool" -m "$tmp" </dev/null
says "$tmp/err" tokenizer.json
status 65 "$tool" -m "$small" </dev/null
one_line ggl-tokenize
status 65 "$tool" --tokenizer "$vectors/small.json" </dev/null
one_line ggl-tokenize
status 2 "$tool" </dev/null
status 2 "$tool" -m "$tmp/model" --tokenizer "$small" </dev/null

# ---- lines that are wrong: 65, naming the line; what came before is written
refuse() # refuse OPTION LINE
{
    printf '%s\n' "$3" "$2" "$3" >"$tmp/in"
    if [ "$1" = -d ]; then set -- "$tool" --tokenizer "$small" -d; else set -- "$tool" --tokenizer "$small"; fi
    status 65 "$@" <"$tmp/in"
    one_line ggl-tokenize
    says "$tmp/err" "line 2:"
    [ "$(wc -l <"$tmp/out")" -eq 1 ] || fail "one good line expected"
}
for line in '' 'a' '"a' '"a" "b"' '[]' '1' '{}' '"\ud800"' '"\q"' "$(printf '"\377"')"; do refuse . "$line" '"a"'; done
for line in '' '[' '"a"' '[1.5]' '["1"]' '[null]' '[-1]' '[4017]' '[2147483647]' '[4294967296]' '[9223372036854775807]'; do
    refuse -d "$line" '[67]'
done
