/* What the fuzz targets share: files that lie in memory, and what is to be true of every failure. */
#ifndef FUZZ_SUPPORT_H
#define FUZZ_SUPPORT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Ends the process, which makes the input at hand a finding. */
#define FUZZ_REQUIRE(condition) fuzz_require((condition), #condition, __FILE__, __LINE__)
void fuzz_require(int condition, const char *text, const char *file, int line);
/* A status that is none of ours, or a failure without a text, is a finding. Returns whether it is SAL_OK. */
int fuzz_is_ok(sal_status st);

/* The path of a file without a name, which holds these bytes until the next call. */
const char *fuzz_file(const uint8_t *bytes, size_t size);
/* A folder of the process, below TMPDIR or /dev/shm; removed when the process ends. */
const char *fuzz_folder(void);
/* A path below it, from a printf format: static, until eight more were asked for. */
const char *fuzz_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Writes a file whole, or makes the folder where `bytes` is NULL. */
void fuzz_write(const char *path, const void *bytes, size_t size);
/* A file, or a folder with all that is in it; fine where there is none. */
void fuzz_remove(const char *path);

#endif
