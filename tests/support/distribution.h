/* Numbers of three distributions, unit-like in size and the same on every machine, for errors of number formats. */
#ifndef TESTS_DISTRIBUTION_H
#define TESTS_DISTRIBUTION_H

#include <stdint.h>

/* What numbers are drawn from; any number but 0 seeds it. */
extern uint64_t distribution_state;

double draw_uniform(void); /* (0, 1) */
double draw_gauss(void);
double draw_laplace(void);
double draw_student_t4(void); /* four degrees of freedom */

#endif
