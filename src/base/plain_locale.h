/* The calling thread in the C locale, where a decimal point is a point. */
#ifndef SAL_BASE_PLAIN_LOCALE_H
#define SAL_BASE_PLAIN_LOCALE_H

#include "base/error.h"

#include <locale.h>

typedef struct sal_plain_locale {
    locale_t c;
    locale_t before;
} sal_plain_locale;

/* Errors: MEMORY. */
sal_status sal_plain_locale_enter(sal_plain_locale *l);
void sal_plain_locale_leave(sal_plain_locale *l); /* after a successful enter only */

/* A text that is a finite number and nothing else, with a point whatever the locale. */
int sal_plain_number(double *out, const char *text);

#endif
