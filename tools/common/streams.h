/* Private to tools/common: why reading standard input failed, for the message at exit. */
#ifndef TOOLS_STREAMS_H
#define TOOLS_STREAMS_H

extern int cli_stdin_errno;

#endif
