/* What the labels of a data set are to a network: outputs by their number or by their name, or values. */
#include "sweep/sweep.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The output that a label names, as the class is called; -1: none. */
static int64_t find_class(const sal_labels *l, size_t row)
{
    const char *label = sal_dataset_label(l->dataset, row);
    size_t length;
    if (!label || !l->classes)
        return -1;
    const char *begin = sal_label_trim(&length, label);
    char *name = strndup(begin, length);
    const int64_t output = sal_classes_find(l->classes, name); /* NULL has none */
    free(name);
    return output;
}

static int is_output(const sal_labels *l, double number)
{
    if (l->outputs == 1 && !l->yes_or_no)
        return 1;
    return number >= 0.0 && number < (double)(l->yes_or_no ? 2 : l->outputs) && number == floor(number);
}

sal_label_meaning sal_sweep_label(double *value, const sal_labels *l, size_t row)
{
    if (l->by_name) {
        const int64_t output = find_class(l, row);
        *value = (double)output;
        if (output >= 0)
            return SAL_LABEL_GOOD;
        return sal_dataset_read_label(value, l->dataset, row) == SAL_LABEL_EMPTY ? SAL_LABEL_MISSING
                                                                                 : SAL_LABEL_UNKNOWN;
    }
    switch (sal_dataset_read_label(value, l->dataset, row)) {
    case SAL_LABEL_EMPTY: return SAL_LABEL_MISSING;
    case SAL_LABEL_NUMBER: return is_output(l, *value) ? SAL_LABEL_GOOD : SAL_LABEL_OUTSIDE;
    default: return SAL_LABEL_UNKNOWN;
    }
}

int64_t sal_sweep_output_of(const sal_sweep_state *s, size_t row)
{
    double number;
    return sal_sweep_label(&number, &s->labels, row) == SAL_LABEL_GOOD ? (int64_t)number : -1;
}

/* ---- As names, or as numbers ------------------------------------------------- */

/* How many labels could be read in each of two ways. */
typedef struct readings {
    size_t labels;
    size_t names;
    size_t outputs;
    size_t ambiguous;    /* both, and another output by each */
    size_t names_only;   /* names that are no outputs, */
    size_t outputs_only; /* and outputs that are no names */
    size_t first;        /* row of the first that is ambiguous, */
    size_t first_word;   /* of the first that is no name, */
    size_t first_other;  /* and of the first that is no output */
} readings;

static readings count_readings(const sal_labels *l)
{
    readings r = {0};
    double number;
    for (size_t i = 0; i < l->dataset->count; i++) {
        const int64_t named = find_class(l, i);
        const sal_label_text kind = sal_dataset_read_label(&number, l->dataset, i);
        const int numbered = kind == SAL_LABEL_NUMBER && is_output(l, number);
        if (named < 0 && kind == SAL_LABEL_EMPTY)
            continue;
        if (named < 0 && r.names == r.labels)
            r.first_word = i;
        if (!numbered && r.outputs == r.labels)
            r.first_other = i;
        r.labels++;
        r.names += named >= 0;
        r.outputs += (size_t)numbered;
        r.names_only += named >= 0 && !numbered;
        r.outputs_only += named < 0 && numbered;
        if (named >= 0 && numbered && (double)named != number && r.ambiguous++ == 0)
            r.first = i;
    }
    return r;
}

/* Some are names, and neither way reads all. Where it makes no difference how those are read that can be, those that
 * cannot are told of and no more. */
static int is_mixed(const readings *r)
{
    return r->names < r->labels && r->outputs < r->labels &&
           (r->ambiguous > 0 || (r->names_only > 0 && r->outputs_only > 0));
}

static sal_status refuse_mixed(const sal_labels *l, const readings *r)
{
    const int by_name = r->names >= r->outputs;
    const size_t row = by_name ? r->first_word : r->first_other;
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "of %zu labels %zu are names of classes and %zu are numbers of outputs, and it must be all of one "
                    "kind: %s: its label '%.60s' is no %s: mend it, or say --label-as name or --label-as output",
                    r->labels, r->names, r->outputs, sal_dataset_path(l->dataset, row),
                    sal_dataset_label(l->dataset, row), by_name ? "name" : "number of an output");
}

