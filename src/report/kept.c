#include "report/kept.h"
#include "results/settings_lines.h"

#include "base/memory.h"
#include "image/image.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_status copy_text(char **out, const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    return text ? sal_strdup(out, text) : SAL_OK;
}

static sal_status parse(json_t **out, const void *bytes, size_t size, size_t flags, const char *folder,
                        const char *what)
{
    errno = 0;
    *out = json_loadb(bytes, size, flags, NULL);
    /* What it had no memory for is missing, whether it says so or not. */
    if (errno == ENOMEM)
        return sal_fail_memory(size, what);
    return *out ? SAL_OK : sal_fail(SAL_ERROR_FORMAT, "%s: %s cannot be read", folder, what);
}

/* Fields that nothing vouches for: what is no such number or text counts as not there. */
static void read_unsigned(sal_kept_run *run, const json_t *root)
{
    const json_t *outputs = json_object_get(root, SAL_RUN_OUTPUTS);
    const char *separator = json_string_value(json_object_get(root, SAL_RUN_SEPARATOR));
    if (json_is_integer(outputs) && json_integer_value(outputs) > 0)
        run->outputs = (int64_t)json_integer_value(outputs);
    if (separator)
        run->separator = separator[0];
}

/* What run.json tells beside its facts. */
static sal_status read_names(sal_kept_run *run)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t size;
    json_t *root = NULL;
    TRY(sal_run_file_read(&bytes, &size, &run->folder, SAL_RUN_JSON, SAL_RUN_JSON_MOST, NULL));
    if (!bytes)
        goto done;
    TRY(parse(&root, bytes, size, 0, run->folder.path, SAL_RUN_JSON));
    read_unsigned(run, root);
    TRY(copy_text(&run->model, root, "model"));
    TRY(copy_text(&run->origin, root, "preprocess_origin"));
    st = copy_text(&run->root, root, "root");
done:
    json_decref(root);
    sal_free(bytes);
    return st;
}

static sal_status has_setting(int *has, const sal_kept_run *run, const char *name)
{
    char *value = NULL;
    const sal_status st = sal_kept_setting(&value, run, name);
    *has = value != NULL;
    free(value);
    return st;
}

/* How many outputs the settings say that the model has, where run.json does not. */
static sal_status count_outputs(sal_kept_run *run)
{
    static const char *const of_one[] = {SAL_SETTINGS_LABEL_NAMES, "coral", "at"};
    sal_status st = SAL_OK;
    char *names = NULL;
    json_t *list = NULL;
    int has = 0;
    TRY(sal_kept_setting(&names, run, SAL_SETTINGS_CLASS_NAMES));
    run->classes = names != NULL;
    if (run->outputs > 0)
        goto done;
    for (size_t i = 0; i < sizeof of_one / sizeof *of_one && !has; i++)
        TRY(has_setting(&has, run, of_one[i]));
    run->outputs = has;
    if (names) {
        TRY(parse(&list, names, strlen(names), JSON_DECODE_ANY, run->folder.path,
                  "the names of classes in " SAL_RUN_JSON));
        run->outputs = (int64_t)json_array_size(list);
    }
done:
    json_decref(list);
    free(names);
    return st;
}

static sal_status read_asked(sal_kept_run *run)
{
    sal_status st = SAL_OK;
    char *normalize = NULL, *target = NULL;
    TRY(sal_kept_setting(&normalize, run, "normalize"));
    TRY(sal_kept_setting(&target, run, "target"));
    const int how = normalize ? sal_word_value(SAL_WORDS_NORMALIZE, normalize) : SAL_NORMALIZE_MINMAX;
    if (how < 0)
        st = sal_kept_fail_setting(run, "normalize", normalize);
    else
        run->normalize = (sal_normalize)how;
    if (target && strcmp(target, "margin") == 0)
        run->asked = SAL_TARGET_MARGIN;
    else if (target && strcmp(target, "mean") == 0)
        run->asked = SAL_TARGET_MEAN;
done:
    free(normalize);
    free(target);
    return st;
}

sal_status sal_kept_open(sal_kept_run *out, const char *path)
{
    sal_status st = SAL_OK;
    *out = (sal_kept_run){.folder = {.fd = -1}};
    TRY(sal_run_folder_open(&out->folder, path));
    TRY(sal_run_facts_open(&out->facts, path));
    out->separator = ',';
    if (out->facts.description.sign == SAL_RUN_SIGNED)
        TRY(read_names(out));
    TRY(count_outputs(out));
    TRY(read_asked(out));
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

sal_status sal_kept_fail_setting(const sal_kept_run *run, const char *name, const char *value)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s/" SAL_RUN_JSON ": this version does not know the setting %s '%s'",
                    run->folder.path, name, value);
}

