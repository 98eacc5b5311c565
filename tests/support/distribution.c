#include "support/distribution.h"
#include <math.h>

uint64_t distribution_state = 1;

double draw_uniform(void)
{
    distribution_state ^= distribution_state << 13;
    distribution_state ^= distribution_state >> 7;
    distribution_state ^= distribution_state << 17;
    return ((double)(distribution_state >> 12) + 0.5) * 0x1p-52;
}

double draw_gauss(void)
{
    double r = sqrt(-2 * log(draw_uniform()));
    return r * cos(6.283185307179586 * draw_uniform());
}

double draw_laplace(void)
{
    double u = draw_uniform() - 0.5;
    return u < 0 ? log(1 + 2 * u) : -log(1 - 2 * u);
}

double draw_student_t4(void)
{
    double chi2 = -2 * log(draw_uniform() * draw_uniform());
    return draw_gauss() / sqrt(chi2 / 4);
}
