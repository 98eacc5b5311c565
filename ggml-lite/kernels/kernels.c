#include "kernels/kernels.h"

#include <string.h>

void ggl_kernels_pick(struct ggl_kernels *k, uint64_t isa)
{
    memset(k, 0, sizeof(*k));
#define KERNEL(operation, level, symbol) \
    if (!k->operation && ((level) & ~isa) == 0) k->operation = symbol;
#include "kernels/kernels.def"
#undef KERNEL
}

uint64_t ggl_kernels_levels(const struct ggl_kernels *k)
{
    uint64_t levels = 0;
#define KERNEL(operation, level, symbol) \
    if (k->operation == symbol) levels |= (level);
#include "kernels/kernels.def"
#undef KERNEL
    return levels;
}
