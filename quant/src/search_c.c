/* The searches of every processor: with the vectors that all of its kind have. */
#include "search_lanes.h"

const struct ggl_searches ggl_searches_c = GGL_SEARCHES;
