#include "cli/sweep_list.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell_left_out(const cli_command *self, const sweep_list *l, const sal_dataset *pictures)
{
    sal_dataset_info info = SAL_DATASET_INFO_INIT;
    if (l->include.count + l->exclude.count == 0 || sal_dataset_get_info(&info, pictures) != SAL_OK)
        return;
    if (info.left_out + info.folders_left_out == 0)
        cli_note(self, "--include and --exclude leave nothing out: all %zu pictures match", info.pictures);
    else
        cli_note(self, "--include and --exclude leave out %zu picture%s and %zu folder%s; %zu are left", info.left_out,
                 info.left_out == 1 ? "" : "s", info.folders_left_out, info.folders_left_out == 1 ? "" : "s",
                 info.pictures);
}

int sweep_list_open(sal_dataset **out, const sweep_list *l, const cli_command *self, const char *const *inputs,
                    size_t count, int is_quiet)
{
    const sal_dataset_options o = {.size = sizeof o,
                                   .root = l->root,
                                   .path_column = l->path_column,
                                   .label_column = l->label_column,
                                   .include = l->include.texts,
                                   .exclude = l->exclude.texts,
                                   .include_count = l->include.count,
                                   .exclude_count = l->exclude.count,
                                   .labels_from_folders = l->label_from,
                                   .lenient = self == &cli_explain_command};
    const sal_status st = sal_dataset_open(out, inputs, count, &o);
    if (st != SAL_OK)
        return cli_fail_status(self, st);
    if (!is_quiet)
        tell_left_out(self, l, *out);
    return CLI_OK;
}

/* ---- Classes ----------------------------------------------------------------- */

/* Whether all classes of one have their name in the other. */
static int are_among(const sal_classes *some, const sal_classes *all)
{
    for (size_t i = 0; i < sal_classes_count(some); i++)
        if (sal_classes_find(all, sal_classes_name(some, (int64_t)i)) < 0)
            return 0;
    return 1;
}

static int class_count(const sal_model_info *m)
{
    return m->outputs > 1 ? (int)m->outputs : m->detached ? 2 : 0;
}

/* Names of the model's file, if there are any, say which output each folder is; else its place does. */
static int take_folders(sal_classes **out, const cli_command *self, const sal_dataset *pictures,
                        const sal_model_info *m, int is_quiet)
{
    sal_classes *folders = NULL;
    char text[2048];
    if (class_count(m) == 0) /* a regression: folders are called as the values are */
        return CLI_OK;
    if (sal_classes_of_folders(&folders, pictures) != SAL_OK)
        return cli_fail_status(self, SAL_ERROR_ARGUMENT);
    if (*out && are_among(folders, *out)) {
        sal_classes_close(folders);
        if (!is_quiet)
            cli_note(self, "classes, as the model's file numbers them: %s", cli_classes_text(text, sizeof text, *out));
        return CLI_OK;
    }
    if (*out) {
        cli_fail(self, 0, "--label-from folder: the model's file has other names for its outputs than the folders: %s",
                 cli_classes_text(text, sizeof text, *out));
        sal_classes_close(folders);
        return CLI_USAGE;
    }
    *out = folders;
    if (sal_classes_count(folders) != (size_t)class_count(m))
        return cli_fail(
            self, CLI_USAGE,
            "--label-from folder: there are %zu folders (%s), and the network has %d classes: say which they "
            "are with --classes FILE, or leave some out with --exclude",
            sal_classes_count(folders), cli_classes_text(text, sizeof text, folders), class_count(m));
    if (!is_quiet)
        cli_note(self, "classes are the folders, sorted by their bytes as Keras and ImageFolder number them: %s",
                 cli_classes_text(text, sizeof text, folders));
    return CLI_OK;
}

static void suggest_folders(const sal_dataset *pictures, const sal_model_info *m)
{
    sal_dataset_info info = SAL_DATASET_INFO_INIT;
    if (class_count(m) == 0 || sal_dataset_get_info(&info, pictures) != SAL_OK || info.labelled ||
        info.folders != (size_t)class_count(m))
        return;
    cli_note(&cli_sweep_command,
             "there are as many sub-folders as the network has classes: --label-from folder takes them for labels");
}

/* Where names and folders are the same in another order: either may be the order of the training. */
static void compare_folders(const sweep_list *l, const sal_classes *names, const sal_dataset *pictures)
{
    sal_dataset_info info = SAL_DATASET_INFO_INIT;
    sal_classes *folders = NULL;
    const size_t count = sal_classes_count(names);
    size_t i = 0;
    if (sal_dataset_get_info(&info, pictures) != SAL_OK || info.folders != count ||
        sal_classes_of_folders(&folders, pictures) != SAL_OK)
        return;
    while (i < count && strcmp(sal_classes_name(names, (int64_t)i), sal_classes_name(folders, (int64_t)i)) == 0)
        i++;
    if (i < count && are_among(folders, names)) /* then at least two have another place */
        cli_note(&cli_sweep_command,
                 "%s numbers the classes otherwise than the folders sort (%s%.60s, %.60s%s), which is how Keras and "
                 "ImageFolder number them: is that meant?",
                 l->classes, i > 0 ? "..., " : "", sal_classes_name(folders, (int64_t)i),
                 sal_classes_name(folders, (int64_t)i + 1), i + 2 < count ? ", ..." : "");
    sal_classes_close(folders);
}

