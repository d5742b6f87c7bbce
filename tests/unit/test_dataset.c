/* Manifests and shards. Folders, globs and what users see of errors are tested through the program. */
#include "dataset/classes.h"
#include "dataset/dataset.h"

#include <criterion/criterion.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* The fields of all rows, each in brackets, rows apart by a bar; or the error's text. */
static char *parse(const char *text)
{
    static char out[4096];
    sal_dataset d = {0};
    char *copy = malloc(strlen(text) + 1);
    size_t used = 0;
    cr_assert(copy != NULL);
    memcpy(copy, text, strlen(text) + 1);
    out[0] = '\0';
    if (sal_csv_parse(&d, copy, strlen(text), "m.csv") != SAL_OK) {
        cr_assert(d.text == NULL);
        snprintf(out, sizeof out, "%s", sal_last_error());
    } else {
        for (size_t row = 0; row < d.count; row++) {
            for (int k = 0; k < d.column_count; k++)
                used += (size_t)snprintf(out + used, sizeof out - used, "[%s]", sal_dataset_field(&d, row, k));
            used += (size_t)snprintf(out + used, sizeof out - used, "|");
        }
    }
    free(copy);
    free(d.rows);
    free(d.lines);
    return out;
}

Test(csv, has_fields_by_comma_semicolon_or_tab)
{
    cr_expect_str_eq(parse("path,label\na.png,3\nb.png,4\n"), "[a.png][3]|[b.png][4]|");
    cr_expect_str_eq(parse("path;label\na,b.png;3,5\n"), "[a,b.png][3,5]|");
    cr_expect_str_eq(parse("label\tpath\n3\ta;b.png"), "[3][a;b.png]|");
}

Test(csv, takes_line_ends_marks_and_blank_lines_as_they_come)
{
    cr_expect_str_eq(parse("\xEF\xBB\xBFpath,label\r\na.png,3\r\n\r\nb.png,\r\n"), "[a.png][3]|[b.png][]|");
    cr_expect_str_eq(parse("path,label\ra.png,3\rb.png,4"), "[a.png][3]|[b.png][4]|");
    cr_expect_str_eq(parse("path\na.png"), "[a.png]|");
}

Test(csv, keeps_what_is_quoted)
{
    cr_expect_str_eq(parse("path,note\n\"a,b.png\",\"say \"\"no\"\"\"\n"), "[a,b.png][say \"no\"]|");
    cr_expect_str_eq(parse("path,note\n\"two\nlines.png\",\"\"\nb.png,x\n"), "[two\nlines.png][]|[b.png][x]|");
    /* Separators inside quotes of the header do not count. */
    cr_expect_str_eq(parse("\"a;b;c;d\",path\n1,x.png\n"), "[1][x.png]|");
}

Test(csv, names_the_line_of_what_is_wrong)
{
    cr_expect(strstr(parse("file,label\na.png,1\n"), "no column named 'path'; the columns are: file, label"));
    cr_expect(strstr(parse("path,label\na.png,1\nb.png\n"), "m.csv: line 3: 1 field, the header has 2"));
    cr_expect(strstr(parse("path,label\n\"two\nlines\",1\nb.png,1,2\n"), "line 4: 3 fields"));
    cr_expect(strstr(parse("path,label\n,1\n"), "line 2: the path is empty"));
    cr_expect(strstr(parse("path,path\na,b\n"), "two columns are named 'path' and 'path'"));
    cr_expect(strstr(parse("path\n\"a.png\n"), "line 2: a quote is opened"));
    cr_expect(strstr(parse("path,label\n"), "a header and no row"));
}

Test(csv, prints_what_it_reads_back)
{
    static const char *const fields[] = {"plain", "", "a,b", "a;b", "a\tb", "say \"no\"", "two\nlines", " lead", "\r"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char *text = NULL, wanted[64];
        size_t size;
        FILE *to = open_memstream(&text, &size);
        fputs("path,x\na.png,", to);
        sal_csv_print(to, fields[i]);
        fputs("\n", to);
        fclose(to);
        snprintf(wanted, sizeof wanted, "[a.png][%s]|", fields[i]);
        cr_expect_str_eq(parse(text), wanted);
        free(text);
    }
}

/* What spreadsheets would compute begins with an apostrophe, and what begins with apostrophes before it with one more.
 */
