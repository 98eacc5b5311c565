# kill.sh [N [SEED]]: gguf-convert is killed N times (20) at random instants, then resumed: the output is the same as that
# of an undisturbed run, byte for byte, and nothing else is left.  Every fourth run is killed twice; outputs are whole or
# split, copied or rounded, and new or replace an old one, which stays untouched until then.
. "$SOURCE/tests/support/script.sh"
n=${1:-20} seed=${2:-1}
convert=$BIN/gguf-convert make=$BIN/ggl-make-model
dir=$tmp/model
[ -x "$make" ] || skip "ggl-make-model is not built"
"$make" -q "$dir" --preset micro --layers 8 --experts 128 2>"$tmp/err" || fail "no model"
"$convert" -q "$dir" "$tmp/native.gguf" 2>"$tmp/err" || {
    ! grep -q jansson "$tmp/err" || skip "no checkpoint directories in this build"
    fail "native"
}
mkdir "$tmp/want.0" "$tmp/want.1" "$tmp/want.2" "$tmp/work"
set_options() # set_options KIND: what to convert, and how
{
    case $1 in
    0) input=$dir options= ;;
    1) input=$dir options="--split-max-size 20M" ;;
    2) input=$tmp/native.gguf options="--type Q8_0" ;;
    esac
}
now()
{
    date +%s%N | cut -c 1-16 # microseconds
}
for kind in 0 1 2; do
    set_options $kind
    for again in 1 2; do # the second time is that of the runs below
        rm -f "$tmp/want.$kind"/*
        t=$(now)
        "$convert" -q "$input" "$tmp/want.$kind/x.gguf" $options || fail "kind $kind"
        eval "time_$kind=$(($(now) - t))"
    done
done
# same KIND: the output is what it must be, and alone.
same()
{
    (cd "$tmp/want.$1" && ls) >"$tmp/names.want"
    ls "$tmp/work" >"$tmp/names"
    cmp -s "$tmp/names.want" "$tmp/names" || fail "run $i: other files: $(tr '\n' ' ' <"$tmp/names")"
    while read -r name; do
        cmp "$tmp/want.$1/$name" "$tmp/work/$name" || fail "run $i: $name differs"
    done <"$tmp/names"
}
# interrupted SECONDS COMMAND...: 137 where it was killed
interrupted()
{
    got=0
    timeout -s KILL "$@" >"$tmp/out" 2>"$tmp/err" || got=$?
    [ "$got" -eq 137 ] || [ "$got" -eq 0 ] || fail "run $i: exit status $got"
}
awk -v n="$n" -v seed="$seed" 'BEGIN { srand(seed); for (i = 0; i < n; i++) printf "%d %.4f %.4f %d\n", i, rand(), rand(), 3 * rand() }' >"$tmp/plan"
early=0 writing=0 late=0 marked=0
while read -r i at again kind; do
    rm -f "$tmp/work"/*
    set_options "$kind"
    eval "time=\$time_$kind"
    old=
    if [ $((i % 3)) -eq 0 ]; then
        old=--force
        (cd "$tmp/want.$kind" && ls) | while read -r name; do echo "old" >"$tmp/work/$name"; done
    fi
    interrupted "$(awk "BEGIN { print $time * $at / 1e6 + 0.001 }")" "$convert" -q "$input" "$tmp/work/x.gguf" $options $old
    if [ "$got" -eq 0 ]; then
        late=$((late + 1))
        same "$kind"
        continue
    fi
    if ls "$tmp/work" | grep -q '\.part$'; then writing=$((writing + 1)); else early=$((early + 1)); fi
    ! grep -qs '^mark' "$tmp/work/x.gguf.journal" || marked=$((marked + 1))
    if [ -n "$old" ] && ! grep -qs '^renaming' "$tmp/work/x.gguf.journal" && [ -e "$tmp/work/x.gguf.journal" ]; then
        for name in "$tmp/work"/*.gguf; do
            [ "$(cat "$name")" = old ] || fail "run $i: $name was not kept"
        done
    fi
    # Where the kill came behind the last step, there is nothing to resume.
    if ! [ -e "$tmp/work/x.gguf.journal" ] && [ -z "$old" ] && ls "$tmp/work" | grep -q .; then
        same "$kind"
        continue
    fi
    if [ $((i % 4)) -eq 1 ]; then
        interrupted "$(awk "BEGIN { print $time * $again / 1e6 + 0.001 }")" "$convert" -q "$input" "$tmp/work/x.gguf" $options $old --resume
    fi
    if ! [ -e "$tmp/work/x.gguf.journal" ] && [ -z "$old" ] && ls "$tmp/work" | grep -q .; then # now it ended
        same "$kind"
        continue
    fi
    status 0 "$convert" -q "$input" "$tmp/work/x.gguf" $options $old --resume
    same "$kind"
done <"$tmp/plan"
echo "$n runs: $early killed before the first byte, $writing with a part ($marked with marks), $late had ended"
[ $((writing * 3)) -ge "$n" ] || fail "only $writing of $n kills met the writing"
[ "$marked" -gt 0 ] || fail "no kill after a mark"