int sweep_list_classes(sal_classes **out, const sweep_list *l, const cli_command *self, const sal_dataset *pictures,
                       const sal_model *model, int is_quiet)
{
    sal_model_info info = SAL_MODEL_INFO_INIT;
    const int compares = self == &cli_sweep_command; /* explain does nothing with labels that it is not asked for */
    *out = NULL;
    int code = cli_classes_open(out, self, l->classes, model);
    if (code == CLI_OK && sal_model_get_info(&info, model) != SAL_OK)
        code = cli_fail_library(self);
    if (code == CLI_OK && l->label_from && !l->classes)
        code = take_folders(out, self, pictures, &info, is_quiet);
    else if (code == CLI_OK && compares && !is_quiet)
        suggest_folders(pictures, &info);
    if (code == CLI_OK && l->classes && compares && !is_quiet)
        compare_folders(l, *out, pictures);
    if (code != CLI_OK) {
        sal_classes_close(*out);
        *out = NULL;
    }
    return code;
}

/* ---- Labels ------------------------------------------------------------------- */

/* A line that grows until its room is full. */
typedef struct line {
    char *text;
    size_t size;
    size_t used;
    int parts;
} line;

__attribute__((format(printf, 2, 3))) static void add(line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(l->text + l->used, l->size - l->used, format, args);
    va_end(args);
    l->used += n > 0 ? (size_t)n : 0;
    l->used = l->used < l->size ? l->used : l->size - 1;
}

static void add_kind(line *l, size_t count, const char *what, const char *path, const char *label)
{
    if (count == 0)
        return;
    add(l, "%s%zu %s %s", l->parts++ ? ", " : "; ", count, count == 1 ? "is" : "are", what);
    if (path)
        add(l, " (%.200s: '%.60s')", path, label);
}

const char *sweep_list_labels(char *text, size_t size, const sal_label_counts *c)
{
    line l = {text, size, 0, 0};
    text[0] = '\0';
    add(&l, "%zu of %zu can be compared with predictions%s", c->good, c->pictures,
        c->by_name ? ", as names of classes" : "");
    add_kind(&l, c->missing, "missing", NULL, NULL);
    add_kind(&l, c->words, c->by_name ? "no class" : "no number", c->word_path, c->word);
    add_kind(&l, c->outside, "no output of the network", c->number_path, c->number);
    return text;
}

/* The smallest numbers among the labels, each once. */
enum { NUMBERS = 8 };
typedef struct numbers {
    double list[NUMBERS + 1];
    int count; /* one more than NUMBERS: there are more */
} numbers;

static void take_number(numbers *n, double value)
{
    int at = 0;
    while (at < n->count && n->list[at] < value)
        at++;
    if ((at < n->count && n->list[at] == value) || at > NUMBERS)
        return;
    n->count += n->count <= NUMBERS;
    for (int i = n->count - 1; i > at; i--)
        n->list[i] = n->list[i - 1];
    n->list[at] = value;
}

static numbers find_numbers(const sal_dataset *pictures)
{
    numbers n = {.count = 0};
    for (size_t i = 0; i < sal_dataset_count(pictures); i++) {
        const char *label = sal_dataset_label(pictures, i);
        char *end = NULL;
        const double value = label ? strtod(label, &end) : NAN;
        if (label && end != label && end[strspn(end, " \t")] == '\0' && isfinite(value))
            take_number(&n, value);
    }
    return n;
}

static int have_digits(const sal_classes *classes)
{
    for (size_t i = 0; i < sal_classes_count(classes); i++)
        if (strpbrk(sal_classes_name(classes, (int64_t)i), "0123456789"))
            return 1;
    return 0;
}

void sweep_list_advise(char *text, size_t size, const sal_label_counts *c, const sal_dataset *pictures,
                       const sal_classes *classes)
{
    line l = {text, size, strlen(text), 0};
    const numbers n = find_numbers(pictures);
    if (c->outside > 0 && n.count > 0 && (!classes || have_digits(classes))) {
        add(&l, "; a number is the number of an output: if ");
        for (int i = 0; i < n.count && i < NUMBERS; i++)
            add(&l, "%s%.6g", i ? ", " : "", n.list[i]);
        add(&l, "%s are names of classes, write them into --classes", n.count > NUMBERS ? ", ..." : "");
    }
    if (c->words > 0 && !classes)
        add(&l, "; names of classes need --classes FILE");
}