static sal_status decide(sal_labels *l, sal_label_as as)
{
    if (!l->classes || as != SAL_LABEL_AS_AUTO) {
        l->by_name = l->classes && as == SAL_LABEL_AS_NAME;
        return SAL_OK;
    }
    if (l->dataset->labels_by_folder) {
        l->by_name = 1;
        return SAL_OK;
    }
    const readings r = count_readings(l);
    if (r.ambiguous > 0 && r.names == r.labels && r.outputs == r.labels)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: its label '%s' is the name of output %lld, and the number of another: say --label-as name "
                        "or --label-as output",
                        sal_dataset_path(l->dataset, r.first), sal_dataset_label(l->dataset, r.first),
                        (long long)find_class(l, r.first));
    if (is_mixed(&r))
        return refuse_mixed(l, &r);
    l->by_name = r.outputs < r.labels && (r.names > r.outputs || (r.outputs == 0 && l->asked));
    return SAL_OK;
}

/* ---- Counting and refusing ------------------------------------------------------ */

static void count(sal_label_counts *c, const sal_labels *l)
{
    double value;
    c->pictures = l->dataset->count;
    c->by_name = l->by_name;
    for (size_t i = 0; i < c->pictures; i++) {
        const char *path = sal_dataset_path(l->dataset, i), *label = sal_dataset_label(l->dataset, i);
        switch (sal_sweep_label(&value, l, i)) {
        case SAL_LABEL_GOOD: c->good++; break;
        case SAL_LABEL_MISSING: c->missing++; break;
        case SAL_LABEL_UNKNOWN:
            if (c->words++ == 0) {
                c->word = label;
                c->word_path = path;
            }
            break;
        case SAL_LABEL_OUTSIDE:
            if (c->outside++ == 0) {
                c->number = label;
                c->number_path = path;
            }
            break;
        }
    }
}

/* The first label that is the name of several outputs, and of which: 0, there is none. */
static int find_doubled(size_t *row, int64_t outputs[2], const sal_labels *l)
{
    double value;
    for (size_t i = 0; i < l->dataset->count; i++) {
        size_t length, found = 0;
        const char *label = sal_dataset_label(l->dataset, i);
        if (sal_sweep_label(&value, l, i) != SAL_LABEL_UNKNOWN)
            continue;
        label = sal_label_trim(&length, label);
        for (int64_t k = 0; k < (int64_t)sal_classes_count(l->classes) && found < 2; k++) {
            const char *name = sal_classes_name(l->classes, k);
            if (strlen(name) == length && memcmp(name, label, length) == 0)
                outputs[found++] = k;
        }
        *row = i;
        if (found == 2)
            return 1;
    }
    return 0;
}

/* Labels that are to be names and are none, each once as far as there is room. */
static sal_status refuse_unknown(const sal_labels *l, size_t words)
{
    enum { TOLD = 5 };
    char text[512] = "";
    const char *told[TOLD];
    size_t used = 0, number = 0, row;
    int64_t outputs[2];
    double value;
    if (find_doubled(&row, outputs, l))
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: its label '%.60s' is the name of several outputs, such as %lld and %lld: give each a name "
                        "of its own, or numbers as labels",
                        sal_dataset_path(l->dataset, row), sal_dataset_label(l->dataset, row), (long long)outputs[0],
                        (long long)outputs[1]);
    for (size_t i = 0; i < l->dataset->count && number < TOLD; i++) {
        const char *label = sal_dataset_label(l->dataset, i);
        size_t known = 0;
        if (sal_sweep_label(&value, l, i) != SAL_LABEL_UNKNOWN)
            continue;
        while (known < number && strcmp(told[known], label) != 0)
            known++;
        if (known < number)
            continue;
        told[number++] = label;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s'%.60s'", used ? ", " : "", label);
    }
    return sal_fail(
        SAL_ERROR_ARGUMENT,
        "%zu of %zu labels are names of no class: %s%s; classes are '%.60s' (output 0) to '%.60s' (output "
        "%zu)",
        words, l->dataset->count, text, number == TOLD ? " and perhaps others" : "", sal_classes_name(l->classes, 0),
        sal_classes_name(l->classes, (int64_t)sal_classes_count(l->classes) - 1), sal_classes_count(l->classes) - 1);
}

