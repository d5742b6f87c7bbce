/* A driver of HDF5 for files within zip archives: the weights of a .keras file are read one by one out of it, and never
 * are in memory as a whole. */
#include "import/hdf5/reader/zip_member.h"

#include "base/memory.h"

#include <string.h>
#include <zip.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

struct keras_member {
    zip_t *archive;
    zip_file_t *file;
    unsigned char *bytes; /* of a compressed one; else NULL */
    uint64_t size;
};

enum { PIECE = 1 << 20 };

/* Reads all, for the checksum, which libzip compares as the last byte is read. *bytes: NULL, or room for all. */
static int read_through(keras_member *m, unsigned char *bytes)
{
    unsigned char *piece = NULL;
    int fine = bytes || sal_alloc(&piece, PIECE, 1, "a piece of the weights") == SAL_OK;
    for (uint64_t at = 0; fine && at < m->size;) {
        const uint64_t n = m->size - at < PIECE ? m->size - at : PIECE;
        fine = zip_fread(m->file, bytes ? bytes + at : piece, n) == (zip_int64_t)n;
        at += n;
    }
    unsigned char none;
    fine = fine && zip_fread(m->file, &none, 1) == 0;
    sal_free(piece);
    return fine;
}

sal_status keras_member_open(keras_member **out, const char *path, const char *name)
{
    sal_status st = SAL_OK;
    keras_member *m = NULL;
    zip_stat_t about;
    int code = 0;
    *out = NULL;
    TRY(sal_alloc(&m, 1, sizeof *m, "the weights' file"));
    m->archive = zip_open(path, ZIP_RDONLY, &code);
    zip_stat_init(&about);
    if (!m->archive || zip_stat(m->archive, name, 0, &about) != 0 || !(about.valid & ZIP_STAT_SIZE)) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: there is no %s in this archive", path, name);
        goto done;
    }
    m->size = about.size;
    m->file = zip_fopen(m->archive, name, 0);
    const int stored = (about.valid & ZIP_STAT_COMP_METHOD) && about.comp_method == ZIP_CM_STORE;
    if (!stored)
        TRY(sal_alloc(&m->bytes, (size_t)m->size + 1, 1, name));
    if (!m->file || !read_through(m, m->bytes) || (stored && zip_fseek(m->file, 0, SEEK_SET) != 0)) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: %s in this archive is damaged or truncated", path, name);
        goto done;
    }
    *out = m;
    m = NULL;
done:
    keras_member_close(m);
    return st;
}

void keras_member_close(keras_member *m)
{
    if (!m)
        return;
    if (m->file)
        zip_fclose(m->file);
    if (m->archive)
        zip_discard(m->archive);
    sal_free(m->bytes);
    sal_free(m);
}

/* ---- The driver ---------------------------------------------------------- */

typedef struct access_info {
    keras_member *member;
} access_info;

typedef struct open_member {
    H5FD_t base; /* HDF5's part, first */
    keras_member *member;
    haddr_t end; /* of what HDF5 says it uses */
} open_member;

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    open_member *f = NULL;
    const access_info *info = H5Pget_driver_info(access);
    (void)name;
    (void)most;
    if (!info || (flags & H5F_ACC_RDWR) || sal_alloc(&f, 1, sizeof *f, "the weights' file") != SAL_OK)
        return NULL;
    f->member = info->member;
    return &f->base;
}

static herr_t driver_close(H5FD_t *file)
{
    sal_free(file);
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const open_member *)file)->end;
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((open_member *)file)->end = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return ((const open_member *)file)->member->size;
}

/* Behind the end there are zeros, as of other drivers. */
static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size, void *buffer)
{
    keras_member *m = ((open_member *)file)->member;
    const uint64_t there = address >= m->size ? 0 : m->size - address < size ? m->size - address : size;
    (void)type;
    (void)transfer;
    memset((char *)buffer + there, 0, size - there);
    if (there == 0)
        return 0;
    if (m->bytes) {
        memcpy(buffer, m->bytes + address, there);
        return 0;
    }
    if (zip_fseek(m->file, (zip_int64_t)address, SEEK_SET) != 0)
        return -1;
    return zip_fread(m->file, buffer, there) == (zip_int64_t)there ? 0 : -1;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t size,
                           const void *buffer)
{
    (void)file;
    (void)type;
    (void)transfer;
    (void)address;
    (void)size;
    (void)buffer;
    return -1;
}

herr_t keras_member_access(hid_t access, keras_member *member)
{
    static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
        .version = H5FD_CLASS_VERSION,
        .value = (H5FD_class_value_t)512, /* from 256 on they are free */
#endif
        .name = "member",
        .maxaddr = ((haddr_t)1 << 62) - 1,
        .fc_degree = H5F_CLOSE_WEAK,
        .fapl_size = sizeof(access_info),
        .open = driver_open,
        .close = driver_close,
        .get_eoa = driver_get_eoa,
        .set_eoa = driver_set_eoa,
        .get_eof = driver_get_eof,
        .read = driver_read,
        .write = driver_write,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    const access_info info = {member};
    const hid_t id = H5FDregister(&driver);
    if (id < 0)
        return -1;
    /* It stays registered: a file that is the last to hold its driver frees it and calls it once more. The process
     * reads one file. */
    return H5Pset_driver(access, id, &info);
}
