#include "image/tiff_file.h"

#include <stdio.h>
#include <string.h>

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t size)
{
    sal_tiff_file *x = handle;
    if (x->position >= x->source->size || size <= 0)
        return 0;
    size_t left = x->source->size - (size_t)x->position;
    size_t n = (size_t)size < left ? (size_t)size : left;
    memcpy(to, x->source->bytes + x->position, n);
    x->position += n;
    return (tmsize_t)n;
}

static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t size)
{
    (void)handle;
    (void)from;
    (void)size;
    return -1;
}

static toff_t seek_to(thandle_t handle, toff_t offset, int whence)
{
    sal_tiff_file *x = handle;
    uint64_t base = whence == SEEK_CUR ? x->position : whence == SEEK_END ? x->source->size : 0;
    x->position = base + offset;
    return x->position;
}

static int close_file(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t file_size(thandle_t handle)
{
    return ((sal_tiff_file *)handle)->source->size;
}

#if TIFFLIB_VERSION >= 20221213 /* 4.5.0: handlers per file */

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));
static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    sal_tiff_file *x = user;
    (void)tiff;
    (void)module;
    if (!x->message[0]) {
        /* Some of its texts begin with the file's name, which ours have already. */
        char text[8192];
        const size_t length = strlen(x->source->path);
        vsnprintf(text, sizeof text, format, args);
        const int named = strncmp(text, x->source->path, length) == 0 && strncmp(text + length, ": ", 2) == 0;
        snprintf(x->message, sizeof x->message, "%.255s", named ? text + length + 2 : text);
    }
    return 1; /* handled: the global handlers, which print, are not called */
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list args)
{
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

static TIFF *open_client(sal_tiff_file *x)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, x);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, x);
    TIFF *tiff = TIFFClientOpenExt(x->source->path, "rm", x, read_bytes, write_bytes, seek_to, close_file, file_size,
                                   NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

#else /* handlers are the process's: silenced, since a library does not print */

static TIFF *open_client(sal_tiff_file *x)
{
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
    return TIFFClientOpen(x->source->path, "rm", x, read_bytes, write_bytes, seek_to, close_file, file_size, NULL,
                          NULL);
}

#endif

int sal_tiff_open(sal_tiff_file *x)
{
    x->tiff = open_client(x);
    return x->tiff != NULL;
}