static sal_status refuse_target(const sal_sweep_state *s, const char *path, const char *label)
{
    const long long last = (long long)s->info.outputs - 1;
    const sal_labels *l = &s->labels;
    if (!l->by_name)
        return sal_fail(SAL_ERROR_ARGUMENT,
                        "%s: its label '%s' names no output: with target label, labels are numbers from 0 to %lld",
                        path, label, last);
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "%s: its label '%s' names no output: with target label, labels are names of classes, '%.60s' "
                    "(output 0) to '%.60s' (output %lld)",
                    path, label, sal_classes_name(l->classes, 0), sal_classes_name(l->classes, last), last);
}

/* Folders that are called by words have no numbers to compare. */
static sal_status check_folders(const sal_sweep_state *s, const sal_label_counts *c)
{
    if (!s->dataset->labels_by_folder || s->options.label_as != SAL_LABEL_AS_OUTPUT || c->good > 0 || c->words == 0)
        return SAL_OK;
    return sal_fail(SAL_ERROR_ARGUMENT,
                    "%s: its folder '%s' is no number, and no other is one of an output: with label-as output, folders "
                    "are called by numbers of outputs; leave it out to take their names",
                    c->word_path, c->word);
}

/* What `wrong` compares with must be a number, or nothing; what `label` explains must be an output. */
static sal_status check(const sal_sweep_state *s)
{
    double number;
    for (size_t i = 0; i < s->dataset->count; i++) {
        const char *path = sal_dataset_path(s->dataset, i), *label = sal_dataset_label(s->dataset, i);
        const sal_label_meaning meaning = sal_sweep_label(&number, &s->labels, i);
        if (s->how.explain.target.kind == SAL_TARGET_LABEL && s->info.outputs > 1 && meaning != SAL_LABEL_GOOD)
            return refuse_target(s, path, label);
        if (s->options.overlays == SAL_OVERLAYS_WRONG && meaning == SAL_LABEL_UNKNOWN)
            return sal_fail(SAL_ERROR_ARGUMENT,
                            "%s: its label '%s' is no number: with overlays wrong, labels are outputs or values", path,
                            label);
    }
    return SAL_OK;
}

static sal_status check_classes(const sal_labels *l)
{
    const size_t wanted = l->yes_or_no ? 2 : (size_t)l->outputs;
    const size_t count = sal_classes_count(l->classes);
    if (!l->classes || count == wanted)
        return SAL_OK;
    return sal_fail(
        SAL_ERROR_ARGUMENT, "there are names of %zu classes, '%.60s' to '%.60s', and the network has %lld output%s%s",
        count, sal_classes_name(l->classes, 0), sal_classes_name(l->classes, (int64_t)count - 1), (long long)l->outputs,
        l->outputs == 1 ? "" : "s", l->yes_or_no ? ", a yes or no, which has 2" : "");
}

int sal_sweep_asks_for_names(const sal_sweep_state *s)
{
    return s->options.classes_from || s->dataset->labels_by_folder || s->options.label_as == SAL_LABEL_AS_NAME;
}

sal_status sal_sweep_read_labels(sal_sweep_state *s)
{
    sal_status st = SAL_OK;
    sal_label_counts counts = {.size = sizeof counts};
    sal_labels *l = &s->labels;
    const sal_sweep_options *o = &s->options;
    *l = (sal_labels){.dataset = s->dataset,
                      .classes = o->classes,
                      .outputs = s->info.outputs,
                      .yes_or_no = s->info.outputs == 1 && s->info.detached,
                      .asked = sal_sweep_asks_for_names(s)};
    TRY(check_classes(l));
    if (s->dataset->label_column < 0)
        goto done;
    TRY(sal_dataset_check_points(s->dataset));
    TRY(decide(l, o->label_as));
    count(&counts, l);
    if (o->labels_read)
        o->labels_read(o->context, &counts);
    if (l->by_name && counts.words > 0)
        TRY(refuse_unknown(l, counts.words));
    TRY(check_folders(s, &counts));
    TRY(check(s));
done:
    return st;
}
