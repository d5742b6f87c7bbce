/* Programs that the library starts for work which may be the end of a process: what the library and such a program say
 * to each other over a socket, for both sides. The program says first which it is, and of which build. */
#ifndef SAL_BASE_HELPER_HELPER_H
#define SAL_BASE_HELPER_HELPER_H

#include "base/error.h"

#include <signal.h>

enum { SAL_HELPER_SOCKET = 3, SAL_HELPER_FILE = 4 }; /* the program's descriptors */

/* The file that the program is to read, by a path of its own, where the host has it open without a name. */
#define SAL_HELPER_FILE_PATH "/proc/self/fd/4"

/* What ends a process, and others may send: a terminal and a batch system do so to all processes of a job, and the
 * library's host alone decides what it means. The program ignores it, and has it blocked until it does. */
void sal_helper_ignored(sigset_t *out);
/* Whether the signal comes of what the program itself did: then its file is damaged. */
int sal_helper_is_fault(int signal);

/* One of these programs. */
typedef struct sal_helper {
    const char *name;       /* of its file: "salmap-hdf5" */
    const char *purpose;    /* "reads HDF5 files" */
    const char *variable;   /* of the environment, which says where it is: "SAL_HDF5_READER" */
    size_t asked, answered; /* bytes of what it is asked, and of what it answers: 0 where there is no answer */
} sal_helper;

/* The program's first words. They differ where it is of another version, or of a build whose headers ask and answer
 * differently. */
typedef struct sal_helper_greeting {
    char text[64];
} sal_helper_greeting;

sal_helper_greeting sal_helper_greet(const sal_helper *helper);
/* 1: all was sent, or received; 0: the other side has gone, or errno says what failed. */
int sal_helper_send(int socket, const void *bytes, size_t size);
int sal_helper_receive(int socket, void *bytes, size_t size);

#endif
