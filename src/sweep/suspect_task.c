#include "sweep/suspect_task.h"

const sal_helper sal_suspect_helper = {.name = "salmap-picture",
                                       .purpose = "reads pictures that salmap was killed over",
                                       .variable = "SAL_PICTURE_READER",
                                       .asked = sizeof(sal_suspect_task)};
