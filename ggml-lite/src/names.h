/*
 * Names from files: which are legal, and a table that finds them in constant
 * time, so that duplicate checks stay linear however many a file holds.
 */
#ifndef GGL_NAMES_H
#define GGL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is wrong with a name of n bytes, or NULL: it must be 1..max bytes of UTF-8 without NUL. */
const char *ggl_name_fault(const char *name, uint64_t n, uint64_t max);

/* Hash table from names to indices below 2^32 - 1; the names themselves stay with their owner. */
typedef const char *ggl_name_of(const void *owner, uint32_t index);
struct ggl_names {
    struct ggl_names_slot {
        uint32_t hash, index_1; /* index + 1; 0: free */
    } *slots;
    uint64_t n_slots, n;
    uint64_t seed[2]; /* differs from run to run, so that no file can be made to collide */
};

/* Room for n names altogether.  False: out of memory; the table is as before. */
bool ggl_names_reserve(struct ggl_names *t, uint64_t n);
bool ggl_names_find(const struct ggl_names *t, const char *name, ggl_name_of *name_of, const void *owner,
                    uint32_t *index);
/* Add a name that is not there yet; room must have been reserved. */
void ggl_names_add(struct ggl_names *t, const char *name, uint32_t index);
void ggl_names_free(struct ggl_names *t);

#endif
