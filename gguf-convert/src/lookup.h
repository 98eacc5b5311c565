/*
 * Name -> index: an open-addressing hash table that borrows its names.  Linear in the number of names, which a
 * checkpoint counts in tens of thousands.
 */
#ifndef GGL_CONVERT_LOOKUP_H
#define GGL_CONVERT_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ggl_lookup {
    struct ggl_lookup_slot *slots;
    size_t mask; /* slots - 1, a power of two minus one */
};

#define GGL_LOOKUP_NONE UINT32_MAX

/* Room for n names; false: out of memory. */
bool ggl_lookup_init(struct ggl_lookup *l, size_t n);
void ggl_lookup_free(struct ggl_lookup *l);
/* The index under which name is known already, or GGL_LOOKUP_NONE after adding it as `index`. */
uint32_t ggl_lookup_add(struct ggl_lookup *l, const char *name, uint32_t index);
uint32_t ggl_lookup_find(const struct ggl_lookup *l, const char *name);

#endif
