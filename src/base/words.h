/* The word of an enumeration's value. The public header has the words themselves, and the way back. */
#ifndef SAL_BASE_WORDS_H
#define SAL_BASE_WORDS_H

#include "salmap/salmap.h"

enum { SAL_WORD_SIZE = 32 };

/* Copies the word of a value and returns it; NULL: there is none. */
const char *sal_word_of(char word[SAL_WORD_SIZE], const char *words, int value);

#endif
