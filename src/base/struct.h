/* Structs of callers that begin with their size ("Structs that can grow" in salmap.h). Where a caller's struct comes in
 * it is copied into a complete one, and where one goes out the complete one is copied into the caller's; behind that
 * all structs are complete. */
#ifndef SAL_BASE_STRUCT_H
#define SAL_BASE_STRUCT_H

#include "base/error.h"

/* full, `full_size` bytes that begin with a size_t, becomes what is given, with 0 for the fields that the caller does
 * not have, and with its own size. given NULL: full stays as it is. name: of the type, "sal_limits". Error: ARGUMENT (a
 * size that no version has, or fields that are not 0 and that this library does not know); full is then as it was. */
sal_status sal_struct_read(void *full, size_t full_size, const void *given, const char *name);
/* Fills a caller's struct as far as its size says, which stays; what this library does not know becomes 0. Error:
 * ARGUMENT (its size); nothing is written then. */
sal_status sal_struct_write(void *out, const void *full, size_t full_size, const char *name);

#endif
