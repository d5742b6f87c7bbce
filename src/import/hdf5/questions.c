#include "import/hdf5/questions.h"

const sal_helper hdf5_helper = {.name = "salmap-hdf5",
                                .purpose = "reads HDF5 files",
                                .variable = "SAL_HDF5_READER",
                                .asked = sizeof(hdf5_request),
                                .answered = sizeof(hdf5_answer)};

/* libhdf5 reads and unpacks some hundred megabytes in a second, and goes in circles over damaged files. */
uint64_t hdf5_most_seconds(uint64_t size)
{
    return 4 + (size >> 23);
}
