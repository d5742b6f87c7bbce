/* A file within a zip archive, for HDF5 to read where it lies. */
#ifndef SAL_IMPORT_HDF5_READER_ZIP_MEMBER_H
#define SAL_IMPORT_HDF5_READER_ZIP_MEMBER_H

#include "salmap/salmap.h"

#include <hdf5.h>

typedef struct keras_member keras_member;

/* A member as Keras writes it, not compressed, stays where it is; another one is unpacked into memory. Its checksum is
 * looked at first. Errors: IO, FORMAT (not there, damaged), MEMORY. */
sal_status keras_member_open(keras_member **out, const char *path, const char *name);
void keras_member_close(keras_member *member); /* NULL is fine */
/* Makes a property list of file access read the member, which must stay open; below 0 where HDF5 fails. */
herr_t keras_member_access(hid_t access, keras_member *member);

#endif
