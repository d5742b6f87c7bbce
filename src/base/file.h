/* Files read whole and written whole. */
#ifndef SAL_BASE_FILE_H
#define SAL_BASE_FILE_H

#include "base/error.h"

#include <stdio.h>

/* A file's bytes; free with sal_free. Refuses directories and devices (IO), files
 * over max_bytes (LIMIT) and empty ones (FORMAT); messages name the path. */
sal_status sal_file_read(unsigned char **out, size_t *size, const char *path, uint64_t max_bytes);

/* Refuses what is empty (FORMAT) or over max_bytes (LIMIT), whether it comes from a file or from memory. */
sal_status sal_file_check_size(uint64_t size, uint64_t max_bytes, const char *path);

enum { SAL_FILE_HEAD = 1 << 16 };

/* Looks at the first bytes of a file, all of it or SAL_FILE_HEAD, and at its size: an error refuses it. */
typedef struct sal_file_judge {
    sal_status (*judge)(void *context, const unsigned char *head, size_t head_size, uint64_t file_size);
    void *context;
} sal_file_judge;

/* As sal_file_read, of a file that is open, which stays so. path: for messages; judge: NULL, or asked before there is
 * memory for the file. */
sal_status sal_file_read_all(unsigned char **out, size_t *size, int fd, const char *path, uint64_t max_bytes,
                             const sal_file_judge *judge);
/* The same of a file that is not open. */
sal_status sal_file_read_judged(unsigned char **out, size_t *size, const char *path, uint64_t max_bytes,
                                const sal_file_judge *judge);

/* A file being written, to a temporary name beside its final one or to none. */
typedef struct sal_file_out {
    FILE *stream;
    char *path;      /* for messages */
    char *name;      /* the same file, as the folder has it */
    char *temporary; /* likewise; NULL: it has no name yet */
    int folder;      /* a descriptor, the caller's, or AT_FDCWD */
} sal_file_out;

/* Errors: IO (also: the name is a device's or a pipe's), MEMORY. */
sal_status sal_file_create(sal_file_out *out, const char *path);
/* In the folder of a descriptor that stays open until the file is committed or discarded. path: for messages. */
sal_status sal_file_create_at(sal_file_out *out, int folder, const char *name, const char *path);
/* The same for sal_file_commit_new alone: where the file system can do so, nothing has a name before, and a process
 * that is killed leaves nothing. */
sal_status sal_file_create_new_at(sal_file_out *out, int folder, const char *name, const char *path);
/* Error: IO, with the reason. */
sal_status sal_file_write(FILE *stream, const void *bytes, size_t size, const char *path);
/* Flushes, checks for write errors (a full disk), closes and renames; on failure
 * the temporary file is gone and path is as it was. */
sal_status sal_file_commit(sal_file_out *out);
/* The same, unless there is a file of the name: *made 0, and that file is as it was. Where the file system has no hard
 * links, it is replaced. */
sal_status sal_file_commit_new(int *made, sal_file_out *out);
/* Gives up: the temporary file is gone. Harmless after a commit or on a zeroed struct. */
void sal_file_discard(sal_file_out *out);

/* All of a file at once, whole or not at all. Errors likewise. */
sal_status sal_file_put(const char *path, const void *bytes, size_t size);

/* Makes the directory and its parents; fine when it is there. Errors: IO (names the part). */
sal_status sal_directory_make(const char *path);
/* The directory that a file is to lie in, and the one above it, but no more: a tree that was there and is gone, with
 * its disk perhaps, is not grown anew. Errors: IO. */
sal_status sal_directory_make_for(const char *file);

#endif
