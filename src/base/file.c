#define _GNU_SOURCE /* O_TMPFILE */
#include "base/file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

static sal_status read_bytes(unsigned char *bytes, size_t length, int fd, const char *path)
{
    for (size_t done = 0; done < length;) {
        ssize_t n = read(fd, bytes + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sal_fail(SAL_ERROR_IO, "%s: cannot read: %s", path, n < 0 ? strerror(errno) : "the file shrank");
        done += (size_t)n;
    }
    return SAL_OK;
}

/* Reads a file's beginning and has it judged. */
static sal_status judge_head(int fd, size_t length, const char *path, const sal_file_judge *judge)
{
    sal_status st = SAL_OK;
    unsigned char *head = NULL;
    const size_t size = length < SAL_FILE_HEAD ? length : SAL_FILE_HEAD;
    TRY(sal_alloc(&head, size, 1, path));
    TRY(read_bytes(head, size, fd, path));
    TRY(judge->judge(judge->context, head, size, length));
    if (lseek(fd, 0, SEEK_SET) != 0)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot read: %s", path, strerror(errno));
done:
    sal_free(head);
    return st;
}

sal_status sal_file_check_size(uint64_t size, uint64_t max_bytes, const char *path)
{
    if (size == 0)
        return sal_fail(SAL_ERROR_FORMAT, "%s: the file is empty", path);
    if (size > max_bytes)
        return sal_fail(SAL_ERROR_LIMIT, "%s: %llu bytes, the limit is %llu", path, (unsigned long long)size,
                        (unsigned long long)max_bytes);
    return SAL_OK;
}

sal_status sal_file_read_all(unsigned char **out, size_t *size, int fd, const char *path, uint64_t max_bytes,
                             const sal_file_judge *judge)
{
    sal_status st = SAL_OK;
    struct stat info;
    unsigned char *bytes = NULL;
    *out = NULL;
    *size = 0;
    if (fstat(fd, &info) != 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot stat: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode))
        return sal_fail(SAL_ERROR_IO, "%s: is a directory, expected a file", path);
    if (!S_ISREG(info.st_mode))
        return sal_fail(SAL_ERROR_IO, "%s: is not a regular file", path);
    TRY(sal_file_check_size((uint64_t)info.st_size, max_bytes, path));
    const size_t length = (size_t)info.st_size;
    if (judge)
        TRY(judge_head(fd, length, path, judge));
    TRY(sal_alloc(&bytes, length, 1, path));
    TRY(read_bytes(bytes, length, fd, path));
    *out = bytes;
    *size = length;
    bytes = NULL;
done:
    sal_free(bytes);
    return st;
}

