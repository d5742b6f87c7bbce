/* What is written to a stream, as bytes in memory: encoders write to a FILE, whoever keeps it. */
#ifndef SAL_BASE_MEMORY_FILE_H
#define SAL_BASE_MEMORY_FILE_H

#include "base/text.h"

typedef sal_text sal_memory_file; /* whose stream is to be written to; it stays where it is meanwhile */

/* Error: MEMORY. */
sal_status sal_memory_file_open(sal_memory_file *file);
/* Closes it. st: what came of writing; where that is SAL_OK, *bytes is the caller's, free with free(). What cannot be
 * written (IO) is memory that ran out: MEMORY. Fine on a zeroed struct. */
sal_status sal_memory_file_close(void **bytes, size_t *size, sal_memory_file *file, sal_status st);

#endif
