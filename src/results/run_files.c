#define _GNU_SOURCE /* syncfs */
#include "results/run_files.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AS_FOLDER = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

sal_status sal_run_folder_open(sal_run_folder *out, const char *path)
{
    sal_status st = SAL_OK;
    *out = (sal_run_folder){.fd = -1};
    TRY(sal_strdup(&out->path, path));
    out->fd = open(path, AS_FOLDER);
    if (out->fd < 0 && errno != ENOENT)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot open the folder: %s", path, strerror(errno));
done:
    if (st != SAL_OK)
        sal_run_folder_close(out);
    return st;
}

void sal_run_folder_close(sal_run_folder *folder)
{
    if (folder->fd >= 0)
        close(folder->fd);
    free(folder->path);
    *folder = (sal_run_folder){.fd = -1};
}

/* What the folder's path and a name below it are in messages. */
static const char *separator(const sal_run_folder *folder)
{
    const size_t length = strlen(folder->path);
    return length && folder->path[length - 1] != '/' ? "/" : "";
}

static sal_status fail_file(const sal_run_folder *folder, const char *name, const char *what, int error)
{
    if (error == ELOOP)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s%s%s: is a link, and a run has none there: remove it, or choose another folder",
                        folder->path, separator(folder), name);
    return sal_fail(SAL_ERROR_IO, "%s%s%s: %s: %s", folder->path, separator(folder), name, what, strerror(error));
}

/* ---- Folders ------------------------------------------------------------- */

/* The user may keep these two on another disk. */
static int may_be_link(const char *name)
{
    return strcmp(name, SAL_RUN_MAPS) == 0 || strcmp(name, SAL_RUN_OVERLAYS) == 0;
}

