#include "report/kept.h"
#include "results/settings_lines.h"

#include "base/memory.h"
#include "image/image.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t max_json_bytes = (uint64_t)1 << 24, max_picture_bytes = (uint64_t)1 << 32;

static sal_status copy_text(char **out, const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text ? sal_strdup(out, text) : SAL_OK;
}

/* What run.json tells beside its facts. That it is JSON was seen when the facts were read. */
static sal_status read_names(sal_kept_run *run)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t size;
    json_t *root = NULL;
    TRY(sal_run_file_read(&bytes, &size, &run->folder, SAL_RUN_JSON, max_json_bytes, NULL));
    if (!bytes)
        goto done;
    root = json_loadb((const char *)bytes, size, 0, NULL);
    TRY(copy_text(&run->model, root, "model"));
    TRY(copy_text(&run->origin, root, "preprocess_origin"));
    st = copy_text(&run->root, root, "root");
done:
    json_decref(root);
    sal_free(bytes);
    return st;
}

sal_status sal_kept_open(sal_kept_run *out, const char *path)
{
    sal_status st = SAL_OK;
    *out = (sal_kept_run){.folder = {.fd = -1}};
    TRY(sal_run_folder_open(&out->folder, path));
    TRY(sal_run_facts_open(&out->facts, path));
    if (out->facts.description.sign == SAL_RUN_SIGNED)
        TRY(read_names(out));
done:
    if (st != SAL_OK)
        sal_kept_close(out);
    return st;
}

void sal_kept_close(sal_kept_run *run)
{
    sal_run_folder_close(&run->folder);
    sal_run_facts_close(&run->facts);
    free(run->model);
    free(run->root);
    free(run->origin);
    *run = (sal_kept_run){.folder = {.fd = -1}};
}

typedef struct lookup {
    const char *name;
    char *value;
} lookup;

static sal_status look(void *context, const char *name, const char *value)
{
    lookup *l = context;
    return !l->value && strcmp(name, l->name) == 0 ? sal_strdup(&l->value, value) : SAL_OK;
}

sal_status sal_kept_setting(char **out, const sal_kept_run *run, const char *name)
{
    lookup l = {.name = name};
    const char *settings = run->facts.description.settings;
    const sal_status st = settings ? sal_settings_each(settings, look, &l) : SAL_OK;
    *out = l.value;
    return st;
}

/* ---- Rows ------------------------------------------------------------------ */

/* Lines of an export, as they come piece by piece. */
typedef struct lines {
    char *text;
    size_t used;
    size_t room;
    sal_status st;    /* what visit said, and */
    char error[1024]; /* in which words: the export goes on to say that it was stopped */
    sal_status (*visit)(void *context, const json_t *picture);
    void *context;
} lines;

static sal_status visit_line(lines *l, const char *line, size_t size)
{
    errno = 0;
    json_t *picture = json_loadb(line, size, 0, NULL);
    if (!picture)
        return errno == ENOMEM ? sal_fail_memory(size, "a result")
                               : sal_fail(SAL_ERROR_FORMAT, "a row of the results cannot be read");
    const sal_status st = l->visit(l->context, picture);
    json_decref(picture);
    return st;
}

static int take(void *context, const char *bytes, size_t size)
{
    lines *l = context;
    sal_status st = sal_grow(&l->text, &l->room, l->used + size, 1, "results");
    if (st == SAL_OK) {
        memcpy(l->text + l->used, bytes, size);
        l->used += size;
    }
    size_t begin = 0;
    for (const char *end; st == SAL_OK && (end = memchr(l->text + begin, '\n', l->used - begin));) {
        st = visit_line(l, l->text + begin, (size_t)(end - l->text) - begin);
        begin = (size_t)(end - l->text) + 1;
    }
    if (l->text)
        memmove(l->text, l->text + begin, l->used - begin);
    l->used -= begin;
    l->st = st;
    if (st != SAL_OK)
        snprintf(l->error, sizeof l->error, "%s", sal_last_error());
    return st != SAL_OK;
}

sal_status sal_kept_each(const sal_kept_run *run, sal_status (*visit)(void *context, const json_t *picture),
                         void *context)
{
    static const sal_export_options json = {.size = sizeof json, .format = SAL_EXPORT_JSON};
    lines l = {.visit = visit, .context = context};
    const sal_status st = sal_sweep_export(run->folder.path, NULL, take, &l, &json);
    free(l.text);
    return l.st != SAL_OK ? sal_fail(l.st, "%s", l.error) : st;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

sal_status sal_kept_name(char **out, const json_t *object, const char *key)
{
    sal_status st = SAL_OK;
    char hex_key[32];
    const char *name = json_string_value(json_object_get(object, key));
    *out = NULL;
    snprintf(hex_key, sizeof hex_key, "%s_hex", key);
    const char *hex = json_string_value(json_object_get(object, hex_key));
    if (!hex)
        return name ? sal_strdup(out, name) : SAL_OK;
    TRY(sal_strdup(out, hex)); /* twice as long as what it stands for */
    size_t i = 0;
    for (; digit(hex[2 * i]) >= 0 && digit(hex[2 * i + 1]) >= 0; i++)
        (*out)[i] = (char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    (*out)[i] = '\0';
done:
    return st;
}

/* ---- Files ----------------------------------------------------------------- */

static int is_npz(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcmp(dot, ".npz") == 0;
}

sal_status sal_kept_picture(sal_picture *out, const sal_kept_run *run, const char *name)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t size;
    memset(out, 0, sizeof *out);
    TRY(sal_run_file_read(&bytes, &size, &run->folder, name, max_picture_bytes, NULL));
    if (!bytes)
        st = sal_fail(SAL_ERROR_IO, "%s/%s: is not there any more", run->folder.path, name);
    else if (is_npz(name))
        st = sal_npz_decode(out, bytes, size, "map", name);
    else if (sal_picture_decode(out, bytes, size, NULL) != SAL_OK)
        st = sal_fail(SAL_ERROR_FORMAT, "%s/%s: %s", run->folder.path, name, sal_last_error());
done:
    sal_free(bytes);
    return st;
}

sal_status sal_kept_map(float **out, int64_t *height, int64_t *width, const sal_kept_run *run, const char *name)
{
    sal_status st = SAL_OK;
    sal_picture map = {0};
    float *values = NULL;
    *out = NULL;
    TRY(sal_kept_picture(&map, run, name));
    if (map.channels != 1 || map.type == SAL_SAMPLE_U8) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s/%s: is no map", run->folder.path, name);
        goto done;
    }
    const size_t pixels = (size_t)map.height * (size_t)map.width;
    TRY(sal_alloc(&values, pixels, sizeof *values, "a map"));
    for (size_t i = 0; i < pixels; i++) {
        values[i] = map.type == SAL_SAMPLE_F32 ? ((const float *)map.samples)[i]
                                               : (float)((const uint16_t *)map.samples)[i] / 65535.0f;
        if (!isfinite(values[i])) {
            st = sal_fail(SAL_ERROR_FORMAT, "%s/%s: is NaN or infinite at pixel %zu", run->folder.path, name, i);
            goto done;
        }
    }
    *out = values;
    values = NULL;
    *height = map.height;
    *width = map.width;
done:
    sal_picture_clear(&map);
    sal_free(values);
    return st;
}
