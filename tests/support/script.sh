# Sourced by the script tests: a scratch folder that is removed at the end, and checks that say what went wrong.
# Needs BIN (tools), SOURCE, VECTORS and TESTBIN, as ctest sets them.
set -eu
: "${BIN:?}" "${SOURCE:?}"
tmp=$(mktemp -d "${TMPDIR:-/tmp}/ggl-test.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

# A test that cannot run here ends with 77, which ctest shows as skipped.
skip()
{
    echo "skipped: $*"
    exit 77
}

fail()
{
    echo "FAILED: $*" >&2
    for f in "$tmp/out" "$tmp/err"; do
        [ ! -s "$f" ] || { echo "--- $(basename "$f")"; head -c 2000 "$f"; } >&2
    done
    exit 1
}

# status CODE COMMAND...: run it (output in $tmp/out and $tmp/err) and compare the exit status.
status()
{
    want=$1
    shift
    got=0
    "$@" >"$tmp/out" 2>"$tmp/err" || got=$?
    [ "$got" -eq "$want" ] || fail "exit status $got, expected $want: $*"
}

# one_line TOOL: the last command said one line, and that line starts with the tool's name.
one_line()
{
    [ "$(wc -l <"$tmp/err")" -eq 1 ] || fail "expected one line on stderr"
    case $(cat "$tmp/err") in
    "$1: "?*) ;;
    *) fail "expected \"$1: ...\" on stderr" ;;
    esac
}

# says FILE TEXT: the file has the text on some line.
says()
{
    grep -qF -- "$2" "$1" || fail "\"$2\" is not in $1"
}
