/* The point of an IQ2 grid that is best for eight magnitudes: what the encoders of its types search with. */
#ifndef GGL_QUANT_IQ_SEARCH_H
#define GGL_QUANT_IQ_SEARCH_H

#include <stdint.h>

/* For each of the 3^8 tuples of digits 0, 1, 2 the points near it: those in the two smallest distances. */
struct ggl_iq2_neighbours;

/* Of IQ2_XXS; made when it is first asked for, and kept.  NULL without memory. */
const struct ggl_iq2_neighbours *ggl_iq2_xxs_neighbours(void);

/* The index of the point for x[8] at this scale: the tuple of x itself if that is a point (*exact), else the one of least
 * sum of w (scale q - x)^2 among those near it; q = 2 digit + 1.  Without neighbours they are found
 * each time. */
int ggl_iq2_xxs_point(const struct ggl_iq2_neighbours *near, const float *x, const float *w, float scale, int *exact);

#endif
