# ggl-quant: every vector through stdin and stdout, planes both ways, refusals, and full disks.
. "$SOURCE/tests/support/script.sh"
tool=$BIN/ggl-quant

# run CODE FILE ARGS...: the tool with that file as stdin.
run()
{
    want=$1 in=$2
    shift 2
    got=0
    "$tool" "$@" <"$in" >"$tmp/out" 2>"$tmp/err" || got=$?
    [ "$got" -eq "$want" ] || fail "exit status $got, expected $want: ggl-quant $*"
    [ "$want" -eq 0 ] || one_line ggl-quant
}

count=0
for blocks in "$VECTORS"/quant/*.blocks; do
    type=$(basename "$blocks" .blocks)
    run 0 "$blocks" decode "$type"
    cmp "$tmp/out" "$VECTORS/quant/$type.f32" || fail "$type decodes to other values"
    count=$((count + 1))
done
[ "$count" -eq 24 ] || fail "$count vectors, expected 24"
status 0 "$tool" decode q8_0 <"$VECTORS/quant/Q8_0.blocks"
cmp "$tmp/out" "$VECTORS/quant/Q8_0.f32"

# What an encoder made decodes, and lossless types come back as they were.
values=$VECTORS/quant/Q6_K.f32
for type in F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 MXFP4 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS; do
    run 0 "$values" encode $type --row 256
    cp "$tmp/out" "$tmp/blocks"
    run 0 "$tmp/blocks" decode $type --row 256
    [ "$(wc -c <"$tmp/out")" -eq 24576 ] || fail "$type: other size"
done
run 0 "$values" encode F32 --row 6144
cmp "$tmp/out" "$values" || fail "F32 changed"
run 0 "$VECTORS/quant/BF16.f32" encode BF16 -r 1
cmp "$tmp/out" "$VECTORS/quant/BF16.blocks" || fail "BF16 changed"

# Planes: sizes, the codes before the scales, and values that are already rounded stay.
planes() # TYPE N BYTES
{
    run 0 "$values" encode "$1" --row "$2"
    cp "$tmp/out" "$tmp/planes"
    [ "$(wc -c <"$tmp/planes")" -eq "$3" ] || fail "$1: $(wc -c <"$tmp/planes") bytes, expected $3"
    run 0 "$tmp/planes" decode "$1" --row "$2"
    cp "$tmp/out" "$tmp/once"
    [ "$(wc -c <"$tmp/once")" -eq 24576 ] || fail "$1: other size"
    run 0 "$tmp/once" encode "$1" --row "$2"
    cp "$tmp/out" "$tmp/twice"
    run 0 "$tmp/twice" decode "$1" --row "$2"
    cmp "$tmp/out" "$tmp/once" || fail "$1 is not stable"
}
planes FP8 256 $((6144 + 2))
planes FP8 24 $((6144 + 2))   # 256 rows: two bands
planes FP8 32 $((6144 + 2))   # 192 rows: one band and a half
planes FP8 6144 $((6144 + 48))
planes FP4 256 $((3072 + 192))
planes fp4 6144 $((3072 + 192))

# INT4: the codes of all rows, their scales, a float a row; near the values, and nearer where a file says that it matters.
for n in 256 64 6144; do
    run 0 "$values" encode INT4 --row $n
    cp "$tmp/out" "$tmp/planes"
    want=$((3072 + 192 + 6144 / n * 4))
    [ "$(wc -c <"$tmp/planes")" -eq $want ] || fail "INT4: $(wc -c <"$tmp/planes") bytes, expected $want"
    run 0 "$tmp/planes" decode int4 --row $n
    [ "$(wc -c <"$tmp/out")" -eq 24576 ] || fail "INT4: other size"
done
# Codes 8 (level 1) and 0 (-127) under a scale of 2 and a row scale of 0.5.
printf '\010\210\210\210\210\210\210\210\210\210\210\210\210\210\210\210\100\000\000\000\077' >"$tmp/planes"
run 0 "$tmp/planes" decode INT4 --row 32
[ "$(od -An -tf4 -j0 -N4 "$tmp/out" | tr -d ' \n')" = 1 ] || fail "INT4: element 0"
[ "$(od -An -tf4 -j64 -N4 "$tmp/out" | tr -d ' \n')" = -127 ] || fail "INT4: element 16"
tail -c 1024 "$values" >"$tmp/row"
weights() # N...: float32 0 or 1, one a digit
{
    for w in "$@"; do
        case $w in 0) printf '\000\000\000\000' ;; 1) printf '\000\000\200\077' ;; nan) printf '\000\000\300\177' ;; esac
    done
}
: >"$tmp/ones"
: >"$tmp/few"
i=0
while [ $i -lt 64 ]; do
    weights 1 1 1 1 >>"$tmp/ones"
    weights 0 0 0 1 >>"$tmp/few"
    i=$((i + 1))
done
run 0 "$tmp/row" encode INT4 --row 256
cp "$tmp/out" "$tmp/plain"
run 0 "$tmp/row" encode INT4 --row 256 --imatrix "$tmp/ones"
cmp "$tmp/out" "$tmp/plain" || fail "alike weights change something"
run 0 "$tmp/row" encode INT4 --row 256 --imatrix "$tmp/few"
! cmp -s "$tmp/out" "$tmp/plain" || fail "weights change nothing"
run 65 "$tmp/row" encode INT4 --row 128 --imatrix "$tmp/few"
says "$tmp/err" "1024 bytes, expected 128 float32"
{ head -c 1020 "$tmp/few" && weights nan; } >"$tmp/nan"
run 65 "$tmp/row" encode INT4 --row 256 --imatrix "$tmp/nan"
says "$tmp/err" "number 255 is"
run 66 "$tmp/row" encode INT4 --row 256 --imatrix "$tmp/none"

# Blocks with importances: they count, and each row is rounded by itself.
head -c 1024 "$values" >"$tmp/row1"
head -c 2048 "$values" | tail -c 1024 >"$tmp/row2"
cat "$tmp/row1" "$tmp/row2" >"$tmp/rows"
for type in Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ2_XXS IQ4_NL IQ4_XS; do
    run 0 "$tmp/row1" encode $type --row 256 --imatrix "$tmp/few"
    cp "$tmp/out" "$tmp/expected"
    run 0 "$tmp/row2" encode $type --row 256 --imatrix "$tmp/few"
    cat "$tmp/out" >>"$tmp/expected"
    run 0 "$tmp/rows" encode $type --row 256 --imatrix "$tmp/ones"
    ! cmp -s "$tmp/out" "$tmp/expected" || fail "$type: importances do not count"
    run 0 "$tmp/rows" encode $type --row 256 --imatrix "$tmp/few"
    cmp "$tmp/out" "$tmp/expected" || fail "$type: rows depend on each other"
    cp "$tmp/out" "$tmp/blocks"
    run 0 "$tmp/blocks" decode $type --row 256
    [ "$(wc -c <"$tmp/out")" -eq 2048 ] || fail "$type: other size"
done
head -c 1500 "$values" >"$tmp/torn"
run 65 "$tmp/torn" encode IQ2_XXS --row 256 --imatrix "$tmp/few"
says "$tmp/err" "1500 bytes are not a whole number of 1024-byte rows"
run 65 "$tmp/row" encode Q4_K --row 512 --imatrix "$tmp/few"
run 2 "$tmp/row" encode IQ2_XXS --row 256
says "$tmp/err" "IQ2_XXS needs an importance matrix: give one with --imatrix FILE"

# Four elements of 1 and one of 448 * 2: the scale is 2, the codes those of 0.5 and 448.
printf '\000\000\200\077\000\000\140\104' >"$tmp/two" # 1, 896
run 0 "$tmp/two" encode FP8 --row 2
[ "$(od -An -tx1 "$tmp/out" | tr -d ' \n')" = "307e80" ] || fail "FP8 of 1, 896 is $(od -An -tx1 "$tmp/out")"

: >"$tmp/empty"
for type in Q8_0 FP8 FP4 INT4; do
    run 0 "$tmp/empty" encode $type --row 32
    [ ! -s "$tmp/out" ] || fail "$type: bytes out of nothing"
    run 0 "$tmp/empty" decode $type --row 32
    [ ! -s "$tmp/out" ] || fail "$type: values out of nothing"
done

# Sizes that are not whole blocks or rows.
head -c 35 "$VECTORS/quant/Q8_0.blocks" >"$tmp/cut"
run 65 "$tmp/cut" decode Q8_0
says "$tmp/err" "35 bytes are not a whole number of 34-byte blocks"
head -c 34 "$VECTORS/quant/Q8_0.blocks" >"$tmp/cut"
run 65 "$tmp/cut" decode Q8_0 --row 64
says "$tmp/err" "34 bytes are not a whole number of 68-byte rows"
head -c 1000 "$values" >"$tmp/cut"
for type in Q8_0 FP8 FP4 INT4 F32; do run 65 "$tmp/cut" encode $type --row 32; done
run 65 "$tmp/cut" encode Q8_0 --row 1152921504606846944 # no memory holds such a row, and none has to
head -c 1001 "$values" >"$tmp/cut"
run 65 "$tmp/cut" encode F32 --row 1
for n in 1 16 18 33 47 49; do
    head -c "$n" "$values" >"$tmp/cut"
    run 65 "$tmp/cut" decode FP4 --row 32
done
for n in 1 16 20 22 41 43; do
    head -c "$n" "$values" >"$tmp/cut"
    run 65 "$tmp/cut" decode INT4 --row 32
done
for n in 1 32 34 63; do
    head -c "$n" "$values" >"$tmp/cut"
    run 65 "$tmp/cut" decode FP8 --row 32
done

# Usage.
for arguments in "" "decode" "decode Q9_0" "encode Q8_0" "encode Q8_0 --row 0" "encode Q8_0 --row -32" "encode F32 --row -1" \
    "encode Q8_0 --row 33" "encode IQ1_S --row 256" "decode I32" "decode F64" "transcode Q8_0" "decode FP8" \
    "decode FP4 --row 16" "encode FP4 --row 48" "decode INT4" "encode INT4" "encode INT4 --row 16" "decode INT4 --row 48" "decode Q8_0 x" "decode Q8_0 --imatrix f"; do
    # shellcheck disable=SC2086
    run 2 "$tmp/empty" $arguments
done
run 2 "$tmp/empty" encode Q8_0 --row 32 --imatrix "$values"
says "$tmp/err" "the encoder of Q8_0 uses no importance matrix"
run 70 "$tmp/empty" encode FP8 --row 1152921504606846975
run 0 "$tmp/empty" --help
says "$tmp/out" "UE8M0"

# Streams that fail.
if [ -w /dev/full ]; then
    head -c 24576 "$values" >"$tmp/wide"
    for arguments in "decode BF16" "encode F32 --row 1" "encode FP8 --row 32" "decode FP8 --row 24385" \
        "encode FP4 --row 32" "encode INT4 --row 32"; do
        got=0
        # shellcheck disable=SC2086
        "$tool" $arguments <"$tmp/wide" >/dev/full 2>"$tmp/err" || got=$?
        [ "$got" -eq 74 ] || fail "exit status $got on a full disk: $arguments"
        one_line ggl-quant
    done
fi
run 74 "$VECTORS" decode Q8_0 # a directory cannot be read