/* Why a folder could not be opened without following a link: ELOOP, whatever the system calls it, if it is one. */
static int reason(int folder, const char *name, int error)
{
    struct stat info;
    if (error == ENOTDIR && fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
        return ELOOP;
    return error;
}

/* Neither "" nor "." nor "..". */
static int is_step(const char *name, size_t length)
{
    return length > 0 && strncmp(name, "..", length) != 0;
}

/* Names come from files as well: none leads back, and none leads nowhere. */
static sal_status check_name(const sal_run_folder *folder, const char *name)
{
    for (const char *step = name, *slash; step; step = slash ? slash + 1 : NULL) {
        slash = strchr(step, '/');
        if (!is_step(step, slash ? (size_t)(slash - step) : strlen(step)))
            return sal_fail(SAL_ERROR_FORMAT, "%s%s%s: is no name of a run's files", folder->path, separator(folder),
                            name);
    }
    return SAL_OK;
}

/* Folder after folder, each in the one before. `name` is cut at its slashes meanwhile. */
static sal_status walk(int *fd, const sal_run_folder *folder, char *name, int make)
{
    sal_status st = SAL_OK;
    const char *failed = make ? "cannot make the folder" : "cannot open the folder";
    int at = folder->fd;
    for (char *step = name, *slash; st == SAL_OK && at >= 0 && step; step = slash ? slash + 1 : NULL) {
        slash = strchr(step, '/');
        if (slash)
            *slash = '\0';
        const int made = !make || mkdirat(at, step, 0777) == 0 || errno == EEXIST;
        const int next = made ? openat(at, step, AS_FOLDER | (step == name && may_be_link(step) ? 0 : O_NOFOLLOW)) : -1;
        const int error = next < 0 ? reason(at, step, errno) : 0;
        if (slash && error != ELOOP) /* a link is named alone, for it is to go */
            *slash = '/';
        if (error && (error != ENOENT || make))
            st = fail_file(folder, name, failed, error);
        if (at != folder->fd)
            close(at);
        at = next;
    }
    *fd = at;
    return st;
}

/* name "": the folder itself. */
static sal_status enter(int *fd, const sal_run_folder *folder, const char *name, int make)
{
    sal_status st = SAL_OK;
    char *steps = NULL;
    *fd = -1;
    if (folder->fd < 0)
        return SAL_OK;
    TRY(sal_strdup(&steps, name[0] ? name : "."));
    if (name[0])
        TRY(check_name(folder, name));
    TRY(walk(fd, folder, steps, make));
done:
    free(steps);
    return st;
}

sal_status sal_run_folder_enter(int *fd, const sal_run_folder *folder, const char *name)
{
    return enter(fd, folder, name, 0);
}

/* Where a file lies, and its name there. */
typedef struct place {
    int fd; /* -1: there is no such folder */
    int owned;
    const char *name;
} place;

static sal_status find_place(place *out, const sal_run_folder *folder, const char *name, int make)
{
    sal_status st = SAL_OK;
    char *above = NULL;
    const char *slash = strrchr(name, '/');
    *out = (place){.fd = folder->fd, .name = slash ? slash + 1 : name};
    TRY(check_name(folder, name));
    if (!slash)
        return SAL_OK;
    TRY(sal_strdup(&above, name));
    above[slash - name] = '\0';
    out->owned = 1;
    TRY(enter(&out->fd, folder, above, make));
done:
    free(above);
    return st;
}

static void leave_place(place *p)
{
    if (p->owned && p->fd >= 0)
        close(p->fd);
    *p = (place){.fd = -1};
}

/* ---- Files --------------------------------------------------------------- */

static sal_status look_at(int *there, struct stat *info, const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    place p = {.fd = -1};
    *there = 0;
    TRY(find_place(&p, folder, name, 0));
    if (p.fd < 0)
        goto done;
    *there = fstatat(p.fd, p.name, info, AT_SYMLINK_NOFOLLOW) == 0;
    if (!*there && errno != ENOENT)
        st = fail_file(folder, name, "cannot be looked at", errno);
done:
    leave_place(&p);
    return st;
}

sal_status sal_run_file_exists(int *there, const sal_run_folder *folder, const char *name)
{
    struct stat info;
    return look_at(there, &info, folder, name);
}

sal_status sal_run_file_is_folder(int *is_folder, const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    struct stat info;
    int there;
    *is_folder = 0;
    TRY(look_at(&there, &info, folder, name));
    *is_folder = there && S_ISDIR(info.st_mode);
done:
    return st;
}

static sal_status open_file(int *fd, const sal_run_folder *folder, const char *name, int flags)
{
    sal_status st = SAL_OK;
    place p = {.fd = -1};
    struct stat info;
    *fd = -1;
    TRY(find_place(&p, folder, name, 0));
    errno = ENOENT;
    if (p.fd >= 0) /* a named pipe must not hang us */
        *fd = openat(p.fd, p.name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (*fd < 0 && (errno != ENOENT || flags & O_CREAT))
        st = fail_file(folder, name, "cannot open", errno);
    else if (*fd >= 0 && fstat(*fd, &info) != 0)
        st = fail_file(folder, name, "cannot be looked at", errno);
    else if (*fd >= 0 && !S_ISREG(info.st_mode))
        st = fail_file(folder, name, "cannot read", S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
done:
    if (st != SAL_OK && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    leave_place(&p);
    return st;
}

/* Whether a .npy file of two axes of float32 is shorter than its header says. */
static int is_npy_cut(int fd, off_t size)
{
    char head[257] = {0};
    long long rows, columns;
    int end = 0;
    if (size < 10 || pread(fd, head, sizeof head - 1, 0) < 10)
        return 1;
    const off_t begin = 10 + (unsigned char)head[8] + 256 * (unsigned char)head[9];
    const char *shape = strstr(head + 10, "'shape': (");
    if (size < begin)
        return 1;
    if (!shape || sscanf(shape, "'shape': (%lld, %lld)%n", &rows, &columns, &end) != 2 || end == 0 || rows < 1 ||
        columns < 1 || rows > 1 << 20 || columns > 1 << 20)
        return 0; /* another kind, which a run does not write */
    return size < begin + (off_t)(rows * columns) * 4;
}

static int has_bytes(int fd, off_t at, const char *bytes, size_t count)
{
    char there[8];
    return at >= 0 && pread(fd, there, count, at) == (ssize_t)count && memcmp(there, bytes, count) == 0;
}

/* Whether a result begins as files of its kind do and does not end so: a copy may have been cut off. */
static int is_cut(int fd, off_t size, const char *name)
{
    static const struct {
        const char *ending, *first;
        size_t first_count;
        const char *last; /* NULL: the header says where it ends */
        size_t last_count;
        off_t before_end;
    } kinds[] = {{".npy", "\x93NUMPY", 6, NULL, 0, 0},
                 {".npz", "PK\x03\x04", 4, "PK\x05\x06", 4, 22},
                 {".png", "\x89PNG\r\n\x1a\n", 8, "IEND\xae\x42\x60\x82", 8, 8},
                 {".jpg", "\xff\xd8", 2, "\xff\xd9", 2, 2}};
    const char *dot = strrchr(name, '.');
    for (size_t k = 0; dot && k < sizeof kinds / sizeof *kinds; k++) {
        if (strcmp(dot, kinds[k].ending) != 0)
            continue;
        const size_t first = size < (off_t)kinds[k].first_count ? (size_t)size : kinds[k].first_count;
        if (!has_bytes(fd, 0, kinds[k].first, first))
            return 0;
        return kinds[k].last ? !has_bytes(fd, size - kinds[k].before_end, kinds[k].last, kinds[k].last_count)
                             : is_npy_cut(fd, size);
    }
    return 0;
}

sal_status sal_run_file_check(int *there, const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    struct stat info;
    int fd = -1;
    TRY(look_at(there, &info, folder, name));
    if (*there && S_ISLNK(info.st_mode))
        st = fail_file(folder, name, "", ELOOP);
    else if (*there && (!S_ISREG(info.st_mode) || info.st_size == 0))
        st = sal_fail(SAL_ERROR_FORMAT, "%s%s%s: is %s, and a result of the run was there", folder->path,
                      separator(folder), name, S_ISREG(info.st_mode) ? "empty" : "no file");
    if (st != SAL_OK || !*there)
        goto done;
    TRY(open_file(&fd, folder, name, O_RDONLY));
    if (fd >= 0 && is_cut(fd, info.st_size, name))
        st = sal_fail(SAL_ERROR_FORMAT, "%s%s%s: is cut off: copy it again, or run its shard again with --restart",
                      folder->path, separator(folder), name);
done:
    if (fd >= 0)
        close(fd);
    return st;
}

sal_status sal_run_file_open(int *fd, const sal_run_folder *folder, const char *name)
{
    return open_file(fd, folder, name, O_RDONLY);
}

sal_status sal_run_file_open_to_change(int *fd, const sal_run_folder *folder, const char *name)
{
    sal_status st = open_file(fd, folder, name, O_RDWR | O_CREAT);
    struct stat info;
    if (st == SAL_OK && fstat(*fd, &info) == 0 && info.st_nlink > 1) {
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "%s%s%s: is a hard link, and the file's other names would be written to as well: remove it",
                      folder->path, separator(folder), name);
        close(*fd);
        *fd = -1;
    }
    return st;
}

sal_status sal_run_file_read(unsigned char **out, size_t *size, const sal_run_folder *folder, const char *name,
                             uint64_t max_bytes, const sal_file_judge *judge)
{
    sal_status st = SAL_OK;
    int fd = -1;
    char *path = NULL;
    const size_t length = strlen(folder->path) + strlen(name) + 2;
    *out = NULL;
    *size = 0;
    TRY(sal_run_file_open(&fd, folder, name));
    if (fd < 0)
        goto done;
    path = malloc(length);
    if (!path) {
        st = sal_fail_memory(length, "a path");
        goto done;
    }
    snprintf(path, length, "%s%s%s", folder->path, separator(folder), name);
    TRY(sal_file_read_all(out, size, fd, path, max_bytes, judge));
done:
    if (fd >= 0)
        close(fd);
    free(path);
    return st;
}

static sal_status create_at(sal_file_out *out, const sal_run_folder *folder, const place *p, const char *name,
                            int is_new)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    const size_t size = strlen(folder->path) + strlen(name) + 2;
    if (p->fd < 0)
        return fail_file(folder, name, "cannot create", ENOENT);
    path = malloc(size);
    if (!path)
        return sal_fail_memory(size, "a path");
    snprintf(path, size, "%s%s%s", folder->path, separator(folder), name);
    st = (is_new ? sal_file_create_new_at : sal_file_create_at)(out, p->fd, p->name, path);
    free(path);
    return st;
}

sal_status sal_run_file_create(sal_file_out *out, const sal_run_folder *folder, const char *name)
{
    const place p = {.fd = folder->fd, .name = name};
    return create_at(out, folder, &p, name, 0);
}

sal_status sal_run_file_create_new(sal_file_out *out, const sal_run_folder *folder, const char *name)
{
    const place p = {.fd = folder->fd, .name = name};
    return create_at(out, folder, &p, name, 1);
}

sal_status sal_run_file_remove(const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    place p = {.fd = -1};
    TRY(find_place(&p, folder, name, 0));
    if (p.fd >= 0 && unlinkat(p.fd, p.name, 0) != 0 && errno != ENOENT)
        st = fail_file(folder, name, "cannot remove", errno);
done:
    leave_place(&p);
    return st;
}

sal_status sal_run_file_discard(const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    place p = {.fd = -1};
    struct stat info;
    TRY(find_place(&p, folder, name, 0));
    const int is_folder = p.fd >= 0 && fstatat(p.fd, p.name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
    if (!is_folder)
        TRY(sal_run_file_remove(folder, name));
done:
    leave_place(&p);
    return st;
}

sal_status sal_run_file_rename(const sal_run_folder *folder, const char *from, const char *to)
{
    if (renameat(folder->fd, from, folder->fd, to) != 0)
        return fail_file(folder, to, "cannot rename the finished file", errno);
    return SAL_OK;
}

static sal_status pour(FILE *to, int from, const sal_run_folder *folder, const char *name)
{
    enum { PIECE = 1 << 16 };
    unsigned char piece[PIECE];
    for (;;) {
        const ssize_t n = read(from, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_file(folder, name, "cannot read", errno);
        if (n == 0 || fwrite(piece, 1, (size_t)n, to) != (size_t)n)
            return SAL_OK; /* the stream remembers */
    }
}

static sal_status copy(int *there, const sal_run_folder *to, const sal_run_folder *from, const char *name, int is_new)
{
    sal_status st = SAL_OK;
    sal_file_out out = {0};
    place p = {.fd = -1};
    int fd = -1, made;
    *there = 0;
    TRY(sal_run_file_open(&fd, from, name));
    if (fd < 0)
        goto done;
    *there = 1;
    TRY(find_place(&p, to, name, 1));
    TRY(create_at(&out, to, &p, name, is_new));
    TRY(pour(out.stream, fd, from, name));
    st = is_new ? sal_file_commit_new(&made, &out) : sal_file_commit(&out);
done:
    sal_file_discard(&out);
    leave_place(&p);
    if (fd >= 0)
        close(fd);
    return st;
}

sal_status sal_run_file_copy(int *there, const sal_run_folder *to, const sal_run_folder *from, const char *name)
{
    return copy(there, to, from, name, 0);
}

sal_status sal_run_file_copy_new(int *there, const sal_run_folder *to, const sal_run_folder *from, const char *name)
{
    return copy(there, to, from, name, 1);
}

sal_status sal_run_folder_remove(const sal_run_folder *folder, const char *name)
{
    sal_status st = SAL_OK;
    place p = {.fd = -1};
    TRY(find_place(&p, folder, name, 0));
    if (p.fd >= 0)
        (void)unlinkat(p.fd, p.name, AT_REMOVEDIR);
done:
    leave_place(&p);
    return st;
}

/* ---- All files of a folder ----------------------------------------------- */

static sal_status visit_one(const sal_run_folder *folder, const char *above, const char *file,
                            sal_status (*visit)(void *context, const sal_run_folder *folder, const char *name),
                            void *context)
{
    sal_status st = SAL_OK;
    char *name = NULL;
    const size_t size = strlen(above) + strlen(file) + 2;
    TRY(sal_alloc(&name, size, 1, "a path"));
    snprintf(name, size, "%s%s%s", above, above[0] ? "/" : "", file);
    TRY(visit(context, folder, name));
done:
    sal_free(name);
    return st;
}

sal_status sal_run_files_each(const sal_run_folder *folder, const char *name,
                              sal_status (*visit)(void *context, const sal_run_folder *folder, const char *name),
                              void *context)
{
    sal_status st = SAL_OK;
    DIR *directory = NULL;
    struct dirent *e;
    int fd;
    TRY(sal_run_folder_enter(&fd, folder, name));
    if (fd < 0)
        goto done;
    directory = fdopendir(fd);
    if (!directory) {
        st = fail_file(folder, name, "cannot open the folder", errno);
        close(fd);
        goto done;
    }
    for (errno = 0; (e = readdir(directory)) != NULL; errno = 0)
        if (is_step(e->d_name, strlen(e->d_name)))
            TRY(visit_one(folder, name, e->d_name, visit, context));
    if (errno != 0)
        st = fail_file(folder, name, "cannot read the folder", errno);
done:
    if (directory)
        closedir(directory);
    return st;
}

/* ---- Where the results of a picture go ------------------------------------ */

sal_status sal_run_place_make(const char *path)
{
    sal_status st = SAL_OK;
    char *folder = NULL;
    struct stat info;
    TRY(sal_directory_make_for(path));
    TRY(sal_strdup(&folder, path));
    char *slash = strrchr(folder, '/');
    if (!slash)
        goto done;
    *slash = '\0';
    if (lstat(folder, &info) != 0)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot be looked at: %s", folder, strerror(errno));
    else if (!S_ISDIR(info.st_mode))
        st = sal_fail(SAL_ERROR_IO, "%s: is a link, and a run has none there: remove it, or choose another folder",
                      folder);
done:
    free(folder);
    return st;
}

/* ---- Disks ----------------------------------------------------------------- */

sal_status sal_run_disks_open(sal_run_disks *out, const char *folder)
{
    static const char *const kinds[] = {"", "/" SAL_RUN_MAPS, "/" SAL_RUN_OVERLAYS};
    sal_status st = SAL_OK;
    char *path = NULL;
    const size_t size = strlen(folder) + sizeof "/" SAL_RUN_OVERLAYS;
    struct stat info[3];
    out->count = 0;
    TRY(sal_alloc(&path, size, 1, "a path"));
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        snprintf(path, size, "%s%s", folder, kinds[k]);
        const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const int found = fd >= 0 && fstat(fd, &info[out->count]) == 0;
        size_t same = 0;
        while (found && same < out->count && info[same].st_dev != info[out->count].st_dev)
            same++;
        if (found && same == out->count) {
            out->fd[out->count++] = fd;
        } else if (fd >= 0 && found) {
            close(fd);
        } else if (fd >= 0) {
            st = sal_fail(SAL_ERROR_IO, "%s: cannot be looked at: %s", path, strerror(errno));
            close(fd);
            goto done;
        } else if (k == 0) {
            st = sal_fail(SAL_ERROR_IO, "%s: cannot open the folder: %s", folder, strerror(errno));
            goto done;
        }
    }
done:
    sal_free(path);
    return st;
}

int sal_run_disks_sync(const sal_run_disks *disks)
{
    for (size_t i = 0; i < disks->count; i++)
        if (syncfs(disks->fd[i]) != 0)
            return -1;
    return 0;
}

void sal_run_disks_close(sal_run_disks *disks)
{
    for (size_t i = 0; i < disks->count; i++)
        close(disks->fd[i]);
    disks->count = 0;
}
