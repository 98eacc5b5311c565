# Every public header compiles alone, as C11 and as C++11, without a warning.
. "$SOURCE/tests/support/script.sh"
: "${CC:=cc}"
set -- -I"$SOURCE/quant/include" -I"$SOURCE/ggml-lite/include" -I"$SOURCE/model/include" \
    -I"$SOURCE/gguf-convert/include" -Wall -Wextra -Werror -pedantic -fsyntax-only
cxx=""
for c in c++ g++ clang++; do
    if command -v $c >/dev/null; then
        cxx=$c
        break
    fi
done
n=0
for header in "$SOURCE"/*/include/*/*.h; do
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" >"$tmp/one.c" # twice: the guard works
    cp "$tmp/one.c" "$tmp/one.cc"
    "$CC" -std=c11 "$@" "$tmp/one.c" >"$tmp/out" 2>"$tmp/err" || fail "$header is no C11"
    [ -z "$cxx" ] || "$cxx" -std=c++11 "$@" "$tmp/one.cc" >"$tmp/out" 2>"$tmp/err" || fail "$header is no C++11"
    n=$((n + 1))
done
[ "$n" -ge 8 ] || fail "only $n headers were found"
