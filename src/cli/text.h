/* Numbers for people, and tables. */
#ifndef SAL_CLI_TEXT_H
#define SAL_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* "25.6 M", "4.09 G"; returns text. */
const char *text_count(char *text, size_t size, uint64_t count);
/* "12.4 MiB"; returns text. */
const char *text_bytes(char *text, size_t size, uint64_t bytes);
/* "64x56x56"; returns text. */
const char *text_shape(char *text, size_t size, const int64_t *shape, int rank);
/* name cut in its middle to width characters; returns text. */
const char *text_cut(char *text, size_t size, const char *name, size_t width);

#endif
