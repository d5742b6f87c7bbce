#include "base/words.h"

#include <stdio.h>
#include <string.h>

/* Length of the word at `at`; *next is the one after it, or NULL. */
static size_t word_length(const char **next, const char *at)
{
    const size_t length = strcspn(at, "|");
    *next = at[length] ? at + length + 1 : NULL;
    return length;
}

int sal_word_value(const char *words, const char *word)
{
    const char *next = words;
    for (int value = 0; next && word; value++) {
        const char *at = next;
        const size_t length = word_length(&next, at);
        if (length == strlen(word) && memcmp(at, word, length) == 0)
            return value;
    }
    return -1;
}

const char *sal_word_of(char word[SAL_WORD_SIZE], const char *words, int value)
{
    const char *next = words;
    for (int i = 0; next && value >= 0; i++) {
        const char *at = next;
        const size_t length = word_length(&next, at);
        if (i == value && length < SAL_WORD_SIZE) {
            memcpy(word, at, length);
            word[length] = '\0';
            return word;
        }
    }
    return NULL;
}

const char *sal_words_list(char *text, size_t size, const char *words)
{
    size_t used = 0;
    if (!text || size == 0 || !words)
        return NULL;
    text[0] = '\0';
    for (const char *next = words; next && used < size;) {
        const char *at = next;
        const size_t length = word_length(&next, at);
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? ", " : "", (int)length, at);
    }
    return text;
}
