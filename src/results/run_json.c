#include "results/run_json.h"
#include "results/settings_lines.h"

#include "base/memory.h"
#include "base/text.h"
#include "results/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

sal_status sal_run_fingerprint(char sha256[SAL_DIGEST_SIZE], const char *model_sha256, const char *manifest_sha256,
                               const char *settings)
{
    sal_status st = SAL_OK;
    sal_digest *digest = NULL;
    TRY(sal_digest_open(&digest));
    TRY(sal_digest_add(digest, model_sha256, strlen(model_sha256)));
    TRY(sal_digest_add(digest, manifest_sha256, strlen(manifest_sha256)));
    TRY(sal_digest_add(digest, settings, strlen(settings)));
    TRY(sal_digest_finish(sha256, digest));
done:
    sal_digest_close(digest);
    return st;
}

/* ---- Reading --------------------------------------------------------------- */

/* "name value" lines again. *out: NULL where it is no object of texts. */
static sal_status read_settings(char **out, const json_t *settings)
{
    sal_text text;
    const char *name;
    json_t *value;
    int texts = json_is_object(settings);
    *out = NULL;
    sal_status st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    json_object_foreach((json_t *)(uintptr_t)settings, name, value)
    {
        texts = texts && json_is_string(value);
        fprintf(text.stream, "%s %s\n", name, json_is_string(value) ? json_string_value(value) : "");
    }
    st = sal_text_close(out, NULL, &text, SAL_OK, "settings");
    if (!texts) {
        free(*out);
        *out = NULL;
    }
    return st;
}

static sal_status check_fingerprint(sal_run_description *out, const json_t *root)
{
    sal_status st = SAL_OK;
    const char *model = json_string_value(json_object_get(root, "model_sha256"));
    const char *manifest = json_string_value(json_object_get(root, "manifest_sha256"));
    const char *told = json_string_value(json_object_get(root, "fingerprint"));
    if (!model || !manifest || !told)
        return SAL_OK;
    TRY(read_settings(&out->settings, json_object_get(root, "settings")));
    if (!out->settings)
        goto done;
    TRY(sal_run_fingerprint(out->fingerprint, model, manifest, out->settings));
    if (strcmp(out->fingerprint, told) != 0)
        goto done;
    TRY(sal_strdup(&out->manifest_sha256, manifest));
    out->sign = SAL_RUN_SIGNED;
done:
    return st;
}

sal_status sal_run_description_read(sal_run_description *out, const sal_run_folder *folder)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    size_t size;
    json_t *root = NULL;
    *out = (sal_run_description){.sign = SAL_RUN_UNSIGNED};
    st = sal_run_file_read(&bytes, &size, folder, SAL_RUN_JSON, SAL_RUN_JSON_MOST, NULL);
    if (st == SAL_OK && !bytes)
        goto done;
    if (st == SAL_OK || st == SAL_ERROR_FORMAT || st == SAL_ERROR_LIMIT) /* empty, or too large for one */
        out->sign = SAL_RUN_FOREIGN;
    if (st != SAL_OK) {
        st = out->sign == SAL_RUN_FOREIGN ? SAL_OK : st;
        goto done;
    }
    errno = 0;
    root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    if (errno == ENOMEM) { /* what it had no memory for is missing, whether it says so or not */
        st = sal_fail_memory(size, SAL_RUN_JSON);
        goto done;
    }
    if (root)
        TRY(check_fingerprint(out, root));
done:
    if (st != SAL_OK)
        sal_run_description_clear(out);
    json_decref(root);
    sal_free(bytes);
    return st;
}

void sal_run_description_clear(sal_run_description *d)
{
    free(d->settings);
    free(d->manifest_sha256);
    memset(d, 0, sizeof *d);
}

/* ---- Writing --------------------------------------------------------------- */

/* As a shell reads it back. */
static void print_quoted(FILE *to, const char *text)
{
    if (text[0] &&
        strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./") == strlen(text)) {
        fputs(text, to);
        return;
    }
    fputc('\'', to);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", to);
        else
            fputc(*text, to);
    fputc('\'', to);
}

static sal_status put_setting(void *context, const char *name, const char *value)
{
    sal_json_text(context, name, value);
    return SAL_OK;
}

/* Options without a value, which are "yes" or "no". */
static int is_flag(const char *name)
{
    return strcmp(name, "exact") == 0 || strcmp(name, "raw-map") == 0 || strcmp(name, "strict") == 0;
}

static sal_status put_option(void *context, const char *name, const char *value)
{
    FILE *to = context;
    if (sal_settings_is_no_option(name) || (is_flag(name) && strcmp(value, "no") == 0))
        return SAL_OK;
    fprintf(to, " --%s", name);
    if (!is_flag(name)) {
        fputc(' ', to);
        print_quoted(to, value);
    }
    return SAL_OK;
}

/* The network and the pictures. Behind "--" names may begin with a dash. */
static void print_operands(FILE *to, const char *model, const char *const *inputs, size_t input_count)
{
    fputc(' ', to);
    print_quoted(to, model);
    for (size_t i = 0; i < input_count; i++) {
        fputc(' ', to);
        print_quoted(to, inputs[i]);
    }
}

