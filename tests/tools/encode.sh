# ggl-encode: a line in, a line out; what a bad line does in either direction.
. "$SOURCE/tests/support/script.sh"
tool=$BIN/ggl-encode

printf '%s\n' '{"messages": [{"role": "user", "content": "a\u00e9\n\"x\""}], "thinking_mode": "chat"}' \
    '{"messages": [], "thinking_mode": "thinking", "prompt_format": "dsv4-0731", "drop_thinking": false}' >"$tmp/in"
status 0 "$tool" <"$tmp/in"
[ ! -s "$tmp/err" ] || fail "a good run writes to stderr"
[ "$(wc -l <"$tmp/out")" -eq 2 ] || fail "expected two lines"
says "$tmp/out" '"<｜begin▁of▁sentence｜><｜User｜>aé\n\"x\"<｜Assistant｜></think>"'
says "$tmp/out" '"<｜begin▁of▁sentence｜>"'

# The number of the line and the place in it.
echo '{"messages": [{"role": "cat"}], "thinking_mode": "chat"}' >>"$tmp/in"
status 65 "$tool" <"$tmp/in"
one_line ggl-encode
says "$tmp/err" 'line 3: messages[0].role'
[ "$(wc -l <"$tmp/out")" -eq 2 ] || fail "the lines before the bad one are missing"
: >"$tmp/in"
status 0 "$tool" <"$tmp/in"
[ ! -s "$tmp/out" ] || fail "an empty input has an answer"
echo >"$tmp/in"
status 65 "$tool" <"$tmp/in"
says "$tmp/err" 'line 1'

# --parse answers every line.
printf '%s\n' '{"completion": "hi<｜end▁of▁sentence｜>", "thinking_mode": "chat"}' 'no JSON' \
    '{"completion": "\"hi", "thinking_mode": "chat"}' '{"completion": 1, "thinking_mode": "chat"}' >"$tmp/in"
printf '%s' '{"completion": "w</think>hi<｜end▁of▁sentence｜>", "thinking_mode": "thinking"}' >>"$tmp/in"
status 0 "$tool" --parse <"$tmp/in"
[ "$(wc -l <"$tmp/out")" -eq 5 ] || fail "expected five lines"
says "$tmp/out" '{"ok": true, "parsed": {"role": "assistant", "content": "hi", "reasoning_content": "", "tool_calls": []}}'
says "$tmp/out" '{"ok": true, "parsed": {"role": "assistant", "content": "hi", "reasoning_content": "w", "tool_calls": []}}'
[ "$(grep -c '^{"ok": false, "error": "..*"}$' "$tmp/out")" -eq 3 ] || fail "expected three errors"

status 2 "$tool" --unknown </dev/null
status 2 "$tool" extra </dev/null
if [ -w /dev/full ]; then
    got=0
    "$tool" --parse <"$tmp/in" >/dev/full 2>"$tmp/err" || got=$?
    [ "$got" -eq 74 ] || fail "a full disk: exit status $got, expected 74"
fi
