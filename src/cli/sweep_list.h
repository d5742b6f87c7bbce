/* Which pictures `salmap sweep` and `explain` take, and what their labels and classes are called. */
#ifndef SAL_CLI_SWEEP_LIST_H
#define SAL_CLI_SWEEP_LIST_H

#include "cli/classes.h"

/* The settings of both hold this as `list`. */
typedef struct sweep_list {
    const char *root;
    const char *path_column;
    const char *label_column;
    int label_from; /* 1: folders */
    int label_as;
    const char *classes;
    cli_list include;
    cli_list exclude;
} sweep_list;

/* Rows of the option table. */
#define SWEEP_LIST_OPTIONS                                                                                             \
    CLI_HEAD("Pictures and labels"),                                                                                   \
        CLI_OPTION(CLI_TEXT, 0, "root", "DIR", list.root,                                                              \
                   "where a manifest's paths start from (default: its folder)"),                                       \
        CLI_OPTION(CLI_TEXT, 0, "path-column", "NAME", list.path_column,                                               \
                   "a manifest's column of paths (default: path)"),                                                    \
        CLI_OPTION(CLI_TEXT, 0, "label-column", "NAME", list.label_column,                                             \
                   "a manifest's column of labels (default: label)"),                                                  \
        CLI_OPTION(CLI_CHOICE, 0, "label-from", "column|folder", list.label_from,                                      \
                   "folder: a picture's label is the sub-folder that it lies in"),                                     \
        CLI_OPTION(CLI_TEXT, 0, "classes", "FILE", list.classes,                                                       \
                   "names of the outputs: one a line, or JSON (default: those in the model's file)"),                  \
        CLI_OPTION(CLI_CHOICE, 0, "label-as", SAL_WORDS_LABEL_AS, list.label_as,                                       \
                   "labels are names of classes, or numbers of outputs (default: auto)"),                              \
        CLI_OPTION(CLI_LIST, 0, "include", "PATTERN", list.include,                                                    \
                   "only pictures that match, as '*.tif' or 'site_*/'; may be repeated"),                              \
        CLI_OPTION(CLI_LIST, 0, "exclude", "PATTERN", list.exclude,                                                    \
                   "no pictures that match, as masks/; may be repeated")

/* Opens the inputs, and tells what include and exclude leave out. Returns an exit code, after a message. */
int sweep_list_open(sal_dataset **out, const sweep_list *list, const cli_command *command, const char *const *inputs,
                    size_t count, int is_quiet);
/* The names of the network's outputs, or NULL, and whether they are those of the folders, whose order is told then. A
 * folder whose sub-folders may be classes is told, too, and names that --classes has in another order than the
 * sub-folders sort. Likewise. */
int sweep_list_classes(sal_classes **out, const sweep_list *list, const cli_command *command,
                       const sal_dataset *pictures, const sal_model *model, int is_quiet);
/* "20 of 24 are outputs of the network; 3 are missing, 1 is no number (in/b.png: 'one')"; returns text. */
const char *sweep_list_labels(char *text, size_t size, const sal_label_counts *counts);
/* Appends what to do if labels of a classifier were meant as names. classes: NULL, none are known. */
void sweep_list_advise(char *text, size_t size, const sal_label_counts *counts, const sal_dataset *pictures,
                       const sal_classes *classes);

#endif
