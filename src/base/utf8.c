#include "base/utf8.h"

#include <string.h>

static int is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

size_t sal_utf8_read(uint32_t *character, const char *text)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)text[0];
    const size_t size = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
    uint32_t value = size == 1 ? first : first & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(text[i]))
            return 0;
        value = value << 6 | ((unsigned char)text[i] & 0x3fu);
    }
    if (size == 0 || value < least[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    if (character)
        *character = value;
    return size;
}

int sal_utf8_head(const char *text, size_t most)
{
    const size_t length = strnlen(text, most + 1);
    if (length <= most)
        return (int)length;
    for (size_t back = 0; back <= most && back < 4; back++)
        if (!is_continuation(text[most - back]))
            return (int)(most - back);
    return (int)most; /* no UTF-8: its bytes are shown one by one */
}

void sal_utf8_trim(char *text)
{
    size_t end = strlen(text), begin = end;
    while (begin > 0 && end - begin < 3 && is_continuation(text[begin - 1]))
        begin--;
    if (begin > 0 && (unsigned char)text[begin - 1] >= 0xc0 && sal_utf8_read(NULL, text + begin - 1) == 0)
        text[begin - 1] = '\0';
}
