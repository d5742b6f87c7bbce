/* What a sweep tells the program salmap-picture, which reads one picture for it, and how that program ends. Both sides
 * share this file alone. */
#ifndef SAL_SWEEP_SUSPECT_TASK_H
#define SAL_SWEEP_SUSPECT_TASK_H

#include "base/helper/helper.h"

/* What the program is to do with the picture: it follows the program's greeting over the socket. There is no answer but
 * the exit status. */
typedef struct sal_suspect_task {
    sal_preprocess preprocess;
    sal_limits limits;               /* complete: max_memory is that of this picture */
    int64_t channels, height, width; /* of the network's input */
} sal_suspect_task;

/* Exit status. Whatever else is wrong with a picture is not what killed salmap, and fine here. */
enum { SAL_SUSPECT_FINE, SAL_SUSPECT_NO_MEMORY, SAL_SUSPECT_OVER_LIMIT };

enum { SAL_SUSPECT_MOST_SECONDS = 3600 }; /* of processor time, and for the sweep of any time */

extern const sal_helper sal_suspect_helper; /* the program salmap-picture */

#endif
