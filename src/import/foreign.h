/* Files that people give for a model by mistake, named for what they are. */
#ifndef SAL_IMPORT_FOREIGN_H
#define SAL_IMPORT_FOREIGN_H

#include "base/error.h"

/* For a file that is no model, after `st`: UNSUPPORTED with what it is and what to do, where that can be told; else st,
 * whose text stays. */
sal_status sal_import_refuse_foreign(sal_status st, const char *path);

#endif
