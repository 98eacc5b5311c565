# An installed tree serves programs through pkg-config (shared and static) and find_package, also after it was
# moved; and the source tree serves them through add_subdirectory without installing anything of ours.
. "$SOURCE/tests/support/script.sh"
: "${BUILD:?}" "${CMAKE:=cmake}" "${CC:=cc}"
consumer=$SOURCE/tests/support/consumer
command -v pkg-config >/dev/null || skip "no pkg-config"
! nm "$BUILD/bin/ggl-make-model" 2>/dev/null | grep -q __asan_init || skip "a sanitizer build is not for installing"

step()
{
    "$@" >"$tmp/out" 2>"$tmp/err" || fail "$*"
}

runs() # runs PROGRAM: it works and reports the missing file
{
    step "$@"
    says "$tmp/out" "ggml-lite 0."
    says "$tmp/out" "/nonexistent/model.gguf"
}

step "$CMAKE" --install "$BUILD" --prefix "$tmp/first"
mv "$tmp/first" "$tmp/moved"
lib=$(dirname "$(find "$tmp/moved" -name ggml-lite.pc)")/..
export PKG_CONFIG_PATH="$lib/pkgconfig" LD_LIBRARY_PATH="$lib"
for header in quant/quant.h ggml-lite/gguf.h model/model.h; do
    [ -f "$tmp/moved/include/$header" ] || fail "$header is not installed"
done
[ -L "$lib/libggml-lite.so" ] || fail "libggml-lite.so is no link to its version"

# shellcheck disable=SC2046
step "$CC" "$consumer/main.c" -o "$tmp/shared" $(pkg-config --cflags --libs ggml-lite)
runs "$tmp/shared"
# shellcheck disable=SC2046
step "$CC" "$consumer/main.c" -o "$tmp/static" -Wl,-Bstatic $(pkg-config --cflags --libs ggml-lite) -Wl,-Bdynamic \
    $(pkg-config --static --libs ggml-lite | sed 's/-lggml-lite//')
LD_LIBRARY_PATH="" runs "$tmp/static"

step "$CMAKE" -S "$consumer" -B "$tmp/found" -DCMAKE_C_COMPILER="$CC" -DCMAKE_PREFIX_PATH="$tmp/moved"
step "$CMAKE" --build "$tmp/found"
runs "$tmp/found/consumer"

step "$CMAKE" -S "$consumer" -B "$tmp/sub" -DCMAKE_C_COMPILER="$CC" -DSOURCE="$SOURCE"
step "$CMAKE" --build "$tmp/sub" -j 2
LD_LIBRARY_PATH="" runs "$tmp/sub/consumer"
step "$CMAKE" --install "$tmp/sub" --prefix "$tmp/outer"
[ ! -e "$tmp/outer/include" ] || fail "add_subdirectory installs our headers with the outer project"

# The installed tools need nothing from the build tree.
LD_LIBRARY_PATH="" step "$tmp/moved/bin/ggl-make-model" --version
