/* What a contact sheet is sorted by: a column of the results, or "error", how far the prediction is from the label. */
#include "report/sheet.h"

#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/utf8.h"
#include "dataset/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "top2", "top2_score", "top2_probability", where the run has so many; NULL: it is none of these. */
static const json_t *find_prediction(const json_t *picture, const char *column)
{
    static const struct {
        const char *suffix;
        const char *key;
    } all[] = {{"", "output"}, {"_score", "score"}, {"_probability", "probability"}};
    const json_t *predictions = json_object_get(picture, "predictions");
    char name[64];
    for (size_t i = 0; i < json_array_size(predictions); i++)
        for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
            snprintf(name, sizeof name, "top%zu%s", i + 1, all[k].suffix);
            if (strcmp(column, name) == 0)
                return json_object_get(json_array_get(predictions, i), all[k].key);
        }
    return NULL;
}

/* A column of results.csv: of the map, of the picture, or of the manifest, which has "manifest_" before names of ours.
 */
static const json_t *find(const json_t *picture, const json_t *map, const char *column)
{
    static const char prefix[] = "manifest_";
    const json_t *manifest = json_object_get(picture, "manifest"), *prediction = find_prediction(picture, column);
    const json_t *of_map = json_object_get(map, column), *of_picture = json_object_get(picture, column);
    if (of_map)
        return of_map;
    if (of_picture && !json_is_object(of_picture) && !json_is_array(of_picture))
        return of_picture;
    if (prediction)
        return prediction;
    if (strncmp(column, prefix, strlen(prefix)) == 0 && !json_object_get(manifest, column))
        column += strlen(prefix);
    return json_object_get(manifest, column);
}

static int is_error(const char *column)
{
    return strcmp(column, "error") == 0;
}

/* How far the prediction is from the label: of a regression in its unit, else 1 where it is wrong. */
static int error_of(double *out, const sheet *s, const json_t *picture)
{
    const char *label =
        s->label ? json_string_value(json_object_get(json_object_get(picture, "manifest"), s->label)) : NULL;
    const json_t *score = json_object_get(picture, "predicted_score"), *correct = json_object_get(picture, "correct");
    const int in_unit = sal_kept_is_value(s->run, picture) && !s->run->classes;
    double number;
    if (in_unit && json_is_number(score) && sal_label_read(&number, label, s->run->separator) == SAL_LABEL_NUMBER)
        *out = fabs(json_number_value(score) - number);
    else if (json_is_integer(correct))
        *out = json_integer_value(correct) ? 0 : 1;
    else
        return 0;
    return 1;
}

/* Labels are read as the sweep read them. */
static sheet_kind kind_of(double *number, const char *text, int is_label, char separator)
{
    static const sheet_kind of_labels[] = {
        [SAL_LABEL_EMPTY] = SHEET_NOTHING, [SAL_LABEL_NUMBER] = SHEET_NUMBER, [SAL_LABEL_WORD] = SHEET_WORD};
    if (is_label)
        return of_labels[sal_label_read(number, text, separator)];
    return !*text ? SHEET_NOTHING : sal_plain_number(number, text) ? SHEET_NUMBER : SHEET_WORD;
}

sal_status sheet_key_make(sheet_key *out, const sheet *s, const json_t *picture, const json_t *map)
{
    const char *column = s->options->sort;
    *out = (sheet_key){.kind = SHEET_NOTHING};
    if (!column)
        return SAL_OK;
    if (is_error(column)) {
        out->kind = error_of(&out->number, s, picture) ? SHEET_NUMBER : SHEET_NOTHING;
        return SAL_OK;
    }
    const json_t *value = find(picture, map, column);
    const int is_label = s->label && value && value == json_object_get(json_object_get(picture, "manifest"), s->label);
    const char *text = json_string_value(value);
    out->kind = SHEET_NUMBER;
    if (json_is_number(value))
        out->number = json_number_value(value);
    else if (text)
        out->kind = kind_of(&out->number, text, is_label, s->run->separator);
    else
        out->kind = SHEET_NOTHING;
    return out->kind == SHEET_WORD ? sal_strdup(&out->word, text) : SAL_OK;
}

/* Below 0: a comes before b. reverse turns what is of one kind. */
static int compare_keys(const sheet_key *a, const sheet_key *b, int reverse)
{
    int order = 0;
    if (a->kind != b->kind)
        return (int)a->kind - (int)b->kind;
    if (a->kind == SHEET_NUMBER)
        order = (a->number < b->number) - (a->number > b->number);
    else if (a->kind == SHEET_WORD)
        order = strcmp(a->word, b->word);
    return reverse ? -order : order;
}

/* Equal ones stay in the order of the list. */
static int compare_cells(const sheet_cell *a, const sheet_cell *b, int reverse)
{
    const int order = compare_keys(&a->key, &b->key, reverse);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

static int compare(const void *left, const void *right)
{
    return compare_cells(left, right, 0);
}

static int compare_reverse(const void *left, const void *right)
{
    return compare_cells(left, right, 1);
}

void sheet_sort(sheet *s)
{
    if (s->options->sort && s->count)
        qsort(s->cells, s->count, sizeof *s->cells, s->options->reverse ? compare_reverse : compare);
}

void sheet_key_print(char *text, size_t size, const sheet *s, const sheet_key *key)
{
    const char *column = s->options->sort;
    text[0] = '\0';
    if (key->kind == SHEET_NUMBER)
        snprintf(text, size, "%s %.4g", column, key->number);
    else if (key->kind == SHEET_WORD)
        snprintf(text, size, "%s %s", column, key->word);
    sal_utf8_trim(text);
}
