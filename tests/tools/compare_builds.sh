# compare-builds: a build against itself, word by word what it prints, and what it refuses.

. "$SOURCE/tests/support/script.sh"
compare=$BIN/compare-builds
[ -x "$compare" ] || skip "this build has no compare-builds"
lib=$BUILD/libggml-lite.so
cp "$lib" "$tmp/other.so"
m=$tmp/m
"$BIN/ggl-make-model" "$m" --preset micro -q >/dev/null || fail "no model"
"$BIN/ggl-inspect" "$m" >/dev/null 2>"$tmp/err" || ! grep -q jansson "$tmp/err" || skip "no checkpoint directories in this build"

number='[0-9]+[.][0-9]+'
for mode in "" --prompt; do
    # shellcheck disable=SC2086
    "$compare" "$lib" "$tmp/other.so" "$m" 4 3 $mode >"$tmp/out" 2>"$tmp/err" || fail "compare-builds $mode"
    grep -qE "^B/A time $number \\+- $number, median $number; A $number, B $number ms a token" "$tmp/out" || fail "no ratio"
    if grep -q "% of reading" "$tmp/out"; then shares=yes; else shares=no; fi
    [ "$mode$shares" = yes ] || [ "$mode$shares" = --promptno ] || fail "shares of reading: $mode $shares"
done

refused() # refused PATTERN ARGUMENTS...
{
    pattern=$1
    shift
    if "$compare" "$@" >"$tmp/out" 2>"$tmp/err"; then fail "accepted: $*"; fi
    grep -q -- "$pattern" "$tmp/err" || fail "\"$pattern\" is not in the error"
}
refused "usage" "$lib" "$lib" "$m" 1
refused "usage" "$lib" "$lib" "$m" 1 1 --what
refused "expected a number" "$lib" "$lib" "$m" 0 1
refused "expected a number" "$lib" "$lib" "$m" 1 1x
refused "no-such.so" "$lib" "$tmp/no-such.so" "$m" 1 1
refused "$tmp/none" "$lib" "$lib" "$tmp/none" 1 1
