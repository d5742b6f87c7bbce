#include "import/hdf5/program.h"

#include <stdio.h>

sal_status hdf5_program_start(sal_helper_process *out, const hdf5_task *task)
{
    char size[24];
    const char *const words[] = {size, task->path, task->member, NULL};
    snprintf(size, sizeof size, "%llu", (unsigned long long)task->size);
    return sal_helper_start(out, &hdf5_helper, task->path, words);
}
