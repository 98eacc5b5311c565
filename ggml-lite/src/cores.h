#ifndef GGL_CORES_H
#define GGL_CORES_H

#include "ggml-lite/threads.h"

/* Hardware threads that may run at once, by affinity and quota. */
int ggl_allowed_cpus(void);

/* Processors that a control group's cpu.max allows ("150000 100000": 2), or 0 for no limit. */
int ggl_quota_cpus(const char *text);

#endif
