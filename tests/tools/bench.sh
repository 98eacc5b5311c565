# ggl-bench: table and profile, every field of the JSON rows, levels that are switched off, refusals, interruption.
. "$SOURCE/tests/support/script.sh"
bench=$BIN/ggl-bench
[ -x "$bench" ] || skip "no ggl-bench"
model=$VECTORS/gguf/micro-Q4_K_M-split-00001-of-00004.gguf

status 0 "$bench" -m "$model" -p 8 -n 2 -d 0,200 -r 2 -t 2 --profile
for word in model machine peaks memory "2 threads" "peak RSS" pp8 tg2; do says "$tmp/out" "$word"; done
[ "$(grep -c '^pp8 ' "$tmp/out")" -eq 4 ] || fail "not two rows and two profiles of pp8"
for op in mul_mat attention moe_fast index_select "(between runs)" "(all)"; do says "$tmp/out" "  $op "; done
says "$tmp/out" "  a token: 1.00 runs of the team, "
says "$tmp/err" "pp8 @ d200"

status 0 "$bench" -m "$model" -p 8 -n 2 -r 1 -t 1 -q --json --profile
says "$tmp/err" "(all)"
for field in test depth n_tokens tps tps_sd bytes_per_token bandwidth_gbs bandwidth_share int8_gmacs int8_peak_gmacs \
    int8_share rss_bytes threads isa model_type n_prompt n_gen n_depth avg_ts stddev_ts samples_ts n_threads avg_ns \
    stddev_ns samples_ns model_filename model_size model_n_params n_batch n_ubatch cpu_info build_commit test_time; do
    [ "$(grep -c "\"$field\": " "$tmp/out")" -eq 2 ] || fail "\"$field\" is not in both rows"
done

# The peaks are those of the levels in use.
GGL_CPU_DISABLE=avx2,neon status 0 "$bench" -m "$model" -p 0 -n 1 -r 1 -t 1 -q --json
says "$tmp/out" '"isa": "c"'

# Wrong usage; a model that is none.
refuse()
{
    code=$1
    shift
    status "$code" "$bench" "$@"
    one_line ggl-bench
}
refuse 2
refuse 2 -m "$model" -p 0 -n 0
refuse 2 -m "$model" -p 1,,2
refuse 2 -m "$model" -p ,
refuse 2 -m "$model" -d 1,x
refuse 2 -m "$model" -d -1
refuse 2 -m "$model" -n 99999999999999999999999999
refuse 2 -m "$model" -p 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1
refuse 2 -m "$model" -r 0
refuse 2 -m "$model" -t 1025
refuse 2 -m "$model" --chunk -1
refuse 2 -m "$model" --precision f16
refuse 2 -m "$model" -d 1048576
says "$tmp/err" "the model was made for 1048576"
refuse 66 -m "$tmp/absent.gguf"
refuse 65 -m "$SOURCE/README.md"
[ ! -w /dev/full ] || {
    got=0
    "$bench" -m "$model" -p 1 -n 0 -r 1 -q >/dev/full 2>"$tmp/err" || got=$?
    [ "$got" -eq 74 ] || fail "a full disk ends with $got"
}

# A run that is stopped says so and leaves nothing behind.
"$bench" -m "$model" -p 512 -n 0 -d 300 -r 1000 -t 1 >"$tmp/out" 2>"$tmp/err" &
pid=$!
i=0 # half a minute with sanitizers on a busy machine
while ! ls -d "/tmp/ggl-bench-$pid."* >/dev/null 2>&1; do
    i=$((i + 1))
    [ "$i" -lt 240 ] && kill -0 "$pid" 2>/dev/null || { kill -TERM "$pid" 2>/dev/null; fail "the session is not saved"; }
    sleep 0.5
done
kill -TERM $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || fail "a stopped run ended with $got"
! ls -d "/tmp/ggl-bench-$pid."* >/dev/null 2>&1 || fail "a saved session was left in /tmp"
