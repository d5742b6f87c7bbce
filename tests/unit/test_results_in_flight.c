/* What is in flight when a process dies, and what the next one makes of it. A death is that nobody closes the file. */
#include "results/in_flight.h"
#include "results_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many bytes are written at once, and how many calls are fine; then the disk is full. */
static size_t at_once = SIZE_MAX;
static int calls_left = 1 << 20;

ssize_t __wrap_pwrite(int file, const void *bytes, size_t size, off_t at);
ssize_t __real_pwrite(int file, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int file, const void *bytes, size_t size, off_t at)
{
    if (calls_left-- > 0)
        return __real_pwrite(file, bytes, size < at_once ? size : at_once, at);
    errno = ENOSPC;
    return -1;
}

TestSuite(in_flight, .init = make_scratch, .fini = remove_scratch);

enum { COUNT = 5 };
static const char *const list = "0123456789abcdef";

static const char *run(void)
{
    make_folder(scratch("run"));
    return scratch("run");
}

/* Those of processes that died are kept, or they would look like leaks. */
static sal_in_flight *open_it(const char *of)
{
    static sal_in_flight *all[200];
    static size_t count;
    cr_assert_lt(count, sizeof all / sizeof *all);
    must(sal_in_flight_open(&all[count], run(), "results.sqlite", of, COUNT));
    return all[count++];
}

static const char *deaths(const sal_in_flight *f)
{
    const char *text = "";
    for (size_t i = 0; i < COUNT; i++)
        text = text_from("%s%d ", text, sal_in_flight_deaths(f, i));
    return text;
}

static const char *path(void)
{
    return text_from("%s/results.sqlite-in-flight", run());
}

Test(in_flight, counts_deaths_of_what_was_in_flight)
{
    sal_in_flight *f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 0 0 0 0 ");
    for (size_t i = 0; i < 4; i++)
        sal_in_flight_begin(f, i);
    sal_in_flight_done(f, 1);
    f = open_it(list); /* the first one died */
    cr_expect_str_eq(deaths(f), "1 0 1 1 0 ");
    sal_in_flight_begin(f, 2);
    sal_in_flight_begin(f, 3);
    sal_in_flight_done(f, 3);
    f = open_it(list);
    cr_expect_str_eq(deaths(f), "1 0 2 0 0 ");
    sal_in_flight_close(f);
}

Test(in_flight, forgets_nothing_at_an_end_in_order_and_blames_nobody)
{
    sal_in_flight *f = open_it(list);
    sal_in_flight_begin(f, 2);
    f = open_it(list);
    sal_in_flight_begin(f, 2);
    sal_in_flight_begin(f, 4);
    sal_in_flight_close(f); /* stopped with two in flight */
    cr_expect(exists(path()));
    f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 0 1 0 0 ");
    sal_in_flight_begin(f, 2);
    sal_in_flight_done(f, 2);
    sal_in_flight_close(f);
    cr_expect_not(exists(path()), "nothing is left to be known");
}

Test(in_flight, is_of_one_list)
{
    sal_in_flight *f = open_it(list);
    sal_in_flight_begin(f, 0);
    f = open_it("another");
    cr_expect_str_eq(deaths(f), "0 0 0 0 0 ");
    sal_in_flight_close(f);
}

Test(in_flight, takes_a_damaged_file_for_none)
{
    write_text(path(), "salmap: pictures in flight");
    sal_in_flight *f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 0 0 0 0 ");
    sal_in_flight_begin(f, 4);
    f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 0 0 0 1 ");
    sal_in_flight_close(f);
}

/* A disk that was full may leave so much. */
Test(in_flight, takes_what_a_file_lacks_for_zeros)
{
    sal_in_flight *f = open_it(list);
    for (size_t i = 1; i < COUNT; i++)
        sal_in_flight_begin(f, i);
    struct stat info;
    cr_assert_eq(stat(path(), &info), 0);
    cr_assert_eq(truncate(path(), info.st_size - 2), 0);
    f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 1 1 0 0 ");
    sal_in_flight_close(f);
}

Test(in_flight, counts_no_further_than_it_can)
{
    for (int i = 0; i < 130; i++)
        sal_in_flight_begin(open_it(list), 1);
    sal_in_flight *f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 127 0 0 0 ");
    sal_in_flight_close(f);
}

Test(in_flight, says_where_it_cannot_be)
{
    sal_in_flight *f = NULL;
    const int input = open("/dev/null", O_RDONLY);
    cr_assert(input == STDIN_FILENO || (input > 0 && dup2(input, STDIN_FILENO) == STDIN_FILENO));
    expect_error(sal_in_flight_open(&f, scratch("gone"), "results.sqlite", list, COUNT), SAL_ERROR_IO,
                 "{}/gone/results.sqlite-in-flight: cannot open: No such file or directory");
    cr_expect_null(f);
    cr_expect_geq(fcntl(STDIN_FILENO, F_GETFD), 0, "what was never opened is not closed");
}

Test(in_flight, is_written_however_little_at_once)
{
    at_once = 3;
    sal_in_flight *f = open_it(list);
    sal_in_flight_begin(f, 4);
    f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 0 0 0 1 ");
    sal_in_flight_close(f);
}

Test(in_flight, forgets_no_death_where_counting_it_is_cut_off)
{
    sal_in_flight *f = open_it(list);
    for (size_t i = 0; i < COUNT; i++)
        sal_in_flight_begin(f, i);
    at_once = 1;
    for (int calls = 0; calls < COUNT; calls++) {
        calls_left = calls;
        expect_error(sal_in_flight_open(&f, run(), "results.sqlite", list, COUNT), SAL_ERROR_IO,
                     "{}/run/results.sqlite-in-flight: cannot write: No space left on device");
    }
    calls_left = 1 << 20;
    f = open_it(list);
    cr_expect_str_eq(deaths(f), "1 1 1 1 1 ");
    sal_in_flight_close(f);
}

Test(in_flight, takes_no_file_half_begun_for_one_of_the_list)
{
    sal_in_flight *f = open_it("another");
    for (size_t i = 0; i < COUNT; i++)
        sal_in_flight_begin(f, i);
    at_once = 1;
    calls_left = COUNT + 20; /* cut off in the header */
    cr_expect_eq(sal_in_flight_open(&f, run(), "results.sqlite", list, COUNT), SAL_ERROR_IO);
    calls_left = 1 << 20;
    f = open_it(list);
    cr_expect_str_eq(deaths(f), "0 0 0 0 0 ");
    sal_in_flight_close(f);
}

Test(in_flight, is_no_link)
{
    sal_in_flight *f = NULL;
    write_text(scratch("precious"), "mine");
    cr_assert_eq(symlink(scratch("precious"), path()), 0);
    expect_error(sal_in_flight_open(&f, run(), "results.sqlite", list, COUNT), SAL_ERROR_ARGUMENT,
                 "{}/run/results.sqlite-in-flight: is a link, and a run has none there: remove it, or choose another "
                 "folder");
    cr_expect_str_eq(text_of(scratch("precious")), "mine");
}
