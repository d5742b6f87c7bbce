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
/* name cut in its middle, or filled up with blanks, to so many columns of a terminal, 4 at least; returns text, which
 * has room for 4 bytes a column. */
const char *text_fit(char *text, size_t size, const char *name, size_t columns);

/* Columns of a terminal that a text takes as text_print shows it: East Asian characters take two, combining marks none.
 */
size_t text_width(const char *text);
/* Prints it with blanks up to so many columns. */
void text_print_padded(FILE *to, const char *text, size_t columns);

/* Bytes of the character of UTF-8 (RFC 3629) that begins here; 0: none does. */
size_t text_character(const char *text);
/* Bytes of the beginning of a text, `most` at most, that end with a whole character: for "%.*s". */
int text_head(const char *text, size_t most);

/* As printf, with a question mark for each byte of a character that would move a terminal's cursor or worse: names from
 * models and of files may hold any. Newlines at the end stay. */
void text_print(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_print_list(FILE *to, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

#endif