Test(csv, guards_formulas_and_no_numbers)
{
    static const char *const fields[][2] = {{"=1+1", "'=1+1"},
                                            {"+cmd", "'+cmd"},
                                            {"-x.png", "'-x.png"},
                                            {"@eaDir/a", "'@eaDir/a"},
                                            {"\ta", "\"'\ta\""},
                                            {"\ra", "\"'\ra\""},
                                            {"\na", "\"'\na\""},
                                            {"=a,b", "\"'=a,b\""},
                                            {"=\"a\"", "\"'=\"\"a\"\"\""},
                                            {"'=1", "''=1"},
                                            {"''-3", "'''-3"},
                                            {"-", "'-"},
                                            {"-.", "'-."},
                                            {"-1e", "'-1e"},
                                            {"-1e+", "'-1e+"},
                                            {"-1+2", "'-1+2"},
                                            {"-3x", "'-3x"},
                                            {"-3", "-3"},
                                            {"+4.50", "+4.50"},
                                            {"-.5", "-.5"},
                                            {"-5.", "-5."},
                                            {"-1.5e-7 ", "-1.5e-7 "},
                                            {"-2E10", "-2E10"},
                                            {"-3,5", "\"-3,5\""},
                                            {"a=b", "a=b"},
                                            {"'a", "'a"},
                                            {"'", "'"},
                                            {"", ""}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char *text = NULL;
        size_t size;
        FILE *to = open_memstream(&text, &size);
        sal_csv_print_guarded(to, fields[i][0]);
        fclose(to);
        cr_expect_str_eq(text, fields[i][1], "'%s' is printed as '%s'", fields[i][0], text);
        free(text);
    }
}

/* The first field of a list that began with one would make the list another. */
Test(csv, quotes_what_looks_like_a_byte_order_mark)
{
    static const char *const fields[] = {"\xEF\xBB\xBFpath", "\xFF\xFEpath", "\xFE\xFFpath"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char *text = NULL, wanted[16];
        size_t size;
        FILE *to = open_memstream(&text, &size);
        sal_csv_print(to, fields[i]);
        fclose(to);
        snprintf(wanted, sizeof wanted, "\"%s\"", fields[i]);
        cr_expect_str_eq(text, wanted);
        free(text);
    }
}

/* ---- Labels ---------------------------------------------------------------- */

/* A list of one label, with these bytes between fields. */
static sal_label_text read_label(double *number, const char *label, char separator)
{
    sal_dataset d = {.separator = separator, .label_column = 0, .count = 1};
    size_t row = 0;
    d.text = (char *)(uintptr_t)label;
    d.rows = &row;
    return sal_dataset_read_label(number, &d, 0);
}

Test(labels, are_numbers_with_a_point_or_a_comma)
{
    static const struct {
        const char *label;
        double number;
    } numbers[] = {{"3.5", 3.5},
                   {"3,5", 3.5},
                   {" 3 \t", 3.0},
                   {"-0,25", -0.25},
                   {"+1,0", 1.0},
                   {"1e3", 1e3},
                   {"1,5e2", 150.0},
                   {"\xC2\xA0"
                    "7\xC2\xA0",
                    7.0},
                   {"0,125", 0.125},
                   {"1234,567", 1234.567}};
    static const char *const words[] = {"three", "3 5", "3,5,1", "1.234,5", "1,234.5", ",5",
                                        "5,",    "3;5", "inf",   "0x",      "--1",     "3a"};
    double number;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        for (const char *separator = ",;\t"; *separator; separator++) {
            cr_expect_eq(read_label(&number, numbers[i].label, *separator), SAL_LABEL_NUMBER, "%s", numbers[i].label);
            cr_expect_eq(number, numbers[i].number, "%s: %g", numbers[i].label, number);
        }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cr_expect_eq(read_label(&number, words[i], ';'), SAL_LABEL_WORD, "%s", words[i]);
}

