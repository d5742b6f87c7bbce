#include "base/plain_locale.h"

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
