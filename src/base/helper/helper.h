/* Programs that the library starts for work which may be the end of a process: what the library and such a program say
 * to each other over a socket, for both sides. The program says first which it is, and of which build. */
#ifndef SAL_BASE_HELPER_HELPER_H
#define SAL_BASE_HELPER_HELPER_H

#include "base/error.h"

enum { SAL_HELPER_SOCKET = 3, SAL_HELPER_IGNORED = 4 }; /* the program's descriptor; signals */

/* What a terminal or a batch system sends to all processes of a job: the library's host alone decides what it means.
 * The program ignores it, and has it blocked until it does. */
extern const int sal_helper_ignored[SAL_HELPER_IGNORED];

/* One of these programs. */
typedef struct sal_helper {
    const char *name;       /* of its file: "salmap-hdf5" */
    const char *purpose;    /* "reads HDF5 files" */
    const char *variable;   /* of the environment, which says where it is: "SAL_HDF5_READER" */
    size_t asked, answered; /* bytes of what it is asked, and of what it answers: 0 where there is no answer */
} sal_helper;

/* The program's first words. They differ where it is of another build, whose questions may look different. */
typedef struct sal_helper_greeting {
    char text[64];
} sal_helper_greeting;

sal_helper_greeting sal_helper_greet(const sal_helper *helper);
/* 1: all was sent, or received; 0: the other side has gone. */
int sal_helper_send(int socket, const void *bytes, size_t size);
int sal_helper_receive(int socket, void *bytes, size_t size);

#endif