Test(labels, may_be_missing_and_may_be_thousands)
{
    static const char *const missing[] = {"", "  ", "NA", "nan", "N/A", " null\t", "\xC2\xA0"};
    double number;
    char long_one[200];
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
        cr_expect_eq(read_label(&number, missing[i], ','), SAL_LABEL_EMPTY, "'%s'", missing[i]);
    cr_expect_eq(read_label(&number, "1,234", ','), SAL_LABEL_WORD);
    cr_expect_eq(read_label(&number, "-12,345", ','), SAL_LABEL_WORD);
    cr_expect_eq(read_label(&number, "1,234", ';'), SAL_LABEL_NUMBER);
    cr_expect_eq(number, 1.234);
    memset(long_one, '1', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    cr_expect_eq(read_label(&number, long_one, ','), SAL_LABEL_WORD);
}

/* ---- Patterns ---------------------------------------------------------------- */

/* Against git's by test_sweep_lists.py; here what git would not say. */
Test(patterns, match_files_and_folders)
{
    cr_expect(sal_pattern_matches("masks/", "masks", 1));
    cr_expect_not(sal_pattern_matches("masks/", "masks", 0));
    cr_expect(sal_pattern_matches("masks/", "a/masks/b.png", 0));
    cr_expect_not(sal_pattern_matches("masks/**", "masks", 1));
    cr_expect(sal_pattern_matches("**", "a", 0));
    cr_expect(sal_pattern_matches("**/b", "a/c/b", 0));
    cr_expect(sal_pattern_matches("a/**/b", "a/b", 0));
    cr_expect(sal_pattern_matches("a/**/c/**/e", "a/c/b/c/d/e", 0));
    cr_expect_not(sal_pattern_matches("a/**/c/**/e", "a/b/d/e", 0));
    cr_expect_not(sal_pattern_matches("a", "A", 0));
    /* Many of them, and nothing that fits: not for ever. */
    cr_expect_not(
        sal_pattern_matches("**/a/**/a/**/a/**/a/**/a/**/a/**/b", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", 0));
}

/* ---- Classes ----------------------------------------------------------------- */

static const char *parsed(const char *text)
{
    static char out[512];
    sal_classes *c;
    size_t used = 0;
    out[0] = '\0';
    if (sal_classes_parse(&c, text, strlen(text), "f") != SAL_OK) {
        cr_assert_null(c);
        snprintf(out, sizeof out, "%s", sal_last_error());
        return out;
    }
    for (size_t i = 0; i < sal_classes_count(c); i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "[%s]", sal_classes_name(c, (int64_t)i));
    char *again;
    cr_assert_eq(sal_classes_text(&again, c), SAL_OK);
    sal_classes *copy;
    cr_assert_eq(sal_classes_parse(&copy, again, strlen(again), "f"), SAL_OK, "%s: %s", again, sal_last_error());
    cr_expect_eq(sal_classes_count(copy), sal_classes_count(c));
    for (size_t i = 0; i < sal_classes_count(c); i++)
        cr_expect_str_eq(sal_classes_name(copy, (int64_t)i), sal_classes_name(c, (int64_t)i));
    free(again);
    sal_classes_close(copy);
    sal_classes_close(c);
    return out;
}

Test(classes, are_read_from_lines_lists_and_objects)
{
    cr_expect_str_eq(parsed("a\n b \nc d"), "[a][b][c d]");
    cr_expect_str_eq(parsed("[\"a\", 'b',]"), "[a][b]");
    cr_expect_str_eq(parsed(" {0: 'it\\'s', 1: \"b\", }"), "[it's][b]");
    cr_expect_str_eq(parsed("{\"b\": 1, \"a\": 0}"), "[a][b]");
    cr_expect_str_eq(parsed("{\"0\": [\"n1\", \"tench\"]}"), "[tench]");
    cr_expect_str_eq(parsed("[\"\\u00e4 \\ud83d\\udc1f \\/ \\\\ \\\"\"]"), "[\xC3\xA4 \xF0\x9F\x90\x9F / \\ \"]");
    cr_expect_str_eq(parsed("{\"x\": {\"id2label\": 1}, \"id2label\": {\"0\": \"a\"}, \"y\""), "[a]");
}

Test(classes, that_cannot_be_read_are_refused)
{
    static const char *const bad[] = {"",
                                      "\n\n",
                                      "[]",
                                      "{}",
                                      "[",
                                      "{",
                                      "[\"a",
                                      "[\"a\\",
                                      "[\"a\\q\"]",
                                      "[\"\\ud83d\"]",
                                      "[\"\\u0000\"]",
                                      "[a]",
                                      "{\"0\"}",
                                      "{\"0\": }",
                                      "{\"0\": \"a\" \"1\": \"b\"}",
                                      "{\"-1\": \"a\"}",
                                      "{\"a\": -1}",
                                      "{\"a\": 1.5}",
                                      "[\"\"]",
                                      "[\"a\\n\"]",
                                      "{\"0\": [\"a\"]}",
                                      "{\"0\": [\"a\", \"b\", \"c\"]}",
                                      "a\x01",
                                      "\xC3",
                                      "\xED\xA0\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(strncmp(parsed(bad[i]), "f: ", 3) == 0, "%zu: %s", i, parsed(bad[i]));
    static char deep[1000] = "{\"x\": ";
    memset(deep + strlen(deep), '[', sizeof deep - 1 - strlen(deep));
    cr_expect(strstr(parsed(deep), "too many brackets"));
}

/* Each string costs its own length, not that of its line: else a long line takes quadratic time. */
Test(literals, of_one_long_line_take_the_room_of_each)
{
    enum { NAMES = 2000, ROOM = 24 };
    char *text = malloc((size_t)NAMES * ROOM + 4), *at = text;
    cr_assert(text != NULL);
    *at++ = '[';
    for (int i = 0; i < NAMES; i++)
        at += sprintf(at, "%s\"n\\u00e9\\\"%d\"", i ? ", " : "", i);
    strcpy(at, "]");
    sal_class_list list;
    cr_assert_eq(sal_class_list_read(&list, text, "f"), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(list.count, NAMES);
    cr_expect_str_eq(list.names[0], "n\xC3\xA9\"0");
    cr_expect_str_eq(list.names[NAMES - 1], "n\xC3\xA9\"1999");
    cr_expect_leq(malloc_usable_size(list.names[0]), 4 * ROOM);
    sal_class_list_clear(&list);
    free(text);
}

Test(classes, are_found_by_their_names)
{
    static const char *const names[] = {"b", "a", "crane", "c", "crane"};
    sal_classes *c;
    cr_assert_eq(sal_classes_make(&c, names, 5), SAL_OK);
    cr_expect_eq(sal_classes_find(c, "a"), 1);
    cr_expect_eq(sal_classes_find(c, "b"), 0);
    cr_expect_eq(sal_classes_find(c, "c"), 3);
    cr_expect_eq(sal_classes_find(c, "crane"), -1); /* which of the two? */
    cr_expect_eq(sal_classes_find(c, "d"), -1);
    cr_expect_eq(sal_classes_find(c, ""), -1);
    cr_expect_null(sal_classes_name(c, 5));
    cr_expect_null(sal_classes_name(c, -1));
    sal_classes_close(c);
}

static sal_dataset *open_list(const char *const *paths, size_t count)
{
    static const sal_dataset_options as_named = {.size = sizeof(sal_dataset_options), .as_named = 1};
    sal_dataset *d;
    cr_assert_eq(sal_dataset_open(&d, paths, count, &as_named), SAL_OK);
    return d;
}

/* Every picture is in exactly one shard, each gets its share, and the rest of the list has no say. */
Test(shards, deal_pictures_evenly_by_their_paths_alone)
{
    enum { COUNT = 20000, SHARDS = 7 };
    static char texts[COUNT][32];
    static const char *paths[COUNT];
    size_t sizes[SHARDS] = {0};
    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof texts[i], "scan_%05d.png", i);
        paths[i] = texts[i];
    }
    sal_dataset *all = open_list(paths, COUNT), *half = open_list(paths + COUNT / 2, COUNT / 2);
    for (size_t i = 0; i < COUNT; i++) {
        int in = 0;
        for (int64_t k = 0; k < SHARDS; k++) {
            const int is = sal_dataset_in_shard(all, i, k, SHARDS);
            in += is;
            sizes[k] += (size_t)is;
            if (i >= COUNT / 2)
                cr_assert_eq(is, sal_dataset_in_shard(half, i - COUNT / 2, k, SHARDS));
        }
        cr_assert_eq(in, 1);
        cr_assert(sal_dataset_in_shard(all, i, 0, 1));
    }
    for (int k = 0; k < SHARDS; k++)
        cr_expect(sizes[k] > COUNT / SHARDS * 95 / 100 && sizes[k] < COUNT / SHARDS * 105 / 100, "shard %d: %zu", k,
                  sizes[k]);
    sal_dataset_close(all);
    sal_dataset_close(half);
}

/* Results lie in files by shard: where a path belongs may never change. */
Test(shards, never_change)
{
    const char *paths[] = {"scale_00.png", "scale_01.png", "a/b.jpg", "\xC3\xA4.tif"};
    const int64_t wanted[] = {459, 367, 223, 300};
    sal_dataset *d = open_list(paths, 4);
    for (size_t i = 0; i < 4; i++)
        cr_expect(sal_dataset_in_shard(d, i, wanted[i], 1000), "%s", paths[i]);
    sal_dataset_close(d);
}

/* ---- A list that was read back -------------------------------------------- */

static sal_status join_options(void *context, const char *name, const char *value)
{
    char *text = context;
    snprintf(text + strlen(text), 256 - strlen(text), "--%s %s ", name, value);
    return SAL_OK;
}

Test(lists, that_were_read_back_are_made_as_that_of_now)
{
    static const char csv[] = "path,label\n\"1,834/a.png\",\"1,834\"\n";
    const char *const left_out[] = {"masks", "b.png"};
    const sal_dataset_options options = SAL_DATASET_OPTIONS_INIT;
    sal_dataset now = {.labels_by_folder = 1};
    sal_dataset *then;
    char text[256] = "";
    double number;
    cr_assert_eq(sal_patterns_make(&now.patterns, NULL, 0, left_out, 2), SAL_OK);
    cr_assert_eq(sal_dataset_from_manifest(&then, csv, strlen(csv), "run/manifest.csv", &options), SAL_OK);
    cr_expect_eq(sal_dataset_read_label(&number, then, 0), SAL_LABEL_WORD, "a manifest's, with commas between fields");
    for (int i = 0; i < 2; i++)
        cr_assert_eq(sal_dataset_take_origin(then, &now), SAL_OK);
    cr_expect_eq(sal_dataset_read_label(&number, then, 0), SAL_LABEL_NUMBER);
    cr_expect_float_eq(number, 1.834, 1e-12);
    cr_expect(!then->manifest);
    cr_expect_eq(sal_dataset_options_each(then, join_options, text), SAL_OK);
    cr_expect_str_eq(text, "--label-from folder --exclude masks --exclude b.png ");
    sal_dataset_close(then);
    sal_patterns_clear(&now.patterns);
}

/* Places of rows that begin below these folders. */
static void check_place(const char *path, const char *named, const char *pattern, const char *root, int manifest,
                        const char *wanted)
{
    char *folder = (char *)named, *begin = (char *)pattern;
    size_t row = 0;
    sal_dataset d = {.text = (char *)path, .rows = &row, .count = 1, .root = (char *)root, .manifest = manifest};
    d.named = &folder;
    d.named_count = named != NULL;
    d.patterned = &begin;
    d.patterned_count = pattern != NULL;
    const char *found = sal_dataset_place(&d, 0);
    cr_expect_str_eq(found, wanted, "%s: %s, not %s", path, found, wanted);
}

Test(dataset, says_where_in_its_input_a_picture_lies)
{
    check_place("s/a.png", NULL, NULL, "in", 0, "s/a.png");
    check_place("s/a.png", NULL, NULL, "in", 1, "s/a.png");
    check_place("./s/a.png", NULL, NULL, "", 1, "s/a.png");
    check_place("/s/a.png", NULL, NULL, "", 1, "a.png");
    check_place("../s/a.png", NULL, NULL, "in", 1, "a.png");
    check_place("s/../a.png", NULL, NULL, "in", 1, "a.png");
    check_place("s/..a.png", NULL, NULL, "in", 1, "s/..a.png");
    check_place("in/s/a.png", "in/", NULL, "", 0, "s/a.png");
    check_place("/x/in/s/a.png", "/x/in/", NULL, "", 0, "s/a.png");
    check_place("in//s/a.png", "in/", NULL, "", 0, "s/a.png");
    check_place("inner/s/a.png", "in/", NULL, "", 0, "a.png");
    check_place("scans/s1/t/a.png", "scans/s1/", "scans/", "", 0, "s1/t/a.png");
    check_place("s1/a.png", NULL, "", "", 0, "s1/a.png");
    check_place("/x/s1/a.png", NULL, "", "", 0, "a.png");
    check_place("../s1/a.png", NULL, "", "", 0, "a.png");
    check_place("x/s1/a.png", NULL, NULL, "", 0, "a.png");
    check_place("a.png", NULL, NULL, "", 0, "a.png");
}
