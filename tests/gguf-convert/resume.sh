# An interrupted conversion: what is kept, what is said, what is refused; a full disk, played by a limit on file sizes.
. "$SOURCE/tests/support/script.sh"
convert=$BIN/gguf-convert make=$BIN/ggl-make-model
[ -x "$make" ] || skip "ggl-make-model is not built"
dir=$tmp/model out=$tmp/out.d/x.gguf
mkdir "$tmp/out.d"
"$make" -q "$dir" --preset micro --layers 8 --experts 128 || fail "no model"
"$convert" -q "$dir" "$tmp/want.gguf" 2>"$tmp/err" || {
    ! grep -q jansson "$tmp/err" || skip "no checkpoint directories in this build"
    fail "native"
}
size=$(wc -c <"$tmp/want.gguf")
# stopped_at BYTES ARGS...: as on a disk with so much room
stopped_at()
{
    (
        ulimit -f $(($1 / 512))
        shift
        status 74 "$convert" -q "$@"
    ) || exit 1
    one_line gguf-convert
}
files()
{
    (cd "$tmp/out.d" && ls | tr '\n' ' ')
}
only() # only FILES...
{
    [ "$(files)" = "${*:+$* }" ] || fail "files: $(files), expected: $*"
}

# A full disk at several points.
for part in 1 2 3 5 7 9; do
    stopped_at $((size / 10 * part)) "$dir" "$out"
    says "$tmp/err" "$size bytes are needed in all"
    if grep -q '^mark' "$out.journal" 2>/dev/null; then
        says "$tmp/err" "the same command with --resume goes on from"
        only x.gguf.journal x.gguf.part
        status 73 "$convert" -q "$dir" "$out"
        says "$tmp/err" "--resume goes on with it, --force starts anew"
        only x.gguf.journal x.gguf.part
        status 0 "$convert" -q "$dir" "$out" --resume
        cmp "$tmp/want.gguf" "$out" || fail "resumed after $part/10: other bytes"
        rm "$out"
    else
        [ "$part" -lt 4 ] || fail "no mark after $part/10 of the data"
    fi
    only
done
# An old output outlives it, and a limit that comes back.
echo old >"$out"
status 73 "$convert" -q "$dir" "$out"
says "$tmp/err" "exists already"
stopped_at $((size / 2)) "$dir" "$out" --force
[ "$(cat "$out")" = old ] || fail "the old output is gone"
stopped_at $((size / 10 * 9)) "$dir" "$out" --force --resume
only x.gguf x.gguf.journal x.gguf.part
status 73 "$convert" -q "$dir" "$out" --resume
says "$tmp/err" "exists already"
only x.gguf x.gguf.journal x.gguf.part
[ "$(cat "$out")" = old ] || fail "the old output is gone"

# What does not fit is refused and named; nothing is lost by asking.
cp "$out.journal" "$tmp/journal"
other() # other TEXT ARGS...
{
    text=$1
    shift
    status 2 "$convert" -q "$@" --resume
    says "$tmp/err" "cannot resume, that was another conversion"
    says "$tmp/err" "$text"
    cmp "$tmp/journal" "$out.journal" || fail "the journal has changed"
}
other "type is Q8_0, expected native" "$dir" "$out" --type Q8_0
other "mtp is no, expected yes" "$dir" "$out" --no-mtp
other "split-max-size is 104857600, expected 0" "$dir" "$out" --split-max-size 100M
cp -r "$dir" "$tmp/twin"
other "input is" "$tmp/twin" "$out"
touch "$dir/config.json"
other "config.json" "$dir" "$out"
status 0 "$convert" -q "$dir" "$out" --resume --force # anew
cmp "$tmp/want.gguf" "$out" || fail "--force: other bytes"
only x.gguf

# A lost journal; a torn one; foreign text in it; damage in what is written.
rm "$out"
stopped_at $((size / 10 * 8)) "$dir" "$out"
cp "$out.journal" "$tmp/journal"
cp "$out.part" "$tmp/part"
rm "$out.journal"
status 73 "$convert" -q "$dir" "$out" --resume
says "$tmp/err" "whose journal is lost"
only x.gguf.part
from=$(grep -c '^mark' "$tmp/journal")
[ "$from" -ge 2 ] || fail "$from marks"
for damage in torn line noise short flip hole; do
    cp "$tmp/journal" "$out.journal"
    cp "$tmp/part" "$out.part"
    case $damage in
    torn) head -c $(($(wc -c <"$tmp/journal") - 9)) "$tmp/journal" >"$out.journal" ;;
    line) sed '/^mark/d' "$tmp/journal" >"$out.journal" ;;
    noise) head -c 4096 /dev/zero >>"$out.journal" ;;
    short) head -c $((size / 10 * 4)) "$tmp/part" >"$out.part" ;;
    flip) printf '\377\377\377\377\377\377\377\377' | dd of="$out.part" bs=1 seek=$((size / 10 * 3)) conv=notrunc 2>/dev/null ;;
    hole) rm "$out.part" ;;
    esac
    status 0 "$convert" "$dir" "$out" --resume
    case $damage in
    short | flip | hole) says "$tmp/err" "damaged after" ;;
    *) ! grep -q damaged "$tmp/err" || fail "$damage: damaged?" ;;
    esac
    cmp "$tmp/want.gguf" "$out" || fail "$damage: other bytes"
    only x.gguf
    rm "$out"
done

# Ctrl-C keeps what is done, if there is something.
i=0 kept=0
while [ $i -lt 30 ] && [ $kept -lt 3 ]; do
    i=$((i + 1)) got=0
    timeout -s INT "$(awk "BEGIN { print $i * 0.02 }")" "$convert" -q "$dir" "$out" 2>"$tmp/err" || got=$?
    [ ! -e "$out" ] || { only x.gguf; rm "$out"; continue; }
    if [ -e "$out.journal" ]; then
        kept=$((kept + 1))
        says "$tmp/err" "interrupted; the same command with --resume goes on from"
        only x.gguf.journal x.gguf.part
        status 0 "$convert" -q "$dir" "$out" --resume --verify
        cmp "$tmp/want.gguf" "$out" || fail "after Ctrl-C: other bytes"
        rm "$out"
    fi
    only
done
[ $kept -gt 0 ] || fail "Ctrl-C never met the writing"

# One at a time: whoever holds the journal keeps others out.
if command -v flock >/dev/null; then
    stopped_at $((size / 10 * 8)) "$dir" "$out"
    for options in --resume --force; do
        status 73 flock "$out.journal" "$convert" -q "$dir" "$out" $options
        says "$tmp/err" "another gguf-convert is writing this output"
        only x.gguf.journal x.gguf.part
    done
    status 0 "$convert" -q "$dir" "$out" --resume
    cmp "$tmp/want.gguf" "$out" || fail "after a lock: other bytes"
fi
