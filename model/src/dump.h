/* Named intermediates of a session: taps on its graphs. */
#ifndef GGL_DUMP_H
#define GGL_DUMP_H

struct ggl_dump;
void ggl_dump_free(struct ggl_dump *list);

#endif
