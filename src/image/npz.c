/* NumPy's .npz: a zip archive of .npy files, here of one. libzip makes it in memory,
 * so that the file on disk appears whole or not at all. */
#include "image/encode.h"

#include "base/file.h"
#include "base/memory.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <zip.h>

/* Level 6 took 13 % more time for maps of 147 kB and left 90.2 % of their bytes instead of 90.5 %. */
enum { DEFLATE_LEVEL = 1 };

/* DOS dates begin with 1980. Noon: libzip counts in local time, and no zone skipped that hour on that day. */
enum { DOS_DATE = 1 << 5 | 1, DOS_TIME = 12 << 11 };

static sal_status fail_zip(const char *path, zip_error_t *error)
{
    const int code = zip_error_code_zip(error);
    sal_status st = code == ZIP_ER_MEMORY  ? SAL_ERROR_MEMORY
                    : code == ZIP_ER_INVAL ? SAL_ERROR_ARGUMENT /* a name that is not UTF-8 */
                                           : SAL_ERROR_IO;
    return sal_fail(st, "%s: .npz: %s", path, zip_error_strerror(error));
}

/* Borrows head and data until the archive is closed. */
static sal_status add_member(zip_t *zip, const char *member, const sal_npy_head *head, const float *data,
                             const char *path)
{
    /* Borrowed memory is only read; the struct also serves callers that give theirs away. */
    const zip_buffer_fragment_t parts[] = {
        {.data = (zip_uint8_t *)head->bytes, .length = head->size},
        {.data = (zip_uint8_t *)data, .length = head->count * sizeof *data},
    };
    zip_source_t *source = zip_source_buffer_fragment(zip, parts, sizeof parts / sizeof *parts, 0);
    if (!source)
        return fail_zip(path, zip_get_error(zip));
    zip_int64_t index = zip_file_add(zip, member, source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
        sal_status st = fail_zip(path, zip_get_error(zip));
        zip_source_free(source);
        return st;
    }
    if (zip_set_file_compression(zip, (zip_uint64_t)index, ZIP_CM_DEFLATE, DEFLATE_LEVEL) != 0 ||
        zip_file_set_dostime(zip, (zip_uint64_t)index, DOS_TIME, DOS_DATE, 0) != 0)
        return fail_zip(path, zip_get_error(zip));
    return SAL_OK;
}

/* An empty archive in memory that can be written; NULL with the error. libzip takes archives for read-only that a
 * thread opens while another opens the first one of the process: it finds out at that moment what sources can do, and
 * 1.7 keeps no other thread from looking at what it has so far. */
static zip_t *open_archive(zip_source_t **source, zip_error_t *error)
{
    enum { TRIES = 1 << 20 };
    for (int i = 0;; i++) {
        *source = zip_source_buffer_create(NULL, 0, 0, error);
        zip_t *zip = *source ? zip_open_from_source(*source, ZIP_CREATE | ZIP_TRUNCATE, error) : NULL;
        if (zip || zip_error_code_zip(error) != ZIP_ER_RDONLY || i == TRIES)
            return zip;
        zip_source_free(*source);
        sched_yield();
    }
}

/* The finished archive in *out; the caller frees it with zip_source_free. */
static sal_status make_archive(zip_source_t **out, const char *member, const sal_npy_head *head, const float *data,
                               const char *path)
{
    sal_status st = SAL_OK;
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *archive;
    zip_t *zip = open_archive(&archive, &error);
    if (!zip) {
        st = fail_zip(path, &error);
        goto done;
    }
    zip_source_keep(archive); /* the archive outlives zip, which owns one count of it */
    TRY(add_member(zip, member, head, data, path));
    if (zip_close(zip) != 0) {
        st = fail_zip(path, zip_get_error(zip));
        goto done;
    }
    zip = NULL;
    *out = archive;
    archive = NULL;
done:
    if (zip)
        zip_discard(zip);
    zip_source_free(archive);
    zip_error_fini(&error);
    return st;
}

static sal_status copy_archive(FILE *to, zip_source_t *archive, const char *path)
{
    char block[16384];
    if (zip_source_open(archive) != 0)
        return fail_zip(path, zip_source_error(archive));
    sal_status st = SAL_OK;
    zip_int64_t n;
    while (st == SAL_OK && (n = zip_source_read(archive, block, sizeof block)) > 0)
        st = sal_file_write(to, block, (size_t)n, path);
    if (n < 0)
        st = fail_zip(path, zip_source_error(archive));
    zip_source_close(archive);
    return st;
}

