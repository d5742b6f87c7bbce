/* The sidecar file of a model, which keeps its preprocessing, and the same lines in the settings of a run. */
#include "image/preprocess.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/text.h"
#include "base/words.h"
#include "image/fit.h"
#include "image/resize.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sal_status sidecar_path(char **out, const char *model_path)
{
    static const char suffix[] = ".salmap";
    size_t size = strlen(model_path) + sizeof suffix;
    *out = malloc(size);
    if (!*out)
        return sal_fail_memory(size, "a file name");
    snprintf(*out, size, "%s%s", model_path, suffix);
    return SAL_OK;
}

/* "key value", blanks around both; empty lines and those that start with # are skipped. */
static sal_status read_line(sal_preprocess *p, char *line)
{
    static const char blanks[] = " \t\r";
    char *key = line + strspn(line, blanks);
    if (*key == '\0' || *key == '#')
        return SAL_OK;
    char *value = key + strcspn(key, blanks);
    if (*value)
        *value++ = '\0';
    value += strspn(value, blanks);
    size_t length = strlen(value);
    while (length && strchr(blanks, value[length - 1]))
        value[--length] = '\0';
    return sal_preprocess_set(p, key, value);
}

static sal_status read_lines(sal_preprocess *p, char *text, const char *path)
{
    int number = 1;
    for (char *line = text; line; number++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (read_line(p, line) != SAL_OK)
            return sal_fail_in(SAL_ERROR_FORMAT, "%s line %d", path, number);
        line = next;
    }
    return SAL_OK;
}

sal_status sal_preprocess_load(sal_preprocess *out, int *found, const char *model_path)
{
    enum { MAX_BYTES = 1 << 16 };
    sal_status st = SAL_OK;
    char *path = NULL;
    unsigned char *bytes = NULL;
    char *text = NULL;
    size_t size;
    sal_preprocess p = {.scale = 1.0F}; /* what a file without such a line means */
    TRY(sal_require(out, "out", __func__));
    TRY(sal_require(found, "found", __func__));
    TRY(sal_require(model_path, "model_path", __func__));
    memset(out, 0, sizeof *out);
    *found = 0;
    TRY(sidecar_path(&path, model_path));
    if (access(path, F_OK) != 0 && errno == ENOENT)
        goto done;
    TRY(sal_file_read(&bytes, &size, path, MAX_BYTES));
    TRY(sal_alloc(&text, size + 1, 1, path));
    memcpy(text, bytes, size);
    if (strlen(text) != size) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is not a text file", path);
        goto done;
    }
    TRY(read_lines(&p, text + (strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0), path)); /* as Notepad begins files */
    *out = p;
    *found = 1;
done:
    sal_free(text);
    sal_free(bytes);
    free(path);
    return st;
}

/* Nine digits give every float back as it was. */
static void write_list(FILE *to, const char *key, const float *list, int count)
{
    fprintf(to, "%s ", key);
    for (int i = 0; i < count; i++)
        fprintf(to, i ? ",%.9g" : "%.9g", (double)list[i]);
    fputc('\n', to);
}

static void print_word(FILE *to, const char *key, const char *words, int value)
{
    char word[SAL_WORD_SIZE];
    const char *found = sal_word_of(word, words, value);
    fprintf(to, "%s %s\n", key, found ? found : "?");
}

/* What is as it was before there was a choice has no line: files of that time mean the same. */
static void print_resizing(FILE *to, const sal_preprocess *p)
{
    if (p->resample)
        print_word(to, "resample", SAL_WORDS_RESAMPLE, (int)p->resample);
    if (p->antialias)
        print_word(to, "antialias", SAL_WORDS_ANTIALIAS, (int)p->antialias);
    if (p->rounding)
        print_word(to, "round", SAL_WORDS_ROUND, (int)p->rounding);
    if (p->grid)
        print_word(to, "grid", SAL_WORDS_GRID, (int)p->grid);
    if (p->crop_share != 0.0F)
        fprintf(to, "crop-share %.9g\n", (double)p->crop_share);
    if (p->crop_round)
        print_word(to, "crop-round", SAL_WORDS_CROP_ROUND, (int)p->crop_round);
}