/* The command that makes the run again, in a folder of its own. */
static sal_status make_command(char **out, const sal_run *run, const sal_dataset *dataset, const char *const *inputs,
                               size_t input_count)
{
    sal_text text;
    *out = NULL;
    sal_status st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    FILE *to = text.stream;
    int dashed = run->model[0] == '-';
    for (size_t i = 0; i < input_count; i++)
        dashed |= inputs[i][0] == '-';
    fputs("salmap sweep", to);
    if (!dashed)
        print_operands(to, run->model, inputs, input_count);
    if (dataset->manifest) {
        fputs(" --root ", to);
        print_quoted(to, dataset->root[0] ? dataset->root : ".");
    }
    fputs(" -o AGAIN", to);
    if (run->classes)
        st = put_option(to, "classes", run->classes);
    if (st == SAL_OK)
        st = sal_dataset_options_each(dataset, put_option, to);
    /* How pictures become input begins without the sidecar, which may say what this run left at its default. */
    if (strstr(run->settings, "\nscale "))
        fputs(" --preset raw", to);
    if (st == SAL_OK)
        st = sal_settings_each(run->settings, put_option, to);
    /* No longer the default. */
    if (strstr(run->settings, "\noverlay-format ") && !strstr(run->settings, "\noverlay-size "))
        fprintf(to, " --overlay-size %s", sal_settings_unsaid("overlay-size"));
    if (strstr(run->settings, "\ncolormap ") && !strstr(run->settings, "\nblend "))
        fprintf(to, " --blend %s", sal_settings_unsaid("blend"));
    if (dashed) {
        fputs(" --", to);
        print_operands(to, run->model, inputs, input_count);
    }
    return sal_text_close(out, NULL, &text, st, "a command");
}

static sal_status print_setting(void *context, const char *name, const char *value)
{
    fprintf(context, "%s %s\n", name, value);
    return SAL_OK;
}

/* A run that its own file would not tell is never begun. */
static sal_status check_settings(const char *settings)
{
    char *again = NULL;
    sal_text text;
    sal_status st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    st = sal_settings_each(settings, print_setting, text.stream);
    st = sal_text_close(&again, NULL, &text, st, "settings");
    if (st == SAL_OK && (strcmp(again, settings) != 0 || !sal_json_is_utf8(settings)))
        st = sal_fail(SAL_ERROR_ARGUMENT,
                      "the name of an output, a layer or a baseline is no line of UTF-8, and " SAL_RUN_JSON
                      " cannot hold it");
    free(again);
    return st;
}

/* What sheets and figures want to know of the model and the list, and no result depends on. */
static void print_unsigned(sal_json *j, const sal_run *run, const sal_dataset *dataset)
{
    const char separator[2] = {dataset->separator};
    if (run->outputs > 0)
        sal_json_count(j, SAL_RUN_OUTPUTS, (size_t)run->outputs);
    if (dataset->label_column >= 0 && dataset->separator != ',')
        sal_json_text(j, SAL_RUN_SEPARATOR, separator);
}

sal_status sal_run_description_write(int *made, const sal_run_folder *folder, const sal_run *run,
                                     const sal_dataset *dataset, const char *const *inputs, size_t input_count)
{
    sal_status st = SAL_OK;
    sal_file_out file = {0};
    char *command = NULL, mark[SAL_DIGEST_SIZE];
    TRY(check_settings(run->settings));
    TRY(sal_run_fingerprint(mark, run->model_sha256, run->manifest_sha256, run->settings));
    TRY(make_command(&command, run, dataset, inputs, input_count));
    TRY((made ? sal_run_file_create_new : sal_run_file_create)(&file, folder, SAL_RUN_JSON));
    sal_json j = {.stream = file.stream, .lines = 1};
    sal_json_begin(&j, NULL, '{');
    sal_json_text(&j, "salmap", sal_version());
    sal_json_text(&j, "model", run->model);
    sal_json_text(&j, "model_sha256", run->model_sha256);
    sal_json_begin(&j, "inputs", '[');
    for (size_t i = 0; i < input_count; i++)
        sal_json_text(&j, NULL, inputs[i]);
    sal_json_end(&j, ']');
    sal_json_text(&j, "root", dataset->root);
    sal_json_text(&j, "manifest", SAL_RUN_MANIFEST);
    sal_json_text(&j, "manifest_sha256", run->manifest_sha256);
    sal_json_count(&j, "pictures", dataset->count);
    sal_json_begin(&j, "settings", '{');
    TRY(sal_settings_each(run->settings, put_setting, &j));
    sal_json_end(&j, '}');
    if (run->preprocess_origin)
        sal_json_text(&j, "preprocess_origin", run->preprocess_origin);
    print_unsigned(&j, run, dataset);
    sal_json_text(&j, "fingerprint", mark);
    sal_json_text(&j, "again", command);
    sal_json_end(&j, '}');
    fputc('\n', file.stream);
    if (ftello(file.stream) > (off_t)SAL_RUN_JSON_MOST) {
        st = sal_fail(SAL_ERROR_LIMIT,
                      "%s/" SAL_RUN_JSON ": the names of all inputs are more than its %d MiB: give a folder or a list",
                      folder->path, (int)(SAL_RUN_JSON_MOST >> 20));
        goto done;
    }
    st = made ? sal_file_commit_new(made, &file) : sal_file_commit(&file);
done:
    sal_file_discard(&file);
    free(command);
    return st;
}