sal_status sal_npz_put(FILE *to, const char *name, const sal_npy_head *head, const float *data, const char *path)
{
    sal_status st = SAL_OK;
    zip_source_t *archive = NULL;
    char member[128];
    int length = snprintf(member, sizeof member, "%s.npy", name);
    if (!*name || length < 0 || (size_t)length >= sizeof member)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: .npz: an array's name is missing or too long", path);
    TRY(make_archive(&archive, member, head, data, path));
    TRY(copy_archive(to, archive, path));
done:
    zip_source_free(archive);
    return st;
}

sal_status sal_npz_write(const char *path, const char *name, const float *data, const int64_t *shape, int rank)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    sal_npy_head head;
    TRY(sal_npy_head_make(&head, shape, rank, path));
    TRY(sal_file_create(&file, path)); /* first: a folder that is not there should not cost the compression */
    TRY(sal_npz_put(file.stream, name, &head, data, path));
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    return st;
}

/* ---- Reading ----------------------------------------------------------------- */

/* What salmap and NumPy write alone: other ways to pack ask for memory of their own. */
static int is_plain(const zip_stat_t *about)
{
    return (about->valid & ZIP_STAT_COMP_METHOD) &&
           (about->comp_method == ZIP_CM_STORE || about->comp_method == ZIP_CM_DEFLATE) &&
           (about->valid & ZIP_STAT_ENCRYPTION_METHOD) && about->encryption_method == ZIP_EM_NONE;
}

/* All bytes of a member, at most so many, which libzip compares with its checksum as the last one is read. */
static sal_status read_member(unsigned char **out, size_t *size, zip_t *zip, const char *member, uint64_t most,
                              const char *path)
{
    sal_status st = SAL_OK;
    unsigned char none;
    zip_file_t *file = NULL;
    zip_stat_t about;
    zip_stat_init(&about);
    if (zip_stat(zip, member, 0, &about) != 0 || !(about.valid & ZIP_STAT_SIZE))
        return sal_fail(SAL_ERROR_FORMAT, "%s: there is no %s in this archive", path, member);
    if (!is_plain(&about))
        return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: %s in this archive is neither stored nor deflated", path, member);
    if (about.size > most)
        return sal_fail(SAL_ERROR_LIMIT,
                        "%s: %s in this archive has %llu bytes, more than the %llu bytes of memory that are left for "
                        "it: --max-memory sets the limit",
                        path, member, (unsigned long long)about.size, (unsigned long long)most);
    TRY(sal_file_check_size(about.size, SIZE_MAX, path));
    TRY(sal_alloc(out, (size_t)about.size, 1, "a map"));
    *size = (size_t)about.size;
    file = zip_fopen(zip, member, 0);
    if (!file || zip_fread(file, *out, about.size) != (zip_int64_t)about.size || zip_fread(file, &none, 1) != 0)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: %s in this archive is damaged or truncated", path, member);
done:
    if (file)
        zip_fclose(file);
    return st;
}

/* What the archive leaves of the memory that there may be; its own bytes stay meanwhile. */
static sal_limits within(const sal_limits *limits, size_t archive)
{
    sal_limits left = limits ? *limits : (sal_limits)SAL_LIMITS_INIT;
    const uint64_t memory = left.max_memory ? left.max_memory : sal_picture_default_memory();
    left.max_memory = memory > archive ? memory - archive : 1;
    return left;
}

sal_status sal_npz_decode(sal_picture *out, const void *bytes, size_t size, const char *name, const char *path,
                          const sal_limits *limits)
{
    sal_status st = SAL_OK;
    unsigned char *array = NULL;
    size_t array_size = 0;
    char member[128];
    const sal_limits left = within(limits, size);
    zip_error_t error;
    zip_error_init(&error);
    memset(out, 0, sizeof *out);
    snprintf(member, sizeof member, "%s.npy", name);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &error);
    zip_t *zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    if (!zip) {
        zip_source_free(source);
        st = sal_fail(zip_error_code_zip(&error) == ZIP_ER_MEMORY ? SAL_ERROR_MEMORY : SAL_ERROR_FORMAT, "%s: .npz: %s",
                      path, zip_error_strerror(&error));
        goto done;
    }
    TRY(read_member(&array, &array_size, zip, member, left.max_memory, path));
    st = sal_picture_decode(out, array, array_size, &left);
    if (st != SAL_OK)
        st = sal_fail_in(st, "%s: %s", path, member);
done:
    if (zip)
        zip_discard(zip);
    zip_error_fini(&error);
    sal_free(array);
    return st;
}