/* What the samples of a file are, as far as it is not the default. */
static void print_samples(FILE *to, const sal_preprocess *p)
{
    static const char *const over[] = {NULL, "white", "black", NULL, "drop"};
    static const char *const depths[] = {NULL, "auto", "unit", "pillow", "pillow-noted"};
    if (p->alpha == SAL_ALPHA_COLOUR)
        fprintf(to, "alpha-over #%02x%02x%02x\n", (unsigned)(p->alpha_colour[0] + 0.5F),
                (unsigned)(p->alpha_colour[1] + 0.5F), (unsigned)(p->alpha_colour[2] + 0.5F));
    else if ((unsigned)p->alpha <= SAL_ALPHA_DROP && over[p->alpha])
        fprintf(to, "alpha-over %s\n", over[p->alpha]);
    if (p->exif != SAL_EXIF_AUTO)
        print_word(to, "exif", SAL_WORDS_EXIF, (int)p->exif);
    if (p->jpeg_dct)
        print_word(to, "jpeg-dct", SAL_WORDS_JPEG_DCT, (int)p->jpeg_dct);
    if (p->pages == SAL_PAGES_NUMBER && p->page > 0)
        fprintf(to, "pages %lld\n", (long long)p->page + 1);
    else if (p->pages != SAL_PAGES_AUTO)
        fprintf(to, "pages %s\n",
                p->pages == SAL_PAGES_NUMBER     ? "first"
                : p->pages == SAL_PAGES_CHANNELS ? "channels"
                                                 : "max");
    if (p->depth > 0)
        fprintf(to, "depth %d\n", (int)p->depth);
    else if (p->depth >= SAL_DEPTH_PILLOW_NOTED && p->depth < 0)
        fprintf(to, "depth %s\n", depths[-p->depth]);
}

void sal_preprocess_print(FILE *to, const sal_preprocess *p)
{
    print_word(to, "fit", SAL_WORDS_FIT, (int)p->fit);
    print_word(to, "order", SAL_WORDS_ORDER, (int)p->order);
    fprintf(to, "crop-resize %lld\n", (long long)p->crop_resize);
    fprintf(to, "fill %.9g\n", (double)p->fill);
    fprintf(to, "scale %.9g\n", (double)p->scale);
    if (p->value_count) {
        write_list(to, "mean", p->mean, p->value_count);
        write_list(to, "std", p->std, p->value_count);
    }
    print_resizing(to, p);
    print_samples(to, p);
}

/* What cannot be read back is not written. */
static sal_status check_writable(const sal_preprocess *p)
{
    int ok = (unsigned)p->fit <= SAL_FIT_STRETCH_CROP && (unsigned)p->order <= SAL_ORDER_ASIS && p->fill >= 0.0F &&
             p->fill <= 255.0F && isfinite(p->scale) && p->scale != 0.0F && p->value_count >= 0 &&
             p->value_count <= SAL_MAX_CHANNELS;
    for (int i = 0; ok && i < p->value_count; i++)
        ok = isfinite(p->mean[i]) && isfinite(p->std[i]) && p->std[i] > 0.0F;
    if (sal_crop_check(p) != SAL_OK || sal_resize_check(p) != SAL_OK)
        return SAL_ERROR_ARGUMENT;
    return ok ? sal_preprocess_check_samples(p)
              : sal_fail(SAL_ERROR_ARGUMENT, "the preprocessing options are out of range");
}

sal_status sal_preprocess_save(const char *model_path, const sal_preprocess *p)
{
    sal_status st = SAL_OK;
    char *path = NULL;
    sal_file_out file = {0};
    sal_plain_locale plain = {0};
    TRY(sal_require(model_path, "model_path", __func__));
    TRY(sal_require(p, "p", __func__));
    TRY(check_writable(p));
    TRY(sidecar_path(&path, model_path));
    TRY(sal_file_create(&file, path));
    TRY(sal_plain_locale_enter(&plain));
    fprintf(file.stream, "# How salmap prepares pictures for the model beside this file.\n");
    sal_preprocess_print(file.stream, p);
    sal_plain_locale_leave(&plain);
    st = sal_file_commit(&file);
done:
    sal_file_discard(&file);
    free(path);
    return st;
}

sal_status sal_preprocess_describe(char *text, size_t size, const sal_preprocess *p)
{
    sal_status st = SAL_OK;
    sal_plain_locale plain = {0};
    sal_text lines;
    char *all = NULL;
    TRY(sal_require(text, "text", __func__));
    TRY(sal_require(p, "p", __func__));
    if (size == 0)
        return sal_fail(SAL_ERROR_ARGUMENT, "%s: there is no room for a text", __func__);
    text[0] = '\0';
    TRY(sal_text_open(&lines));
    st = sal_plain_locale_enter(&plain);
    if (st == SAL_OK) {
        sal_preprocess_print(lines.stream, p);
        sal_plain_locale_leave(&plain);
    }
    TRY(sal_text_close(&all, NULL, &lines, st, "preprocessing"));
    size_t used = 0;
    for (char *line = all, *end; (end = strchr(line, '\n')) != NULL && used < size; line = end + 1)
        used += (size_t)snprintf(text + used, size - used, "%s%.*s", used ? ", " : "", (int)(end - line), line);
done:
    free(all);
    return st;
}
