/* Reading HDF5 files of weights, in the program salmap-hdf5. Only what lies in the file itself is
 * read: no links to other files, no virtual or external data sets. */
#include "import/hdf5/reader/hdf5_reader.h"

#include "base/memory.h"
#include "base/memory_copy.h"
#include "import/hdf5/reader/zip_member.h"
#include "import/jansson_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TEXT = 1 << 26, MAX_TEXTS = 1 << 20 };
/* Deflate makes at most 1032 bytes of one. */
static const uint64_t most_inflation = 1100, inflation_base = 4096;

struct hdf5_reader {
    const char *path;
    keras_member *member; /* of an archive, or NULL */
    hid_t file;
    hid_t *sets; /* open data sets, by index */
    size_t set_count;
    size_t set_capacity;
};

/* Every call that gives an identifier or a code goes through here. */
static sal_status check(const hdf5_reader *f, int64_t result, const char *what)
{
    return result >= 0 ? SAL_OK : sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: cannot read %.200s", f->path, what);
}

/* libhdf5 says of what cannot be opened that it is no HDF5 file. */
static sal_status check_readable(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sal_fail(SAL_ERROR_IO, "%s: cannot be read: %s", path, strerror(errno));
    close(fd);
    return SAL_OK;
}

sal_status hdf5_reader_open(hdf5_reader **out, const char *path, const char *member)
{
    sal_status st = SAL_OK;
    hdf5_reader *f = NULL;
    hid_t access = H5I_INVALID_HID;
    *out = NULL;
    TRY(sal_alloc(&f, 1, sizeof *f, "the weights' file"));
    f->path = path;
    f->file = H5I_INVALID_HID;
    TRY(check_readable(path));
    (void)H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* HDF5 would print its errors */
    access = H5Pcreate(H5P_FILE_ACCESS);
    TRY(check(f, access, "it"));
    /* The default driver looks for the name behind the link that such a path is. */
    if (sal_path_is_descriptor(path))
        TRY(check(f, H5Pset_fapl_stdio(access), "it"));
    if (member) {
        TRY(keras_member_open(&f->member, path, member));
        TRY(check(f, keras_member_access(access, f->member), "it"));
    }
    f->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (f->file < 0) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is no HDF5 file, or a damaged one: copy or download it again", path);
        goto done;
    }
    *out = f;
    f = NULL;
done:
    if (access >= 0)
        H5Pclose(access);
    hdf5_reader_close(f);
    return st;
}

void hdf5_reader_close(hdf5_reader *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->set_count; i++)
        H5Dclose(f->sets[i]);
    free(f->sets);
    if (f->file >= 0)
        H5Fclose(f->file);
    keras_member_close(f->member);
    sal_free(f);
}

