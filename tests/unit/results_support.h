/* What the tests of results share: a folder of their own, lists of pictures, runs and results to store, and a look at
 * what lies on the disk, by SQLite itself and not by what is tested. */
#ifndef TEST_RESULTS_SUPPORT_H
#define TEST_RESULTS_SUPPORT_H

#include "results/rows.h"
#include "results/run.h"

#include <criterion/criterion.h>

/* Of a test suite: .init and .fini. The folder is below TMPDIR, where that is set, or below /dev/shm. */
void make_scratch(void);
void remove_scratch(void);
/* Likewise, and the process is nobody's from then on: root writes everywhere. */
void make_scratch_as_nobody(void);
/* A path in the folder, from a printf format. This and every text below is good until
 * 8000 more were asked for. */
const char *scratch(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A text likewise. */
const char *text_from(const char *format, ...) __attribute__((format(printf, 1, 2)));

void make_folder(const char *path); /* with its parents */
/* Writes a file; makes its folder. */
void write_text(const char *path, const char *text);
void write_bytes(const char *path, const void *bytes, size_t size);
/* A file as text; "(none)" where there is none. */
const char *text_of(const char *path);
/* A result file that is open, with its journal: as a process leaves it that is killed now. */
void copy_with_journal(const char *from, const char *to);
int exists(const char *path);
/* Names in a folder, sorted, each with a blank after it; folders end with '/'. "" also where there is no folder. */
const char *names_in(const char *folder);

/* How many descriptors are open, of the first 256. */
int open_files(void);

/* Text that failed last, with the scratch folder's own path taken out: "{}/results.sqlite: ...". */
const char *last_error(void);
#define expect_error(call, status, text)                                                                               \
    do {                                                                                                               \
        cr_expect_eq((call), (status), "%s", sal_last_error());                                                        \
        cr_expect_str_eq(last_error(), (text));                                                                        \
    } while (0)
#define must(call) cr_assert_eq((call), SAL_OK, "%s", sal_last_error())

/* Rows of a query of a result file, opened by SQLite alone: fields apart by '|', rows by "\n". NULL, 12, 0.5, 'text',
 * x'00ff'. */
const char *rows_of(const char *path, const char *query);
/* Changes a result file. */
void change(const char *path, const char *statements);
/* 1: triggers of a result file fire, as they do nowhere else: so that a statement fails which is meant. */
extern int triggers_fire;
/* Another program's hold on a result file: begins a transaction that writes, until it is let go. */
sqlite3 *hold(const char *path);
void let_go(sqlite3 *held);

/* A list of pictures from the text of a manifest, "path,label\na.png,1\n"; lives to the end of the test. */
sal_dataset *list_of(const char *manifest);
/* a0.png ... of so many pictures. */
sal_dataset *list_of_count(size_t count);

/* The names of a list's files; live as long. */
const sal_run_names *names_of(const sal_dataset *list, const char *settings);
/* Of a model m.onnx with settings "method gradient", "top-k 2". */
sal_run plain_run(void);
/* A picture's result with one prediction and one map, numbers made of the row. */
typedef struct plain_result {
    sal_result result;
    sal_prediction prediction;
    sal_result_map map;
    char map_file[40];
    char overlay_file[48];
} plain_result;
/* NULL for no overlay: the files are those of list_of_count: maps/000/a<row>.npy and
 * overlays/000/a<row>.overlay.png. */
const sal_result *make_plain(plain_result *out, size_t row, float score, int overlay);

/* A result file without a store: all its rows are put at once, the file is closed. */
void make_results(const char *path, const sal_run *run, const sal_dataset *list, const sal_result *results,
                  size_t count);

#endif
