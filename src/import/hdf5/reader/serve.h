/* Answers the questions that libsalmap has about one HDF5 file. */
#ifndef SAL_IMPORT_HDF5_READER_SERVE_H
#define SAL_IMPORT_HDF5_READER_SERVE_H

#include "import/hdf5/questions.h"

/* Greets, gives up every right but that to read the file, opens it, and answers until the other side has gone. For a
 * process that does nothing else. */
void hdf5_serve(int socket, const hdf5_task *task);

#endif
