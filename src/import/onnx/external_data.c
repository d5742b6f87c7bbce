/* Tensors in files of their own beside the model. A model may not make us read anything outside its folder. */
#include "base/memory.h"
#include "base/memory_copy.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void onnx_external_clear(onnx_external *external)
{
    if (external->location)
        close(external->fd);
    free(external->folder);
    free(external->location);
    memset(external, 0, sizeof *external);
}

static sal_status find_folder(onnx_importer *im)
{
    sal_status st = SAL_OK;
    char *folder = NULL;
    if (im->external.folder)
        return SAL_OK;
    TRY(sal_strdup(&folder, im->path));
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    im->external.folder = realpath(slash ? folder : ".", NULL);
    if (!im->external.folder)
        st = sal_fail(SAL_ERROR_IO, "%s: cannot resolve its folder: %s", im->path, strerror(errno));
done:
    free(folder);
    return st;
}

/* No absolute path and no "..". */
static int stays_below(const char *location)
{
    if (location[0] == '\0' || location[0] == '/' || strlen(location) >= PATH_MAX)
        return 0;
    for (const char *part = location; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return 0;
    }
    return 1;
}

/* Symbolic links are followed, and their end must lie below the folder. */
static sal_status resolve(char **out, const onnx_importer *im, const char *location, const char *name)
{
    sal_status st = SAL_OK;
    const char *folder = im->external.folder;
    size_t length = strlen(folder);
    size_t size = length + strlen(location) + 2;
    char *joined = NULL;
    TRY(sal_alloc(&joined, size, 1, "a path"));
    snprintf(joined, size, "%s/%s", folder, location);
    *out = realpath(joined, NULL);
    if (!*out) {
        st = sal_fail(SAL_ERROR_IO, "tensor %.200s: cannot open its data file %.500s: %s", name, joined,
                      strerror(errno));
        goto done;
    }
    int inside = strncmp(*out, folder, length) == 0 && ((*out)[length] == '/' || strcmp(folder, "/") == 0);
    if (!inside)
        st = sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: its data file %.500s lies outside the model's folder", name,
                      joined);
done:
    sal_free(joined);
    return st;
}

static sal_status open_file(onnx_importer *im, const char *location, const char *name)
{
    sal_status st = SAL_OK;
    onnx_external *e = &im->external;
    char *file = NULL, *kept = NULL;
    struct stat info;
    int fd = -1;
    if (e->location && strcmp(e->location, location) == 0)
        return SAL_OK;
    if (sal_path_is_descriptor(im->path))
        return sal_fail(
            SAL_ERROR_UNSUPPORTED,
            "tensor %.200s: its data lies in the file '%.300s', and the model was given without its folder: "
            "open it by its path",
            name, location);
    if (!stays_below(location))
        return sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: its data file '%.300s' is not below the model's folder", name,
                        location);
    TRY(find_folder(im));
    TRY(resolve(&file, im, location, name));
    TRY(sal_strdup(&kept, location));
    /* Not blocking: a named pipe would otherwise hang here. */
    fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        st = sal_fail(SAL_ERROR_IO, "tensor %.200s: cannot open its data file %.500s: %s", name, file,
                      fd < 0 ? strerror(errno) : "not a regular file");
        goto done;
    }
    TRY(sal_graph_add_data_file(im->graph, file, &info));
    if (e->location)
        close(e->fd);
    free(e->location);
    e->location = kept;
    e->fd = fd;
    e->size = (uint64_t)info.st_size;
    kept = NULL;
    fd = -1;
done:
    if (fd >= 0)
        close(fd);
    free(file);
    free(kept);
    return st;
}

static sal_status parse_number(uint64_t *out, const char *text, const char *key, const char *name)
{
    char *end = NULL;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: its external %s '%.60s' is not a number", name, key, text);
    return SAL_OK;
}

sal_status onnx_external_find(uint64_t *offset, size_t size, onnx_importer *im, const SalOnnx__Tensor *stored,
                              const char *name)
{
    sal_status st = SAL_OK;
    const char *location = "";
    uint64_t length = size, end;
    *offset = 0;
    for (size_t k = 0; k < stored->n_external_data; k++) {
        const SalOnnx__Entry *e = stored->external_data[k];
        if (strcmp(e->key, "location") == 0)
            location = e->value;
        else if (strcmp(e->key, "offset") == 0)
            TRY(parse_number(offset, e->value, "offset", name));
        else if (strcmp(e->key, "length") == 0)
            TRY(parse_number(&length, e->value, "length", name));
    }
    if (length != size) {
        st = sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: its external data has %llu bytes, but its dimensions need %zu",
                      name, (unsigned long long)length, size);
        goto done;
    }
    TRY(open_file(im, location, name));
    if (__builtin_add_overflow(*offset, length, &end) || end > im->external.size)
        st = sal_fail(SAL_ERROR_FORMAT, "tensor %.200s: bytes %llu + %llu lie past the end of %.300s (%llu)", name,
                      (unsigned long long)*offset, (unsigned long long)length, location,
                      (unsigned long long)im->external.size);
done:
    return st;
}

sal_status onnx_external_read(void *bytes, size_t size, onnx_importer *im, uint64_t offset, const char *name)
{
    for (size_t got = 0; got < size;) {
        ssize_t n = pread(im->external.fd, (char *)bytes + got, size - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sal_fail(SAL_ERROR_IO, "tensor %.200s: cannot read %.300s: %s", name, im->external.location,
                            n < 0 ? strerror(errno) : "the file shrank");
        got += (size_t)n;
    }
    return SAL_OK;
}
