/* The words of enumerations, each one string in the order of its values: options, sidecar files and settings of runs
 * read the same one. */
#ifndef SAL_BASE_WORDS_H
#define SAL_BASE_WORDS_H

#include <stddef.h>

#define SAL_WORDS_SCORE "logit|probability"
#define SAL_WORDS_RULE "gradient|guided|deconvnet|rectified"
#define SAL_WORDS_PRECISION "default|fp32|tf32|bf16|fp16"
#define SAL_WORDS_QUADRATURE "gauss-legendre|trapezoid"
#define SAL_WORDS_BASELINE "zero|black|white|mean|blur" /* SAL_BASELINE_FILE is a path */
#define SAL_WORDS_MODIFIER "abs|relu|negate|none"
#define SAL_WORDS_REDUCE "max|mean|sum|l2"
#define SAL_WORDS_NORMALIZE "minmax|none|signed"
#define SAL_WORDS_COLORMAP "viridis|inferno|turbo|jet|gray|coolwarm"
#define SAL_WORDS_FIT "stretch|letterbox|center-crop"
#define SAL_WORDS_ORDER "auto|rgb|bgr|gray|asis"
#define SAL_WORDS_MAPS "npy|none|npz|png16"
#define SAL_WORDS_OVERLAY_FORMAT "jpeg|png"

enum { SAL_WORD_SIZE = 32 };

/* The value of a word; -1: it is none of them. */
int sal_word_value(const char *words, const char *word);
/* Copies the word of a value and returns it; NULL: there is none. */
const char *sal_word_of(char word[SAL_WORD_SIZE], const char *words, int value);
/* All of them with ", " between them, as far as they fit; returns text. */
const char *sal_words_list(char *text, size_t size, const char *words);

#endif
