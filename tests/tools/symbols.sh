# What libggml-lite.so gives to its host and takes from it: it exports ggl_* and nothing else, and calls nothing
# that prints, ends the process, or changes what belongs to the host.
. "$SOURCE/tests/support/script.sh"
: "${BUILD:?}"
lib=$BUILD/libggml-lite.so
command -v nm >/dev/null || skip "no nm"
[ -f "$lib" ] || skip "no libggml-lite.so"
! nm -D "$lib" | grep -q __asan_init || skip "a sanitizer build"

nm -D --defined-only "$lib" | awk '{ print $NF }' | sed 's/@.*//' | sort -u >"$tmp/exported"
grep -q '^ggl_version$' "$tmp/exported" || fail "ggl_version is not exported"
grep -v '^ggl_' "$tmp/exported" >"$tmp/out" || true
[ ! -s "$tmp/out" ] || fail "exported without the prefix ggl_"

nm -D --undefined-only "$lib" | awk '{ print $NF }' | sed 's/@.*//; s/^__\(.*\)_chk$/\1/' | sort -u >"$tmp/used"
for name in printf vprintf fprintf vfprintf dprintf puts fputs putc putchar fputc perror psignal stdout stderr stdin \
    exit _exit _Exit quick_exit abort raise kill atexit on_exit secure_getenv setenv putenv environ signal \
    sigaction sigprocmask setlocale uselocale srand rand random system popen fork execve chdir \
    umask strtok strcpy strcat sprintf vsprintf gets alloca longjmp; do
    ! grep -qx "$name" "$tmp/used" || fail "the library uses $name"
done

# One environment variable is read, in one place.
grep -rhn 'getenv' "$SOURCE"/quant/src "$SOURCE"/ggml-lite/src "$SOURCE"/ggml-lite/kernels "$SOURCE"/model/src \
    "$SOURCE"/gguf-convert/src >"$tmp/out" || true
[ "$(wc -l <"$tmp/out")" -eq 1 ] && grep -q 'getenv("GGL_CPU_DISABLE")' "$tmp/out" ||
    fail "the library reads the environment"
