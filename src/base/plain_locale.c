#define _GNU_SOURCE /* strtod_l */
#include "base/plain_locale.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

sal_status sal_plain_locale_enter(sal_plain_locale *l)
{
    l->c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (l->c == (locale_t)0)
        return sal_fail_memory(0, "a locale");
    l->before = uselocale(l->c);
    return SAL_OK;
}

void sal_plain_locale_leave(sal_plain_locale *l)
{
    uselocale(l->before);
    freelocale(l->c);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t plain;

static void make_plain(void)
{
    plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}

int sal_plain_number(double *out, const char *text)
{
    char *end;
    if (pthread_once(&once, make_plain) != 0 || plain == (locale_t)0)
        return 0;
    *out = strtod_l(text, &end, plain);
    return end != text && *end == '\0' && isfinite(*out);
}
