/* The searches with AVX2: eight groups at a time. */
#include "quant/src/search_lanes.h"

const struct ggl_searches ggl_searches_avx2 = GGL_SEARCHES;
