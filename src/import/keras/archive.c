/* .keras files: zip archives of Keras 3. */
#include "import/keras/archive.h"

#include "base/memory.h"
#include "import/jansson_calls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zip.h>

static sal_status look_at(zip_stat_t *info, zip_t *archive, const char *path, const char *name, uint64_t max_bytes)
{
    zip_stat_init(info);
    if (zip_stat(archive, name, 0, info) != 0 || !(info->valid & ZIP_STAT_SIZE))
        return sal_fail(SAL_ERROR_FORMAT, "%s: there is no %s in this archive: is it a .keras file?", path, name);
    if (info->size > max_bytes)
        return sal_fail(SAL_ERROR_LIMIT, "%s: %s has %llu bytes, the limit is %llu", path, name,
                        (unsigned long long)info->size, (unsigned long long)max_bytes);
    return SAL_OK;
}

/* Members by their exact names, wherever the archive says they would be unpacked to: nothing is written. */
static sal_status read_member(unsigned char **out, size_t *size, zip_t *archive, const char *path, const char *name,
                              uint64_t max_bytes)
{
    sal_status st = SAL_OK;
    zip_stat_t info;
    zip_file_t *member = NULL;
    unsigned char *bytes = NULL;
    TRY(look_at(&info, archive, path, name, max_bytes));
    TRY(sal_alloc(&bytes, (size_t)info.size + 1, 1, name));
    member = zip_fopen(archive, name, 0);
    /* libzip checks the CRC as the last byte is read. */
    if (!member || zip_fread(member, bytes, info.size) != (zip_int64_t)info.size ||
        zip_fread(member, bytes + info.size, 1) != 0) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: %s in this archive is damaged or truncated", path, name);
        goto done;
    }
    *out = bytes;
    *size = (size_t)info.size;
    bytes = NULL;
done:
    if (member)
        zip_fclose(member);
    sal_free(bytes);
    return st;
}

static sal_status read_json(json_t **out, zip_t *archive, const char *path, const char *name, uint64_t max_bytes)
{
    static const uint64_t max_json = KERAS_MOST_JSON;
    sal_status st = SAL_OK;
    unsigned char *text = NULL;
    size_t length = 0;
    TRY(read_member(&text, &length, archive, path, name, max_bytes < max_json ? max_bytes : max_json));
    TRY(keras_parse(out, (const char *)text, length, path, name));
done:
    sal_free(text);
    return st;
}

const char keras_archive_weights[] = "model.weights.h5";

sal_status keras_archive_read(json_t **config, json_t **metadata, const char *path, uint64_t max_bytes)
{
    sal_status st = SAL_OK;
    int code = 0;
    zip_stat_t weights;
    *config = *metadata = NULL;
    zip_t *archive = zip_open(path, ZIP_RDONLY, &code);
    if (!archive)
        return sal_fail(code == ZIP_ER_OPEN || code == ZIP_ER_NOENT ? SAL_ERROR_IO : SAL_ERROR_FORMAT,
                        "%s: is not a .keras archive, or is damaged; copy or download it again", path);
    TRY(read_json(config, archive, path, "config.json", max_bytes));
    if (zip_name_locate(archive, "metadata.json", 0) >= 0)
        TRY(read_json(metadata, archive, path, "metadata.json", max_bytes));
    TRY(look_at(&weights, archive, path, keras_archive_weights, max_bytes));
done:
    if (st != SAL_OK) {
        json_decref(*config);
        json_decref(*metadata);
        *config = *metadata = NULL;
    }
    zip_discard(archive);
    return st;
}
