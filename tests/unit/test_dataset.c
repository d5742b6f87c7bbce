/* Manifests and shards. Folders, globs and what users see of errors are tested through the program. */
#include "dataset/dataset.h"

#include <criterion/criterion.h>
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
