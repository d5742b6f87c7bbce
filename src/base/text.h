/* Text that is printed into memory. open_memstream() would lose what there is no memory for without a word. */
#ifndef SAL_BASE_TEXT_H
#define SAL_BASE_TEXT_H

#include "base/error.h"

#include <stdio.h>

typedef struct sal_text {
    FILE *stream; /* to print to */
    char *bytes;
    size_t size;
    size_t room;
    int failed;
} sal_text;

sal_status sal_text_open(sal_text *text);
/* Ends it: where st is SAL_OK, *out is the text with a zero behind it, to be freed with free(), and *size its length;
 * size may be NULL. Returns st, or MEMORY where there was none for all of it; *out is NULL then. `what` is for the
 * message. */
sal_status sal_text_close(char **out, size_t *size, sal_text *text, sal_status st, const char *what);

#endif
