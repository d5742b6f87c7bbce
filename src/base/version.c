#include "salmap/salmap.h"

#define TEXT(x) #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *sal_version(void)
{
    return VERSION(SALMAP_VERSION_MAJOR, SALMAP_VERSION_MINOR, SALMAP_VERSION_PATCH);
}
