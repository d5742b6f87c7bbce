/* The start of the program salmap-hdf5, which libhdf5 runs in. */
#ifndef SAL_IMPORT_HDF5_PROGRAM_H
#define SAL_IMPORT_HDF5_PROGRAM_H

#include "base/helper/start.h"
#include "import/hdf5/questions.h"

/* Starts it for the task, as sal_helper_start() says. Errors: IO, MEMORY. */
sal_status hdf5_program_start(sal_helper_process *out, const hdf5_task *task);

#endif
