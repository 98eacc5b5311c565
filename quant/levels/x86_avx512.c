/* The searches with AVX-512: 16 groups at a time. */
#include "quant/src/search_lanes.h"

const struct ggl_searches ggl_searches_avx512 = GGL_SEARCHES;
