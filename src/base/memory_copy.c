#define _GNU_SOURCE /* memfd_create */
#include "base/memory_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sal_status fail(size_t size)
{
    if (errno == ENOMEM || errno == ENOSPC)
        return sal_fail_memory(size, "a copy of the bytes");
    return sal_fail(SAL_ERROR_IO, "cannot make a copy of %zu bytes: %s", size, strerror(errno));
}

static int write_all(int fd, const char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = write(fd, bytes + done, size - done);
        if (n < 0 && errno != EINTR)
            return 0;
        done += n > 0 ? (size_t)n : 0;
    }
    return 1;
}

sal_status sal_memory_copy_make(sal_memory_copy *out, const void *bytes, size_t size)
{
    static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    sal_status st = SAL_OK;
    memset(out, 0, sizeof *out);
    const int fd = memfd_create("salmap", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return fail(size);
    if (!write_all(fd, bytes, size) || fcntl(fd, F_ADD_SEALS, seals) != 0) {
        st = fail(size);
        close(fd);
        return st;
    }
    out->fd = fd;
    snprintf(out->path, sizeof out->path, "/proc/self/fd/%d", fd);
    return st;
}

void sal_memory_copy_clear(sal_memory_copy *copy)
{
    if (copy->path[0])
        close(copy->fd);
    memset(copy, 0, sizeof *copy);
}

int sal_path_is_descriptor(const char *path)
{
    static const char digits[] = "0123456789";
    if (strncmp(path, "/proc/", 6) != 0)
        return 0;
    path += 6;
    path += strncmp(path, "self/", 5) == 0 ? 4 : strspn(path, digits);
    if (strncmp(path, "/fd/", 4) != 0)
        return 0;
    path += 4;
    return *path && path[strspn(path, digits)] == '\0';
}
