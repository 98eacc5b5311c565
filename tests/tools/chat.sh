# ggl-chat without a terminal: one question, a question a line, sessions, refusals.
. "$SOURCE/tests/support/script.sh"
tool=$BIN/ggl-chat
"$BIN/ggl-make-model" "$tmp/m" --preset micro --seed 3 -q || fail "no model"

status 0 "$tool" -m "$tmp/m" -t1 --temp 0 -n 4 --think none -p 'one'
[ -s "$tmp/out" ] || skip "this build cannot read the model's tokenizer"
says "$tmp/err" 'reused'
cp "$tmp/out" "$tmp/one"

# Every line is a turn; empty lines are not; the last one needs no newline.  The first answer is the one above.
printf 'one\n\ntwo <｜User｜>\r\nthree' >"$tmp/in"
status 0 "$tool" -m "$tmp/m" -t1 --temp 0 -n 4 --think none <"$tmp/in"
cp "$tmp/out" "$tmp/all"
[ "$(grep -c 'answer 4 tokens' "$tmp/err")" -eq 3 ] || fail "expected three answers"
head -c "$(wc -c <"$tmp/one")" "$tmp/all" | cmp -s - "$tmp/one" || fail "the first line's answer is not that of -p"
# What was read or written before is not read again.
grep -q '(+ 0 reused)' "$tmp/err" || fail "the first turn reuses something"
[ "$(grep -c '(+ 0 reused)' "$tmp/err")" -eq 1 ] || fail "a later turn reads all again"

# The same in three processes.
for line in one 'two <｜User｜>' three; do
    status 0 "$tool" -m "$tmp/m" -t1 --temp 0 -n 4 --think none --session "$tmp/s" -p "$line"
    cat "$tmp/out" >>"$tmp/apart"
done
cmp -s "$tmp/apart" "$tmp/all" || fail "a restored session answers differently"
says "$tmp/err" 'reused'
[ "$(grep -c '(+ 0 reused)' "$tmp/err")" -eq 0 ] || fail "the restored session is read again"

# A session's file that is none, and one of another kind.
echo 'not a session' >"$tmp/bad"
status 65 "$tool" -m "$tmp/m" -t1 --session "$tmp/bad" -p x
one_line ggl-chat
says "$tmp/bad" 'not a session'

# Reasoning is on stderr, so stdout has the answer alone; --quiet leaves it out.
status 0 "$tool" -m "$tmp/m" -t1 --temp 0 -n 4 -p 'one'
[ "$(wc -c <"$tmp/out")" -eq 1 ] || fail "reasoning on stdout"
[ "$(wc -l <"$tmp/err")" -ge 2 ] || fail "no reasoning on stderr"
status 0 "$tool" -m "$tmp/m" -t1 --temp 0 -n 4 -q -p 'one'
[ ! -s "$tmp/err" ] || fail "--quiet writes to stderr"

# The same seed, the same answer; odd bytes do no harm.
for i in 1 2; do
    status 0 "$tool" -m "$tmp/m" -t1 --think none -n 6 --seed 9 -q --system 'Be brief.' -p "$(printf 'a\377b \360\237\231')"
    cp "$tmp/out" "$tmp/seed$i"
done
cmp -s "$tmp/seed1" "$tmp/seed2" || fail "one seed, two answers"
printf 'a\000b\n' | "$tool" -m "$tmp/m" -t1 -q --think none -n 2 >"$tmp/out" || fail "a zero byte in a line"
status 0 "$tool" -m "$tmp/m" -t1 </dev/null
[ ! -s "$tmp/out" ] || fail "no question, but an answer"

# Refusals.
status 2 "$tool"
status 2 "$tool" -m "$tmp/m" --think deep
status 2 "$tool" -m "$tmp/m" --temp nan
status 2 "$tool" -m "$tmp/m" --temp 101
status 2 "$tool" -m "$tmp/m" --top-p 1.5
status 2 "$tool" -m "$tmp/m" --top-k -1
status 2 "$tool" -m "$tmp/m" --min-p -1
status 2 "$tool" -m "$tmp/m" -n -1
status 66 "$tool" -m "$tmp/none" -p x
one_line ggl-chat
status 75 "$tool" -m "$tmp/m" -t1 --ctx 6 -p 'far more text than fits into so short a context'
one_line ggl-chat
rm "$tmp/m/tokenizer.json"
status 65 "$tool" -m "$tmp/m" -t1 -p x
one_line ggl-chat
says "$tmp/err" 'tokenizer'
