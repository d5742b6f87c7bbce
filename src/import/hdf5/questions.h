/* What libsalmap and the program that reads HDF5 files for it say to each other after its greeting: a request and an
 * answer at a time. Both sides share this file alone. The program's side is not trusted: a file may have
 * taken it over, so whoever receives an answer checks each number in it. */
#ifndef SAL_IMPORT_HDF5_QUESTIONS_H
#define SAL_IMPORT_HDF5_QUESTIONS_H

#include "base/helper/helper.h"
#include "graph/graph.h"

enum { HDF5_MAX_NAME = 4096 }; /* bytes of a name with its 0 */

extern const sal_helper hdf5_helper; /* the program salmap-hdf5 */

/* The file that is read. */
typedef struct hdf5_task {
    const char *path;
    const char *member; /* of the zip archive at path; NULL: path itself is the HDF5 file */
    uint64_t size;      /* bytes of the HDF5 file; 0: unknown */
} hdf5_task;

typedef enum hdf5_question { HDF5_HAS, HDF5_TEXT, HDF5_TEXTS, HDF5_FIND, HDF5_READ } hdf5_question;

typedef struct hdf5_request {
    hdf5_question question;
    uint64_t index;
    uint64_t count;
    char names[2][HDF5_MAX_NAME]; /* group and attribute, or data set */
} hdf5_request;

typedef struct hdf5_answer {
    sal_status status;
    uint64_t size; /* of what follows: a text, floats, or an error's text */
    uint64_t index;
    sal_shape shape;
} hdf5_answer;

/* Seconds of processor time that reading an HDF5 file of so many bytes may take. */
uint64_t hdf5_most_seconds(uint64_t size);

#endif
