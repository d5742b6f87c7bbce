/* The program salmap-hdf5, which libhdf5 runs in: where it is, and its start. Nobody forks the process that the library
 * is part of: that may have threads, a GPU's context and handlers of its own. */
#ifndef SAL_IMPORT_HDF5_PROGRAM_H
#define SAL_IMPORT_HDF5_PROGRAM_H

#include "import/hdf5/questions.h"

#include <limits.h>
#include <sys/types.h>

/* Its path: what the environment variable SAL_HDF5_READER says, else the first that is there of
 *   the folder for such programs, seen from the file that this code lies in: ../libexec/salmap/
 *   libexec/salmap/ beside that file
 *   the folder for such programs where the build was configured to be installed.
 * That file is libsalmap.so, or the program that is linked with the static library. A program with more rights than its
 * user (set-user-ID and the like) tries the last place alone. out: PATH_MAX bytes. path: of the model, for the message.
 * Error: IO, which names the places. */
sal_status hdf5_program_find(char *out, const char *path);

/* Starts it for the task. It has the socket, the standard streams, and none of this process's signal handlers and
 * masks. *out is its process, which the caller waits for; program, of PATH_MAX bytes, its path. Errors: IO, MEMORY. */
sal_status hdf5_program_start(pid_t *out, char *program, int socket, const hdf5_task *task);

#endif
