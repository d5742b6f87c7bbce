/* SHA-256 (FIPS 180-4) of bytes and files, as text. */
#ifndef SAL_BASE_DIGEST_H
#define SAL_BASE_DIGEST_H

#include "base/error.h"

enum { SAL_DIGEST_SIZE = 65 }; /* 64 hexadecimal digits and a zero */

typedef struct sal_digest sal_digest;

/* Errors: MEMORY. */
sal_status sal_digest_open(sal_digest **out);
void sal_digest_close(sal_digest *digest); /* NULL is fine */
sal_status sal_digest_add(sal_digest *digest, const void *bytes, size_t size);
/* The content of a file, read piece by piece. Errors: IO. */
sal_status sal_digest_add_file(sal_digest *digest, const char *path);
/* Of everything that was added; nothing can be added after it. */
sal_status sal_digest_finish(char text[SAL_DIGEST_SIZE], sal_digest *digest);

#endif