sal_status sal_kept_list_open(sal_dataset **out, const sal_kept_run *run, const char *root)
{
    sal_status st = SAL_OK;
    char sha256[SAL_DIGEST_SIZE];
    const char *start = root ? root : run->root;
    TRY(sal_run_list_open(out, sha256, &run->folder, start && !*start ? "." : start, run->facts.description.settings));
    if (*out && strcmp(sha256, run->facts.description.manifest_sha256) == 0)
        return SAL_OK;
    sal_dataset_close(*out);
    *out = NULL;
    st = sal_fail(SAL_ERROR_FORMAT, "%s/" SAL_RUN_MANIFEST ": was replaced while it was looked at: try again",
                  run->folder.path);
done:
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
    const char *folder;
    sal_status (*visit)(void *context, const json_t *picture);
    void *context;
} lines;

static sal_status visit_line(lines *l, const char *line, size_t size)
{
    sal_status st = SAL_OK;
    json_t *picture = NULL;
    TRY(parse(&picture, line, size, 0, l->folder, "a row of the results"));
    st = l->visit(l->context, picture);
done:
    json_decref(picture);
    return st;
}

static int take(void *context, const char *bytes, size_t size)
{
    lines *l = context;
    size_t begin = 0, fresh = l->used; /* what was there before holds no end of a line */
    sal_status st = sal_grow(&l->text, &l->room, l->used + size, 1, "results");
    if (st == SAL_OK) {
        memcpy(l->text + l->used, bytes, size);
        l->used += size;
    }
    for (const char *end; st == SAL_OK && (end = memchr(l->text + fresh, '\n', l->used - fresh));) {
        st = visit_line(l, l->text + begin, (size_t)(end - l->text) - begin);
        begin = fresh = (size_t)(end - l->text) + 1;
    }
    if (begin > 0)
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
    lines l = {.folder = run->folder.path, .visit = visit, .context = context};
    const sal_status st = sal_sweep_export(run->folder.path, NULL, take, &l, &json);
    free(l.text);
    return l.st != SAL_OK ? sal_fail(l.st, "%s", l.error) : st;
}

/* Of several outputs, a prediction is correct where its output is the label: a row that says otherwise is of one. */
static sal_status look_at_outputs(void *context, const json_t *picture)
{
    sal_kept_run *run = context;
    const sal_dataset *list = run->facts.list;
    const char *column = list && list->label_column >= 0 ? list->columns[list->label_column] : NULL;
    const char *label =
        column ? json_string_value(json_object_get(json_object_get(picture, "manifest"), column)) : NULL;
    const json_t *predicted = json_object_get(picture, "predicted"), *correct = json_object_get(picture, "correct");
    double number;
    if (json_is_integer(predicted) && json_is_integer(correct) &&
        sal_label_read(&number, label, run->separator) == SAL_LABEL_NUMBER &&
        (json_integer_value(correct) != 0) != (number == (double)json_integer_value(predicted)))
        run->outputs = 1;
    return SAL_OK;
}

sal_status sal_kept_count_outputs(sal_kept_run *run)
{
    return run->outputs > 0 ? SAL_OK : sal_kept_each(run, look_at_outputs, run);
}

int sal_kept_is_value(const sal_kept_run *run, const json_t *picture)
{
    return run->outputs == 1 && !json_is_number(json_object_get(picture, "predicted_probability"));
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

typedef struct allowance {
    uint64_t bytes;
    const char *folder;
    const char *name;
} allowance;

static sal_status judge_size(void *context, const unsigned char *head, size_t head_size, uint64_t file_size)
{
    const allowance *a = context;
    (void)head;
    (void)head_size;
    return file_size <= a->bytes
               ? SAL_OK
               : sal_fail(SAL_ERROR_LIMIT,
                          "%s/%s: has %llu bytes, more than the %llu bytes of memory for a picture: --max-memory sets "
                          "it",
                          a->folder, a->name, (unsigned long long)file_size, (unsigned long long)a->bytes);
}

sal_status sal_kept_picture(sal_picture *out, const sal_kept_run *run, const char *name, const sal_limits *limits)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t size;
    allowance most = {limits->max_memory ? limits->max_memory : sal_picture_default_memory(), run->folder.path, name};
    const sal_file_judge judge = {judge_size, &most};
    memset(out, 0, sizeof *out);
    TRY(sal_run_file_read(&bytes, &size, &run->folder, name, SIZE_MAX, &judge));
    if (!bytes) {
        st = sal_fail(SAL_ERROR_IO, "%s/%s: is missing", run->folder.path, name);
        goto done;
    }
    st = is_npz(name) ? sal_npz_decode(out, bytes, size, "map", name, limits)
                      : sal_picture_decode(out, bytes, size, limits);
    if (st != SAL_OK)
        st = is_npz(name) ? sal_fail_in(st, "%s", run->folder.path) : sal_fail_in(st, "%s/%s", run->folder.path, name);
done:
    sal_free(bytes);
    return st;
}

sal_status sal_kept_map(float **out, int64_t *height, int64_t *width, const sal_kept_run *run, const char *name,
                        const sal_limits *limits)
{
    sal_status st = SAL_OK;
    sal_picture map = {0};
    float *values = NULL;
    *out = NULL;
    TRY(sal_kept_picture(&map, run, name, limits));
    if (map.channels != 1 || map.type == SAL_SAMPLE_U8) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s/%s: is not a map", run->folder.path, name);
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