/* Every part of the way is there and leads to something of this file. */
static int is_inside(hdf5_reader *f, const char *object)
{
    char path[4096];
    if (strcmp(object, "/") == 0)
        return 1;
    if (strlen(object) >= sizeof path)
        return 0;
    for (size_t end = strspn(object, "/"); object[end];) {
        end += strcspn(object + end, "/");
        memcpy(path, object, end);
        path[end] = '\0';
        end += strspn(object + end, "/");
        H5L_info_t link;
        if (H5Lget_info(f->file, path, &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
            return 0;
    }
    return 1;
}

int hdf5_reader_has(hdf5_reader *f, const char *object)
{
    return is_inside(f, object);
}

/* ---- Texts --------------------------------------------------------------- */

static hid_t open_attribute(hdf5_reader *f, const char *group, const char *attribute)
{
    if (!is_inside(f, group) || H5Aexists_by_name(f->file, group, attribute, H5P_DEFAULT) <= 0)
        return H5I_INVALID_HID;
    return H5Aopen_by_name(f->file, group, attribute, H5P_DEFAULT, H5P_DEFAULT);
}

/* Bytes that a text takes in the file: itself, or its length and where it lies. 0: not known. */
static size_t stored_size(const hdf5_reader *f, hid_t type)
{
    size_t address = 0, length = 0;
    if (H5Tis_variable_str(type) <= 0)
        return H5Tget_size(type);
    const hid_t plan = H5Fget_create_plist(f->file);
    const int known = plan >= 0 && H5Pget_sizes(plan, &address, &length) >= 0;
    if (plan >= 0)
        H5Pclose(plan);
    return known ? 4 + address + 4 : 0;
}

/* The library reads as many bytes as its type and extent say, whether the attribute has them or not. */
static sal_status check_stored(const hdf5_reader *f, hid_t attribute, hid_t type, size_t count, const char *name)
{
    size_t needed;
    const size_t each = stored_size(f, type);
    sal_status st = sal_size_mul(&needed, each, count, name);
    if (st == SAL_OK && (each == 0 || H5Aget_storage_size(attribute) < needed))
        st = sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: is damaged: the attribute %.100s is cut short", f->path, name);
    return st;
}

/* The texts of an attribute, as it has them: of fixed size or not. */
static sal_status read_texts(json_t *list, hdf5_reader *f, hid_t attribute, const char *name)
{
    sal_status st = SAL_OK;
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    char **texts = NULL, *fixed = NULL;
    hid_t memory = H5I_INVALID_HID;
    hssize_t count = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (type >= 0 && count == 0) /* an empty list is one of numbers */
        goto done;
    if (type < 0 || count < 0 || count > MAX_TEXTS || H5Tget_class(type) != H5T_STRING) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: the attribute %.100s holds no texts", f->path, name);
        goto done;
    }
    TRY(check_stored(f, attribute, type, (size_t)count, name));
    if (H5Tis_variable_str(type) > 0) {
        TRY(sal_alloc(&texts, (size_t)count, sizeof *texts, name));
        memory = H5Tcopy(type);
        TRY(check(f, H5Aread(attribute, memory, texts), name));
        for (hssize_t i = 0; i < count; i++)
            if (st == SAL_OK)
                st = keras_append(list, json_string_nocheck(texts[i] ? texts[i] : ""));
        (void)H5Dvlen_reclaim(memory, space, H5P_DEFAULT, texts);
    } else {
        const size_t size = H5Tget_size(type);
        size_t bytes;
        TRY(sal_size_mul(&bytes, size, (size_t)count, name));
        if (bytes > MAX_TEXT) {
            st = sal_fail(SAL_ERROR_LIMIT, "%s: HDF5: the attribute %.100s is too long", f->path, name);
            goto done;
        }
        TRY(sal_alloc(&fixed, bytes + 1, 1, name));
        TRY(check(f, H5Aread(attribute, type, fixed), name));
        for (hssize_t i = 0; i < count; i++) {
            const char *text = fixed + (size_t)i * size;
            TRY(keras_append(list, json_stringn_nocheck(text, strnlen(text, size))));
        }
    }
done:
    if (memory >= 0)
        H5Tclose(memory);
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    sal_free(texts);
    sal_free(fixed);
    return st;
}

sal_status hdf5_reader_text(char **out, hdf5_reader *f, const char *group, const char *attribute)
{
    sal_status st = SAL_OK;
    json_t *list = json_array();
    hid_t a = open_attribute(f, group, attribute);
    *out = NULL;
    if (a < 0)
        goto done;
    TRY(read_texts(list, f, a, attribute));
    if (json_array_size(list) == 1)
        TRY(sal_strdup(out, json_string_value(json_array_get(list, 0))));
done:
    if (a >= 0)
        H5Aclose(a);
    json_decref(list);
    return st;
}

sal_status hdf5_reader_texts(json_t **out, hdf5_reader *f, const char *group, const char *attribute)
{
    sal_status st = SAL_OK;
    char piece[256];
    json_t *list = json_array();
    int found = 0;
    *out = NULL;
    hid_t a = open_attribute(f, group, attribute);
    /* Attributes have at most 64 KB: longer lists come in pieces. */
    for (int n = -1; n < MAX_TEXTS; n++) {
        if (n >= 0) {
            snprintf(piece, sizeof piece, "%s%d", attribute, n);
            a = open_attribute(f, group, piece);
        }
        if (a < 0 && n >= 0)
            break;
        if (a < 0)
            continue;
        found = 1;
        st = read_texts(list, f, a, attribute);
        H5Aclose(a);
        if (st != SAL_OK)
            goto done;
    }
    if (found) {
        *out = list;
        list = NULL;
    }
done:
    json_decref(list);
    return st;
}

/* ---- Numbers ------------------------------------------------------------- */

/* Whether a data set that lies in one piece, if it was ever written, is shorter than its extent and type say. */
static int is_cut_short(hid_t set, hid_t plan, hid_t type, uint64_t count)
{
    const uint64_t stored = H5Dget_storage_size(set);
    return H5Pget_layout(plan) != H5D_CHUNKED && stored > 0 && stored / H5Tget_size(type) < count;
}

/* In this file, all of it, and of numbers. */
static sal_status check_set(const hdf5_reader *f, hid_t set, uint64_t bytes, const char *name)
{
    sal_status st = SAL_OK;
    hid_t plan = H5Dget_create_plist(set), type = H5Dget_type(set);
    const H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    const uint64_t stored = H5Dget_storage_size(set);
    const int brain = class == H5T_OPAQUE && H5Tget_size(type) == 2; /* bfloat16, which HDF5 has no type for */
    if (plan < 0 || (class != H5T_FLOAT && class != H5T_INTEGER && !brain))
        st = sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: %.300s does not hold numbers", f->path, name);
    else if (H5Pget_external_count(plan) != 0 || H5Pget_layout(plan) == H5D_VIRTUAL)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: %.300s lies in another file", f->path, name);
    else if (bytes / most_inflation > stored + inflation_base)
        st = sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: %.300s is said to have %llu bytes, %llu are stored", f->path, name,
                      (unsigned long long)bytes, (unsigned long long)stored);
    else if (is_cut_short(set, plan, type, bytes / sizeof(float)))
        st = sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: is damaged: %.300s is cut short", f->path, name);
    if (plan >= 0)
        H5Pclose(plan);
    if (type >= 0)
        H5Tclose(type);
    return st;
}

