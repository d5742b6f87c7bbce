#include "base/memory_file.h"

#include <string.h>

sal_status sal_memory_file_open(sal_memory_file *file)
{
    return sal_text_open(file);
}

sal_status sal_memory_file_close(void **bytes, size_t *size, sal_memory_file *file, sal_status st)
{
    char *written = NULL;
    if (!file->stream)
        return st;
    if (st == SAL_ERROR_IO) {
        file->failed = 1;
        st = SAL_OK;
    }
    st = sal_text_close(&written, size, file, st, "an encoded file");
    if (st == SAL_OK)
        *bytes = written;
    memset(file, 0, sizeof *file);
    return st;
}
