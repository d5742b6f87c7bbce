#include "api/model_files.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static sal_status fail_changed(const char *path)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s: has changed since it was opened: open the model again", path);
}

sal_status sal_model_files_add(sal_model_files *files, const char *path, const struct stat *then)
{
    sal_status st = SAL_OK;
    TRY(sal_grow(&files->list, &files->capacity, files->count + 1, sizeof *files->list, "the model's files"));
    sal_model_file *f = &files->list[files->count];
    *f = (sal_model_file){.fd = -1};
    TRY(sal_strdup(&f->path, path));
    files->count++;
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused by whoever reads it */
    if (f->fd < 0 || fstat(f->fd, &f->then) != 0)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    else if (then && !is_same(&f->then, then))
        st = fail_changed(path);
done:
    return st;
}

void sal_model_files_clear(sal_model_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        if (files->list[i].fd >= 0)
            close(files->list[i].fd);
        free(files->list[i].path);
    }
    free(files->list);
    memset(files, 0, sizeof *files);
}

sal_status sal_model_files_check(const sal_model_files *files, int paths)
{
    for (size_t i = 0; i < files->count; i++) {
        const sal_model_file *f = &files->list[i];
        struct stat now;
        if ((paths ? stat(f->path, &now) : fstat(f->fd, &now)) != 0)
            return sal_fail(SAL_ERROR_IO, "%s: cannot look at it: %s", f->path, strerror(errno));
        if (!is_same(&now, &f->then))
            return fail_changed(f->path);
    }
    return SAL_OK;
}

sal_status sal_model_files_hash(char sha256[SAL_DIGEST_SIZE], const sal_model_files *files)
{
    sal_status st = SAL_OK;
    sal_digest *digest = NULL;
    TRY(sal_digest_open(&digest));
    for (size_t i = 0; i < files->count; i++) {
        char opened[64];
        snprintf(opened, sizeof opened, "/proc/self/fd/%d", files->list[i].fd);
        st = sal_digest_add_file(digest, opened);
        if (st != SAL_OK) {
            st = sal_fail_in(st, "%s", files->list[i].path);
            goto done;
        }
    }
    TRY(sal_digest_finish(sha256, digest));
    TRY(sal_model_files_check(files, 0));
done:
    sal_digest_close(digest);
    return st;
}
