/*
 * What the system tells about itself, and names for what was measured.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ggl-bench/bench.h"
#include "ggml-lite/cpu.h"
#include "ggml-lite/gguf.h"

/* Linux can forget the peak, so that each row gets its own; elsewhere it is that of the process so far. */
void bench_reset_peak_rss(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t written = write(fd, "5", 1);
    (void)written;
    close(fd);
}

/* The first line of a /proc file that starts with `key`: what follows the colon, or false. */
static bool find_line(const char *path, const char *key, char *value, size_t size)
{
    FILE *f = fopen(path, "r");
    char line[256];
    bool found = false;
    while (f && !found && fgets(line, sizeof(line), f)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0) continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        found = true;
    }
    if (f) fclose(f);
    return found;
}

uint64_t bench_peak_rss(void)
{
    char value[64];
    int64_t kib;
    if (!find_line("/proc/self/status", "VmHWM", value, sizeof(value))) return cli_peak_rss();
    value[strspn(value, "0123456789")] = '\0';
    return cli_number_int(value, &kib) ? (uint64_t)kib * 1024 : cli_peak_rss();
}

void bench_cpu_name(char *name, size_t size)
{
    if (!find_line("/proc/cpuinfo", "model name", name, size)) name[0] = '\0';
}

void bench_isa_names(uint64_t isa, char *names, size_t size)
{
    size_t n = 0;
    snprintf(names, size, "%s", ggl_isa_name(0));
    for (int i = 0; i < 64; i++) {
        const char *name = ggl_isa_name(isa & (UINT64_C(1) << i));
        if (!(isa >> i & 1) || !name || n >= size) continue;
        n += (size_t)snprintf(names + n, size - n, "%s%s", n ? "," : "", name);
    }
}

static const char *scaled(double v, char buf[32])
{
    static const char units[] = " KMBT";
    int u = 0;
    for (; v >= 999.95 && u < 4; u++) v /= 1000;
    snprintf(buf, 32, u ? "%.1f%c" : "%.0f", v, units[u]);
    return buf;
}

/* The type that most bytes of a GGUF file have. */
static const char *main_type(const struct ggl_gguf *g)
{
    uint64_t best = 0;
    const char *name = NULL;
    for (uint64_t i = 0; i < ggl_gguf_n_tensors(g); i++) {
        enum ggl_type type = ggl_gguf_tensor(g, i)->type;
        uint64_t bytes = 0;
        for (uint64_t j = 0; j < ggl_gguf_n_tensors(g); j++)
            if (ggl_gguf_tensor(g, j)->type == type) bytes += ggl_gguf_tensor_bytes(ggl_gguf_tensor(g, j));
        const struct ggl_type_info *info = ggl_type_info(type);
        if (bytes > best && info) best = bytes, name = info->name;
    }
    return name ? name : "checkpoint";
}

void bench_model_type(const struct ggl_model *m, char *text, size_t size)
{
    const struct ggl_gguf *meta = ggl_model_meta(m);
    const char *arch = ggl_gguf_get_str(meta, "general.architecture");
    char params[32];
    snprintf(text, size, "%s %s %s", arch ? arch : "?", scaled((double)ggl_model_n_params(m), params), main_type(meta));
}
