/*
 * Which rows meet which tokens when, for the levels with vectors; included by their files behind
 *
 *     enum { ROWS, TOKENS };          the largest tile whose sums stay in registers; TOKENS <= 6
 *     enum { FEW };                   tokens that meet one row after the other
 *     enum { GROUP, CHUNK, PART };    rows, tokens and inputs whose sums wait in memory for the next part
 *     enum { COPY_FOR };              tokens from which it pays to align rows
 *     enum { BLOCK_BYTES };           of rows that meet all tokens before the next rows come
 *     #include "kernels/bf16/walk.h"
 *     INLINE void run_tile(const struct tile *, rows, tokens);
 *     static void multiply(const struct block *, y, y_stride);     add_block in the level's rounding mode, then the trees
 *
 * One token meets whole rows, one after the other: that reads memory as fast as reading alone while token and row stay
 * in the first-level cache (up to 4096 inputs).  Longer ones lose (7168: a tenth where memory is slow, a quarter where it
 * is fast), and yet parts of several rows in turn lost up to half: the processor fetches ahead what is one long piece.
 *
 * Several tokens: GROUP rows by PART inputs meet CHUNK tokens, tile by tile.  Tokens a power of two apart fight for the
 * same lines of the first-level cache (a seventh slower).
 */
#define INLINE static inline __attribute__((always_inline))

enum { STEP = 64, SUMS = 2 * GGL_LANES, MAX_ROWS = 16 };
_Static_assert(GROUP <= (int)MAX_ROWS && GROUP % ROWS == 0, "tiles that fill a group");
_Static_assert((int)MAX_ROWS <= GROUP * CHUNK && TOKENS <= 6 && PART % STEP == 0, "room for sums; tiles that run_tokens has");

/* Sums of token t and row r: s[t * pitch + r * SUMS], s0 before s1; n is a multiple of STEP. */
struct tile {
    const uint8_t *w;
    int64_t row_bytes;
    const uint16_t *x;
    int64_t x_stride, n;
    float *s;
    int64_t pitch;
    const uint8_t *next; /* rows to fetch meanwhile, next_bytes apart */
    int64_t next_bytes;
};

/* All inputs of `rows` <= MAX_ROWS rows and `tokens` <= CHUNK tokens; s [tokens][rows][SUMS] */
struct block {
    const uint8_t *w;
    int64_t row_bytes;
    const uint16_t *x;
    int64_t x_stride, n;
    float *s;
    int rows, tokens;
};

INLINE void run_tile(const struct tile *t, const int rows, const int tokens);
static void multiply(const struct block *b, float *y, int64_t y_stride);

INLINE void run_tokens(const struct tile *t, const int rows, int tokens)
{
    switch (tokens) {
    case 6: if (TOKENS >= 6) run_tile(t, rows, 6); break;
    case 5: if (TOKENS >= 5) run_tile(t, rows, 5); break;
    case 4: run_tile(t, rows, 4); break;
    case 3: run_tile(t, rows, 3); break;
    case 2: run_tile(t, rows, 2); break;
    default: run_tile(t, rows, 1); break;
    }
}

/* The next piece of what is left, where pieces are at most `most` and about as large as each other. */
static inline int piece(int64_t left, int most)
{
    int64_t pieces = (left + most - 1) / most;
    return (int)((left + pieces - 1) / pieces);
}

static void add_part(const struct block *b, const uint8_t *w, int64_t row_bytes, const uint16_t *x, int64_t x_stride, int64_t n,
                     const uint8_t *next)
{
    for (int k = 0, tokens; k < b->tokens; k += tokens) {
        tokens = piece(b->tokens - k, TOKENS);
        for (int r = 0; r < b->rows;) {
            struct tile t = {w + r * row_bytes, row_bytes, x + k * x_stride, x_stride, n, b->s + (k * b->rows + r) * SUMS,
                             (int64_t)b->rows * SUMS, next + r * b->row_bytes, b->row_bytes};
            if (b->rows - r >= ROWS && b->tokens > FEW) {
                run_tokens(&t, ROWS, tokens);
                r += ROWS;
            } else {
                run_tokens(&t, 1, tokens);
                r++;
            }
        }
    }
}

