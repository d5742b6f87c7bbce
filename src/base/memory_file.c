#include "base/memory_file.h"

#include <stdlib.h>
#include <string.h>

sal_status sal_memory_file_open(sal_memory_file *file)
{
    memset(file, 0, sizeof *file);
    file->stream = open_memstream(&file->bytes, &file->size);
    return file->stream ? SAL_OK : sal_fail_memory(0, "an encoded file");
}

sal_status sal_memory_file_close(void **bytes, size_t *size, sal_memory_file *file, sal_status st)
{
    if (!file->stream)
        return st;
    const int failed = fclose(file->stream) != 0;
    if (st == SAL_ERROR_IO || (st == SAL_OK && failed))
        st = sal_fail_memory(file->size, "an encoded file");
    if (st == SAL_OK) {
        *bytes = file->bytes;
        *size = file->size;
    } else {
        free(file->bytes);
    }
    memset(file, 0, sizeof *file);
    return st;
}
