/* Does with a picture all that takes memory by its size: decodes it, fits it into the network's input, and makes what
 * is shown of it. */
#ifndef SAL_SWEEP_SUSPECT_READER_READ_SUSPECT_H
#define SAL_SWEEP_SUSPECT_READER_READ_SUSPECT_H

#include "sweep/suspect_task.h"

/* Greets, receives the task, limits this process's memory to what the task says and reads the picture at path. Returns
 * the exit status. For a process that does nothing else. */
int sal_suspect_read(int socket, const char *path);

#endif
