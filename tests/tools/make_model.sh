# ggl-make-model: the same bytes for the same seed on every machine and with any number of threads, files that
# appear only when complete, and refusals.
. "$SOURCE/tests/support/script.sh"
tool=$BIN/ggl-make-model

status 0 "$tool" "$tmp/a" --preset micro --seed 7 --quiet
[ ! -s "$tmp/err" ] || fail "--quiet still writes to stderr"
says "$tmp/out" "339 tensors, 12.5 MB in 2 files"
status 0 "$tool" "$tmp/deep/er/b" --preset=micro -s7 -t1
says "$tmp/err" "12.0 MiB"
diff -r "$tmp/a" "$tmp/deep/er/b" || fail "two runs with one seed differ"
status 0 "$tool" "$tmp/c" -qp micro --seed 8
for i in 1 2; do
    ! cmp -s "$tmp/a/model-0000$i-of-00002.safetensors" "$tmp/c/model-0000$i-of-00002.safetensors" ||
        fail "seeds 7 and 8 give the same weights"
done
cmp "$tmp/a/config.json" "$tmp/c/config.json" || fail "the configuration depends on the seed"
cmp "$tmp/a/tokenizer.json" "$SOURCE/tools/ggl-make-model/tokenizer.json" || fail "the embedded tokenizer differs"
[ "$(ls "$tmp/a" | wc -l)" -eq 7 ] || fail "unexpected files: $(ls "$tmp/a")"

# What other compilers and machines must give, too: POSIX checksums of both shards.
sums=$(cat "$tmp/a"/model-*.safetensors | cksum)
[ "$sums" = "2103195448 12569168" ] || fail "the weights of seed 7 have the checksum $sums"

# The other presets, layers, experts and shards.
status 0 "$tool" "$tmp/d" -q --preset tiny --layers 2 --experts 5 --shards 3
says "$tmp/d/config.json" '"compress_ratios": [0, 4, 0]'
says "$tmp/d/config.json" '"n_routed_experts": 5'
[ -f "$tmp/d/model-00003-of-00003.safetensors" ] || fail "no third shard"
status 0 "$tool" "$tmp/e" -q --preset tiny-pro --layers 6
says "$tmp/e/config.json" '"compress_ratios": [128, 128, 4, 128, 4, 128, 0]'

# An existing checkpoint stays, unless told otherwise.
status 73 "$tool" "$tmp/a" -q
one_line ggl-make-model
cmp "$tmp/a/config.json" "$tmp/c/config.json" || fail "a refused run changed something"
status 0 "$tool" "$tmp/a" -q --force --preset micro --seed 8
diff -r "$tmp/a" "$tmp/c" || fail "--force did not replace everything"

# Wrong usage.
refuse()
{
    code=$1
    shift
    status "$code" "$tool" "$@"
    one_line ggl-make-model
}
refuse 2 -q
refuse 2 "$tmp/x" "$tmp/y"
refuse 2 "$tmp/x" --preset nano
says "$tmp/err" "expected micro, tiny"
refuse 2 "$tmp/x" --layers 0
refuse 2 "$tmp/x" --experts 3
says "$tmp/err" "--experts is 3, expected 4..4096"
refuse 2 "$tmp/x" --seed -1
refuse 2 "$tmp/x" --seed 1x
refuse 2 "$tmp/x" --shards 0
refuse 2 "$tmp/x" --preset micro --shards 400
[ ! -e "$tmp/x" ] || fail "a refused run made a directory"
: >"$tmp/file"
refuse 73 "$tmp/file"
refuse 73 "$tmp/file/x"
if [ "$(id -u)" -ne 0 ]; then
    mkdir -m 555 "$tmp/readonly"
    refuse 73 "$tmp/readonly/x"
fi

# A run that is stopped leaves neither config.json nor temporary files.
"$tool" "$tmp/stopped" -q --preset flash-slice --layers 1 --experts 6 >"$tmp/out" 2>"$tmp/err" &
pid=$!
while [ ! -d "$tmp/stopped" ]; do sleep 0.05; done
kill -TERM $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || fail "a stopped run ended with $got"
[ -z "$(ls "$tmp/stopped")" ] || fail "a stopped run left $(ls "$tmp/stopped")"

# The converter takes every preset, and finds every number again.
if [ -x "$BIN/gguf-convert" ] && "$BIN/gguf-convert" "$tmp/c" "$tmp/probe.gguf" -q 2>"$tmp/err"; then
    for model in c d e; do
        status 0 "$BIN/gguf-convert" "$tmp/$model" "$tmp/$model.gguf" -q --verify
    done
else # only a build without a JSON reader may refuse
    says "$tmp/err" "jansson"
fi
