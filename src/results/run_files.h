/* The files below a run folder. Each is named by where it lies: "run.json", "shards/0-of-2.sqlite", "maps/000/a.npy".
 * The folder is a descriptor, and names are walked from it without following a link: `maps` and `overlays` themselves
 * may be links, to another disk, and nothing else. No name from a file and no link leads anywhere else. Two kinds of
 * files are opened elsewhere, by paths: SQLite opens results, and refuses a link itself; encoders write those of
 * pictures, in folders that sal_run_place_make looked at. */
#ifndef SAL_RESULTS_RUN_FILES_H
#define SAL_RESULTS_RUN_FILES_H

#include "base/file.h"

#define SAL_RUN_MAPS "maps"
#define SAL_RUN_OVERLAYS "overlays"

typedef struct sal_run_folder {
    char *path; /* for messages */
    int fd;     /* -1: it is not there, and has no files */
} sal_run_folder;

/* Fine where there is none. Errors: IO, MEMORY. */
sal_status sal_run_folder_open(sal_run_folder *out, const char *path);
void sal_run_folder_close(sal_run_folder *folder); /* fine on a zeroed struct whose fd is -1, and twice */

/* A folder below it, "maps/000": *fd is the caller's, or -1 where there is none.
 * Errors: ARGUMENT (a link or a file is in its place: named), IO, MEMORY. */
sal_status sal_run_folder_enter(int *fd, const sal_run_folder *folder, const char *name);
/* *there: 1 where a file, a folder or a link has the name. Errors: as above. */
sal_status sal_run_file_exists(int *there, const sal_run_folder *folder, const char *name);
/* *is_folder: 1 where a folder has the name, and no link to one. Errors: as above. */
sal_status sal_run_file_is_folder(int *is_folder, const sal_run_folder *folder, const char *name);
/* *there: 0, nothing has the name. Errors: as above, ARGUMENT (a link), FORMAT (no file,
 * an empty one, or one whose end is missing). */
sal_status sal_run_file_check(int *there, const sal_run_folder *folder, const char *name);
/* For reading; *fd -1 where there is none. Errors: as above, IO (no regular file). */
sal_status sal_run_file_open(int *fd, const sal_run_folder *folder, const char *name);
/* For reading and writing, made where it is not. Errors: as above, ARGUMENT (a hard link), IO (no regular file, or no
 * folder). */
sal_status sal_run_file_open_to_change(int *fd, const sal_run_folder *folder, const char *name);
/* Its bytes, as sal_file_read_all; *out NULL where there is none. */
sal_status sal_run_file_read(unsigned char **out, size_t *size, const sal_run_folder *folder, const char *name,
                             uint64_t max_bytes, const sal_file_judge *judge);
/* A file of the folder itself. */
sal_status sal_run_file_create(sal_file_out *out, const sal_run_folder *folder, const char *name);
/* For sal_file_commit_new, see sal_file_create_new_at. */
sal_status sal_run_file_create_new(sal_file_out *out, const sal_run_folder *folder, const char *name);
/* The file, or the link and not what it points to; fine where there is none. Errors: as above. */
sal_status sal_run_file_remove(const sal_run_folder *folder, const char *name);
/* Likewise, an unfinished file: a folder of such a name is somebody's own, in nobody's way, and stays. */
sal_status sal_run_file_discard(const sal_run_folder *folder, const char *name);
/* Of the folder itself, in place of what is called `to`. */
sal_status sal_run_file_rename(const sal_run_folder *folder, const char *from, const char *to);
/* The same name in another folder, whose folders it makes. *there: 0, nothing is copied. Errors: as above. */
sal_status sal_run_file_copy(int *there, const sal_run_folder *to, const sal_run_folder *from, const char *name);
/* Likewise, unless there is a file of the name by then; see sal_file_create_new_at. */
sal_status sal_run_file_copy_new(int *there, const sal_run_folder *to, const sal_run_folder *from, const char *name);
/* Removes a folder that is empty; another stays. Errors: as above. */
sal_status sal_run_folder_remove(const sal_run_folder *folder, const char *name);

/* Calls `visit` with everything in a folder below it, or in itself: "". visit's name: with the folders before it.
 * Errors: as above, and those of visit. */
sal_status sal_run_files_each(const sal_run_folder *folder, const char *name,
                              sal_status (*visit)(void *context, const sal_run_folder *folder, const char *name),
                              void *context);

/* The file systems that a run's files go to: maps and overlays may be links to other disks. */
typedef struct sal_run_disks {
    int fd[3]; /* a folder of each */
    size_t count;
} sal_run_disks;

/* Those of the folder as it is now. Errors: IO. */
sal_status sal_run_disks_open(sal_run_disks *out, const char *folder);
/* Until everything that was written there is on the disk. 0: done; -1: errno says why not. */
int sal_run_disks_sync(const sal_run_disks *disks);
void sal_run_disks_close(sal_run_disks *disks); /* fine on a zeroed struct, and twice */

/* Makes the folder that "RUN/maps/000/a.npy" is to lie in, which must be no link. Errors: IO. */
sal_status sal_run_place_make(const char *path);

#endif
