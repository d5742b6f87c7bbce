/* Numbers for people, and tables. */
#ifndef SAL_CLI_TEXT_H
#define SAL_CLI_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* "25.6 M", "4.09 G"; returns text. */
const char *text_count(char *text, size_t size, uint64_t count);
/* "12.4 MiB"; returns text. */
const char *text_bytes(char *text, size_t size, uint64_t bytes);
/* "64x56x56"; returns text. */
const char *text_shape(char *text, size_t size, const int64_t *shape, int rank);
/* name cut in its middle to width characters; returns text. */
const char *text_cut(char *text, size_t size, const char *name, size_t width);

/* Bytes of the character of UTF-8 (RFC 3629) that begins here; 0: none does. */
size_t text_character(const char *text);

/* As printf, with a question mark for each byte of a character that would move a terminal's cursor or worse: names from
 * models and of files may hold any. Newlines at the end stay. */
void text_print(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_print_list(FILE *to, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

#endif