sal_status sal_file_read_judged(unsigned char **out, size_t *size, const char *path, uint64_t max_bytes,
                                const sal_file_judge *judge)
{
    *out = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a named pipe must not hang us */
    if (fd < 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    sal_status st = sal_file_read_all(out, size, fd, path, max_bytes, judge);
    close(fd);
    return st;
}

sal_status sal_file_read(unsigned char **out, size_t *size, const char *path, uint64_t max_bytes)
{
    return sal_file_read_judged(out, size, path, max_bytes, NULL);
}

/* Not mkstemp: its files are private, and asking for the umask to undo that disturbs other threads. */
static int create_temporary(char *temporary, size_t size, int folder, const char *name)
{
    static _Atomic unsigned counter;
    enum { ATTEMPTS = 1000 };
    int fd = -1;
    for (int k = 0; k < ATTEMPTS && fd < 0; k++) {
        snprintf(temporary, size, "%s.tmp-%ld-%u", name, (long)getpid(), counter++);
        fd = openat(folder, temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

sal_status sal_file_create(sal_file_out *out, const char *path)
{
    return sal_file_create_at(out, AT_FDCWD, path, path);
}

/* How the system calls a file of this process, named or not. */
typedef struct own_name {
    char text[32];
} own_name;

static own_name own_name_of(int fd)
{
    own_name name;
    snprintf(name.text, sizeof name.text, "/proc/self/fd/%d", fd);
    return name;
}

/* A file without a name, which goes with its process; -1 where there is no such file, or no way to name it later. */
static int create_unnamed(int folder)
{
    const int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    if (fd >= 0 && access(own_name_of(fd).text, F_OK) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static sal_status create_named(int *fd, sal_file_out *out)
{
    const size_t size = strlen(out->name) + 48;
    out->temporary = malloc(size);
    if (!out->temporary)
        return sal_fail_memory(size, "a temporary name");
    *fd = create_temporary(out->temporary, size, out->folder, out->name);
    if (*fd >= 0)
        return SAL_OK;
    const sal_status st = sal_fail(SAL_ERROR_IO, "%s: cannot create: %s", out->path, strerror(errno));
    free(out->temporary);
    out->temporary = NULL;
    return st;
}

static sal_status create(sal_file_out *out, int folder, const char *name, const char *path, int is_new)
{
    sal_status st = SAL_OK;
    struct stat there;
    *out = (sal_file_out){.folder = folder};
    /* A device or a pipe would be gone once a file has its name. */
    if (fstatat(folder, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode) &&
        !S_ISDIR(there.st_mode))
        return sal_fail(SAL_ERROR_IO, "%s: is not a regular file: name another one", path);
    TRY(sal_strdup(&out->path, path));
    TRY(sal_strdup(&out->name, name));
    int fd = is_new ? create_unnamed(folder) : -1;
    if (fd < 0)
        TRY(create_named(&fd, out));
    out->stream = fdopen(fd, "wb");
    if (!out->stream) {
        st = sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
        close(fd);
    }
done:
    if (st != SAL_OK)
        sal_file_discard(out);
    return st;
}

sal_status sal_file_create_at(sal_file_out *out, int folder, const char *name, const char *path)
{
    return create(out, folder, name, path, 0);
}

sal_status sal_file_create_new_at(sal_file_out *out, int folder, const char *name, const char *path)
{
    return create(out, folder, name, path, 1);
}

static sal_status fail_write(const char *path)
{
    return sal_fail(SAL_ERROR_IO, "%s: cannot write: %s", path, errno ? strerror(errno) : "write error");
}

sal_status sal_file_write(FILE *stream, const void *bytes, size_t size, const char *path)
{
    errno = 0;
    return fwrite(bytes, 1, size, stream) == size ? SAL_OK : fail_write(path);
}

/* Flushed and closed: what was written is whole. */
static sal_status finish(sal_file_out *out)
{
    int failed = ferror(out->stream) != 0;
    errno = 0;
    if (fclose(out->stream) != 0)
        failed = 1;
    out->stream = NULL;
    return failed ? fail_write(out->path) : SAL_OK;
}

static sal_status publish(sal_file_out *out)
{
    if (renameat(out->folder, out->temporary, out->folder, out->name) != 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot rename the finished file: %s", out->path, strerror(errno));
    free(out->temporary);
    out->temporary = NULL;
    return SAL_OK;
}

sal_status sal_file_commit(sal_file_out *out)
{
    sal_status st = finish(out);
    if (st == SAL_OK)
        st = publish(out);
    sal_file_discard(out);
    return st;
}

/* *made: 0, there is a file of the name. Where there is none and it cannot be linked, a named one is renamed. */
static sal_status publish_new(int *made, sal_file_out *out)
{
    *made = linkat(out->folder, out->temporary, out->folder, out->name, 0) == 0;
    if (*made || errno == EEXIST)
        return SAL_OK;
    const sal_status st = publish(out);
    *made = st == SAL_OK;
    return st;
}

/* To a file with a temporary name, from one that is open for writing and has none. */
static sal_status copy_to_named(sal_file_out *out, int unnamed)
{
    sal_status st = SAL_OK;
    enum { PIECE = 1 << 20 };
    int from = -1, to = -1;
    ssize_t n = 1;
    TRY(create_named(&to, out));
    from = open(own_name_of(unnamed).text, O_RDONLY | O_CLOEXEC);
    while (from >= 0 && (n > 0 || errno == EINTR)) {
        n = sendfile(to, from, NULL, PIECE);
        if (n == 0)
            break;
    }
    if (from < 0 || n < 0)
        st = fail_write(out->path);
done:
    if (from >= 0)
        close(from);
    if (to >= 0 && close(to) != 0 && st == SAL_OK)
        st = fail_write(out->path);
    return st;
}

/* Closed first, by another descriptor: some file systems say only then what could not be written. Where the system
 * forbids links of files without a name, it has a temporary one afterwards. */
static sal_status publish_unnamed(int *made, sal_file_out *out)
{
    sal_status st = SAL_OK;
    const int fd = fcntl(fileno(out->stream), F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot close: %s", out->path, strerror(errno));
    TRY(finish(out));
    *made = linkat(AT_FDCWD, own_name_of(fd).text, out->folder, out->name, AT_SYMLINK_FOLLOW) == 0;
    if (!*made && errno != EEXIST)
        TRY(copy_to_named(out, fd));
done:
    close(fd);
    return st;
}

sal_status sal_file_commit_new(int *made, sal_file_out *out)
{
    *made = 0;
    sal_status st = out->temporary ? finish(out) : publish_unnamed(made, out);
    if (st == SAL_OK && out->temporary)
        st = publish_new(made, out);
    sal_file_discard(out);
    return st;
}

void sal_file_discard(sal_file_out *out)
{
    if (out->stream)
        fclose(out->stream);
    if (out->temporary)
        unlinkat(out->folder, out->temporary, 0);
    free(out->temporary);
    free(out->name);
    free(out->path);
    memset(out, 0, sizeof *out);
}

sal_status sal_file_put(const char *path, const void *bytes, size_t size)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    TRY(sal_file_create(&file, path));
    TRY(sal_file_write(file.stream, bytes, size, path));
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    return st;
}

sal_status sal_directory_make(const char *path)
{
    char *partial = NULL;
    sal_status st = SAL_OK;
    TRY(sal_strdup(&partial, path));
    for (char *p = partial + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST) {
            st = sal_fail(SAL_ERROR_IO, "%s: cannot make the folder: %s", partial, strerror(errno));
            goto done;
        }
        *p = end;
        if (end == '\0')
            break;
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        st = sal_fail(SAL_ERROR_IO, "%s: is not a folder", path);
done:
    free(partial);
    return st;
}

static int make_one(const char *folder)
{
    return mkdir(folder, 0777) == 0 || errno == EEXIST;
}

sal_status sal_directory_make_for(const char *file)
{
    sal_status st = SAL_OK;
    char *folder = NULL;
    TRY(sal_strdup(&folder, file));
    char *last = strrchr(folder, '/');
    if (!last || last == folder)
        goto done;
    *last = '\0';
    /* Mostly it is there. */
    if (make_one(folder))
        goto done;
    char *above = strrchr(folder, '/');
    if (errno == ENOENT && above && above != folder) {
        *above = '\0';
        const int made = make_one(folder);
        *above = '/';
        if (made && make_one(folder))
            goto done;
    }
    st = sal_fail(SAL_ERROR_IO, "%s: cannot make the folder: %s", folder, strerror(errno));
done:
    free(folder);
    return st;
}
