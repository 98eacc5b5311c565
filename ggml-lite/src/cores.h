#ifndef GGL_CORES_H
#define GGL_CORES_H

#include "ggml-lite/threads.h"

/* What is known of the machine's cores: NULL when nothing is (no hwloc, or it failed), which all functions accept.
 * Finding it out takes milliseconds. */
struct ggl_machine;
struct ggl_machine *ggl_machine_open(void);
void ggl_machine_close(struct ggl_machine *m);
int ggl_machine_cores(const struct ggl_machine *m); /* as ggl_physical_cores */
/* Choose the places of a team of n, once; and put the calling thread in that of member ith. */
void ggl_machine_place(struct ggl_machine *m, int n);
void ggl_machine_bind(const struct ggl_machine *m, int ith);
/* The node of every member, as numbers; NULL: all the same. */
const int *ggl_machine_nodes(const struct ggl_machine *m);
/* Pages that lie in it whole or in part go to the node of member ith, those that are somewhere already, too. */
void ggl_machine_bind_memory(const struct ggl_machine *m, int ith, void *memory, uint64_t bytes);
const struct ggl_machine *ggl_team_machine(const struct ggl_team *team); /* NULL: its members have no places */

/* Hardware threads that may run at once, by affinity and quota. */
int ggl_allowed_cpus(void);

/* Processors that a control group's cpu.max allows ("150000 100000": 2), or 0 for no limit. */
int ggl_quota_cpus(const char *text);

#endif
