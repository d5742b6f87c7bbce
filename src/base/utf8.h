/* Characters of UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF). */
#ifndef SAL_BASE_UTF8_H
#define SAL_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that begins here; 0: none does. character may be NULL. */
size_t sal_utf8_read(uint32_t *character, const char *text);

/* Bytes of the beginning of a text, `most` at most, that end with a whole character: for "%.*s". */
int sal_utf8_head(const char *text, size_t most);
/* Cuts half a character off the end of a text. */
void sal_utf8_trim(char *text);

#endif