sal_status hdf5_reader_find(uint64_t *index, sal_shape *shape, hdf5_reader *f, const char *name)
{
    sal_status st = SAL_OK;
    hsize_t dims[SAL_MAX_RANK];
    hid_t set = H5I_INVALID_HID, space = H5I_INVALID_HID;
    size_t bytes = sizeof(float);
    if (!is_inside(f, name))
        return sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: there is no %.300s", f->path, name);
    set = H5Dopen2(f->file, name, H5P_DEFAULT);
    TRY(check(f, set, name));
    space = H5Dget_space(set);
    TRY(check(f, space, name));
    const int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > SAL_MAX_RANK) {
        st = sal_fail(SAL_ERROR_UNSUPPORTED, "%s: HDF5: %.300s has %d axes", f->path, name, rank);
        goto done;
    }
    TRY(check(f, H5Sget_simple_extent_dims(space, dims, NULL), name));
    *shape = (sal_shape){.rank = rank};
    for (int a = 0; a < rank; a++) {
        TRY(sal_size_mul(&bytes, bytes, (size_t)dims[a], name));
        shape->dim[a] = (int64_t)dims[a];
    }
    TRY(check_set(f, set, bytes, name));
    TRY(sal_grow(&f->sets, &f->set_capacity, f->set_count + 1, sizeof *f->sets, "weights"));
    f->sets[f->set_count] = set;
    *index = f->set_count++;
    set = H5I_INVALID_HID;
done:
    if (space >= 0)
        H5Sclose(space);
    if (set >= 0)
        H5Dclose(set);
    return st;
}

sal_status hdf5_reader_read(float *out, size_t count, hdf5_reader *f, uint64_t index)
{
    hid_t space = H5Dget_space(f->sets[index]);
    const hssize_t stored = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (space >= 0)
        H5Sclose(space);
    if (stored < 0 || (size_t)stored != count)
        return sal_fail(SAL_ERROR_FORMAT, "%s: HDF5: weights of another size than before", f->path);
    hid_t type = H5Dget_type(f->sets[index]);
    const int opaque = type >= 0 && H5Tget_class(type) == H5T_OPAQUE;
    sal_status st = SAL_OK;
    if (!opaque) { /* HDF5 converts what is not float itself */
        st = check(f, H5Dread(f->sets[index], H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out), "weights");
    } else {
        /* Into the second half of the floats' own memory: the first half of each float is filled before it is read. */
        uint16_t *halves = (uint16_t *)(void *)out + count;
        st = check(f, H5Dread(f->sets[index], type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves), "weights");
        for (size_t i = 0; st == SAL_OK && i < count; i++) {
            const uint32_t bits = (uint32_t)halves[i] << 16;
            memcpy(&out[i], &bits, sizeof bits);
        }
    }
    if (type >= 0)
        H5Tclose(type);
    return st;
}