/* The inputs behind the last 64, with zeros behind them. */
static void add_tail(const struct block *b, int64_t done)
{
    uint8_t w[MAX_ROWS * 2 * STEP];
    uint16_t x[CHUNK * STEP];
    size_t bytes = 2 * (size_t)(b->n - done);
    memset(w, 0, (size_t)b->rows * 2 * STEP);
    memset(x, 0, (size_t)b->tokens * 2 * STEP);
    for (int r = 0; r < b->rows; r++) memcpy(w + r * 2 * STEP, b->w + r * b->row_bytes + 2 * done, bytes);
    for (int t = 0; t < b->tokens; t++) memcpy(x + t * STEP, b->x + t * b->x_stride + done, bytes);
    add_part(b, w, 2 * STEP, x, STEP, STEP, b->w + b->rows * b->row_bytes);
}

/* A part where no vector lies in two lines of the cache. */
static void add_copy(const struct block *b, int64_t from, int64_t n)
{
    enum { ROW_BYTES = 2 * PART + 64 }; /* rows a power of two apart would fight for the same lines */
    _Alignas(64) uint8_t copy[GROUP * ROW_BYTES];
    const uint8_t *next = from + n < b->n - b->n % STEP ? b->w + 2 * (from + n) : b->w + b->rows * b->row_bytes;
    for (int r = 0; r < b->rows; r++) memcpy(copy + r * ROW_BYTES, b->w + r * b->row_bytes + 2 * from, 2 * (size_t)n);
    add_part(b, copy, ROW_BYTES, b->x + from, b->x_stride, n, next);
}

/* Never inlined: where the level changes the rounding mode, all of this has to happen after that. */
static __attribute__((noinline)) void add_block(const struct block *b)
{
    int64_t whole = b->n - b->n % STEP, part = b->tokens == 1 ? whole : PART;
    memset(b->s, 0, (size_t)(b->rows * b->tokens) * SUMS * sizeof(float));
    for (int64_t i = 0; i < whole; i += part) {
        const uint8_t *w = b->w + 2 * i;
        int64_t n = whole - i < part ? whole - i : part;
        if (b->tokens >= COPY_FOR && ((uintptr_t)w | (uintptr_t)b->row_bytes) % 64) add_copy(b, i, n);
        else add_part(b, w, b->row_bytes, b->x + i, b->x_stride, n, w + ROWS * b->row_bytes);
    }
    if (whole < b->n) add_tail(b, whole);
}

/* Rows that stay in the second-level cache meet all tokens. */
static void walk_rows(struct block b, int64_t n_rows, int group, int64_t n_tokens, float *y, int64_t y_stride)
{
    const uint8_t *rows = b.w;
    const uint16_t *x = b.x;
    for (int64_t k = 0; k < n_tokens; k += b.tokens) {
        b.tokens = piece(n_tokens - k, CHUNK);
        b.x = x + k * b.x_stride;
        for (int64_t r = 0; r < n_rows; r += b.rows) {
            b.rows = (int)(n_rows - r < group ? n_rows - r : group);
            b.w = rows + r * b.row_bytes;
            multiply(&b, y + k * y_stride + r, y_stride);
        }
    }
}

static void walk(const uint8_t *rows, int64_t row_bytes, int64_t n_rows, int64_t n, const uint16_t *x, int64_t x_stride,
                 int64_t n_tokens, float *y, int64_t y_stride)
{
    _Alignas(64) float s[GROUP * CHUNK * SUMS];
    int group = n_tokens == 1 ? MAX_ROWS : GROUP;
    int64_t groups = BLOCK_BYTES / (2 * n * group), many = (groups > 1 ? groups : 1) * group;
    for (int64_t r = 0; r < n_rows; r += many) {
        struct block b = {rows + r * row_bytes, row_bytes, x, x_stride, n, s, 0, 0};
        walk_rows(b, n_rows - r < many ? n_rows - r : many, group, n_tokens, y + r, y_stride);
    }
}
