/* Which format a model file has, by its first bytes. */
#include "import/import.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* First bytes of HDF5 files and of zip archives. */
static int begins_with(const char *path, const char *magic, size_t size)
{
    char first[8] = {0};
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int same = file >= 0 && read(file, first, size) == (ssize_t)size && memcmp(first, magic, size) == 0;
    if (file >= 0)
        close(file);
    return same;
}

static int is_hdf5(const char *path)
{
    return begins_with(path, "\x89HDF\r\n\x1a\n", 8);
}

int sal_keras_is_archive(const char *path)
{
    return begins_with(path, "PK\x03\x04", 4);
}

int sal_keras_is(const char *path)
{
    return is_hdf5(path) || sal_keras_is_archive(path);
}
