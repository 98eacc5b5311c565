# What every tool does with wrong usage, unusable inputs and a full disk: the documented exit code and one line on
# stderr, never a signal, a hang or a half-written output.
. "$SOURCE/tests/support/script.sh"

tools="gguf-convert ggl-make-model ggl-chat ggl-eval ggl-tokenize ggl-encode ggl-quant ggl-inspect ggl-bench"
mkdir "$tmp/empty-folder"
: >"$tmp/empty"
head -c 100000 /dev/zero >"$tmp/zeros"
printf 'GGUF' >"$tmp/stub.gguf"
printf '{"model":' >"$tmp/cut.json"
mkfifo "$tmp/fifo"
echo "1 2 3" >"$tmp/tokens"

# The command line of a tool that reads INPUT; nothing for one that reads no file.
with_input() # with_input TOOL INPUT
{
    case $1 in
    gguf-convert) echo "$2 $tmp/out.gguf" ;;
    ggl-chat) echo "-m $2 -p hello -n 1" ;;
    ggl-eval) echo "-m $2 --tokens $tmp/tokens" ;;
    ggl-tokenize) echo "--tokenizer $2" ;;
    ggl-inspect) echo "$2" ;;
    ggl-bench) echo "-m $2 -p 1 -n 1" ;;
    esac
}

# code CODES COMMAND...: one of the codes, one line, within 20 s
code()
{
    wanted=$1
    shift
    got=0
    timeout 20 "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || got=$?
    case " $wanted " in
    *" $got "*) ;;
    *) fail "exit status $got, expected $wanted: $*" ;;
    esac
    one_line "$tool"
}

for tool in $tools; do
    [ -x "$BIN/$tool" ] || continue
    run=$BIN/$tool

    for option in --help --version; do
        status 0 "$run" $option
        [ -s "$tmp/out" ] && [ ! -s "$tmp/err" ] || fail "$tool $option does not write to stdout only"
        [ ! -w /dev/full ] || {
            got=0
            "$run" $option >/dev/full 2>"$tmp/err" || got=$?
            [ $got -eq 74 ] || fail "$tool $option on a full disk ends with $got"
            one_line "$tool"
        }
    done
    says "$tmp/out" "$tool 0."
    status 0 "$run" --help
    for part in NAME SYNOPSIS OPTIONS "EXIT STATUS" --version; do says "$tmp/out" "$part"; done
    ! grep -q '.\{121,\}' "$tmp/out" || fail "$tool --help has lines above 120 characters"

    code 2 "$run" --no-such-option
    code 2 "$run" --threads=many
    code 2 "$run" --threads

    [ -n "$(with_input "$tool" x)" ] || continue
    code 2 "$run"
    # shellcheck disable=SC2046
    code 66 "$run" $(with_input "$tool" "$tmp/missing")
    says "$tmp/err" "$tmp/missing"
    for input in empty zeros stub.gguf cut.json; do
        # shellcheck disable=SC2046
        code 65 "$run" $(with_input "$tool" "$tmp/$input")
        says "$tmp/err" "$tmp/$input"
    done
    for input in "$tmp/empty-folder" "$tmp/fifo" /dev/null /dev/zero; do
        # shellcheck disable=SC2046
        code "65 66 74" "$run" $(with_input "$tool" "$input")
        says "$tmp/err" "$input"
    done
    [ ! -e "$tmp/out.gguf" ] || fail "$tool left an output behind"
    [ -z "$(find "$tmp" -name '*.tmp*')" ] || fail "$tool left $(find "$tmp" -name '*.tmp*')"
done

# Standard streams that are closed: an exit code, not a signal, and no message in somebody else's file.
for tool in ggl-encode ggl-quant ggl-tokenize; do
    [ -x "$BIN/$tool" ] || continue
    case $tool in
    ggl-encode) set -- ;;
    ggl-quant) set -- decode Q8_0 ;;
    ggl-tokenize) set -- --tokenizer "$SOURCE/tools/ggl-make-model/tokenizer.json" ;;
    esac
    got=0
    timeout 20 "$BIN/$tool" "$@" <&- >"$tmp/out" 2>"$tmp/err" || got=$?
    case $got in
    0 | 65 | 74) ;;
    *) fail "$tool with stdin closed ends with $got" ;;
    esac
    got=0
    timeout 20 "$BIN/$tool" "$@" <"$tmp/empty-folder" >"$tmp/out" 2>"$tmp/err" || got=$?
    [ $got -eq 74 ] || fail "$tool with a folder as stdin ends with $got"
    one_line "$tool"
done
if [ -x "$BIN/ggl-tokenize" ]; then
    set -- --tokenizer "$SOURCE/tools/ggl-make-model/tokenizer.json"
    for i in 1 2 3 4 5; do echo '"some words to tokenise"'; done >"$tmp/lines"
    tool=ggl-tokenize
    got=0
    "$BIN/$tool" "$@" <"$tmp/lines" >&- 2>"$tmp/err" || got=$?
    [ $got -eq 74 ] || fail "$tool with stdout closed ends with $got"
    one_line $tool
    got=0
    "$BIN/$tool" "$@" <"$tmp/lines" >/dev/full 2>"$tmp/err" || got=$?
    [ $got -eq 74 ] || fail "$tool on a full disk ends with $got"
    one_line $tool
fi
