/* What the master makes of a process that reads HDF5 files and answers nonsense: this one's reader is made up. */
#include "base/confine.h"
#include "import/hdf5/reader/hdf5_reader.h"
#include "import/hdf5/weight_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { MOST_TEXT = 1 << 28 };

/* Set before the process is forked. */
static sal_shape told_shape;
static sal_status told_status;
static size_t told_text;

/* ---- The reader ---------------------------------------------------------- */

sal_status hdf5_reader_open(hdf5_reader **out, const char *path, const char *member)
{
    (void)path;
    (void)member;
    *out = NULL;
    return SAL_OK;
}

void hdf5_reader_close(hdf5_reader *reader)
{
    (void)reader;
}

int hdf5_reader_has(hdf5_reader *reader, const char *object)
{
    (void)reader;
    (void)object;
    return 1;
}

sal_status hdf5_reader_text(char **out, hdf5_reader *reader, const char *group, const char *attribute)
{
    (void)reader;
    (void)group;
    (void)attribute;
    sal_confine_memory(UINT64_MAX);
    *out = malloc(told_text + 1);
    if (!*out)
        return sal_fail_memory(told_text + 1, "a text");
    memset(*out, 'x', told_text);
    (*out)[told_text] = '\0';
    return SAL_OK;
}

sal_status hdf5_reader_texts(json_t **out, hdf5_reader *reader, const char *group, const char *attribute)
{
    (void)reader;
    (void)group;
    (void)attribute;
    *out = NULL;
    return SAL_OK;
}

sal_status hdf5_reader_find(uint64_t *index, sal_shape *shape, hdf5_reader *reader, const char *dataset)
{
    (void)reader;
    *index = 0;
    *shape = told_shape;
    return told_status == SAL_OK ? SAL_OK : sal_fail(told_status, "%s is not there", dataset);
}

sal_status hdf5_reader_read(float *out, size_t count, hdf5_reader *reader, uint64_t index)
{
    (void)reader;
    (void)index;
    memset(out, 0, count * sizeof *out);
    return SAL_OK;
}

/* ---- The master ---------------------------------------------------------- */

static keras_hdf5 *open_reader(void)
{
    keras_hdf5 *f = NULL;
    cr_assert_eq(keras_hdf5_open(&f, SAL_TEST_SOURCE_DIR "/README.md", NULL), SAL_OK, "%s", sal_last_error());
    return f;
}

/* Nonsense was refused, the process is no more, and further questions are refused as well. */
static void check_end(keras_hdf5 *f, sal_status st, const char *what)
{
    int has = 1;
    const pid_t child = waitpid(-1, NULL, WNOHANG);
    const int none = child < 0 && errno == ECHILD;
    cr_expect(none, "%s: the process goes on", what);
    cr_expect_eq(st, SAL_ERROR_FORMAT, "%s: status %d", what, st);
    cr_expect_not_null(strstr(sal_last_error(), "README.md: HDF5: is damaged"), "%s: \"%s\"", what, sal_last_error());
    cr_expect_neq(keras_hdf5_has(&has, f, "layers"), SAL_OK, "%s", what);
    cr_expect_eq(has, 0);
    keras_hdf5_close(f);
}

static sal_status find(keras_hdf5 *f, sal_shape *shape)
{
    uint64_t index;
    return keras_hdf5_find(&index, shape, f, "kernel");
}

Test(keras_answers, a_shape_is_taken_over)
{
    sal_shape shape = {0};
    told_shape = (sal_shape){.rank = SAL_MAX_RANK, .dim = {3, 0, 2, 1}};
    keras_hdf5 *f = open_reader();
    cr_expect_eq(find(f, &shape), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(memcmp(&shape, &told_shape, sizeof shape), 0);
    keras_hdf5_close(f);
}

Test(keras_answers, a_shape_that_cannot_be_is_refused)
{
    static const sal_shape shapes[] = {
        {.rank = -1},
        {.rank = SAL_MAX_RANK + 1},
        {.rank = INT32_MAX},
        {.rank = 2, .dim = {3, -1}},
        {.rank = 2, .dim = {INT64_MIN, 1}},
        {.rank = 3, .dim = {1 << 30, 1 << 30, 1 << 30}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        sal_shape shape = {.rank = 1, .dim = {7}};
        told_shape = shapes[i];
        keras_hdf5 *f = open_reader();
        check_end(f, find(f, &shape), "a shape");
        cr_expect_eq(shape.rank, 1, "shape %zu was taken over", i);
    }
}

Test(keras_answers, an_error_is_taken_over)
{
    sal_shape shape;
    told_status = SAL_ERROR_UNSUPPORTED;
    keras_hdf5 *f = open_reader();
    cr_expect_eq(find(f, &shape), SAL_ERROR_UNSUPPORTED);
    cr_expect_str_eq(sal_last_error(), "kernel is not there");
    told_status = SAL_OK;
    keras_hdf5_close(f);
}

Test(keras_answers, a_status_that_is_none_is_refused)
{
    static const int statuses[] = {1, 7, SAL_ERROR_CANCELLED - 1, INT32_MIN};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        sal_shape shape;
        told_status = (sal_status)statuses[i];
        keras_hdf5 *f = open_reader();
        check_end(f, find(f, &shape), "a status");
    }
}

Test(keras_answers, a_text_that_is_too_long_ends_the_process)
{
    char *text = NULL;
    told_text = 5;
    keras_hdf5 *f = open_reader();
    cr_expect_eq(keras_hdf5_text(&text, f, "/", "name"), SAL_OK, "%s", sal_last_error());
    cr_expect_str_eq(text, "xxxxx");
    free(text);
    keras_hdf5_close(f);
    told_text = MOST_TEXT;
    f = open_reader();
    check_end(f, keras_hdf5_text(&text, f, "/", "name"), "a text");
    cr_expect_null(text);
}
