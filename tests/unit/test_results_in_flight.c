/* What is in flight when a process dies, and what the next one makes of it. A death is that nobody closes the file. */
#include "results/in_flight.h"
#include "results_support.h"

#include <stdio.h>

TestSuite(in_flight, .init = make_scratch, .fini = remove_scratch);

enum { COUNT = 5 };
static const char *const list = "0123456789abcdef";

/* Those of processes that died are kept, or they would look like leaks. */
static sal_in_flight *open_it(const char *of)
{
    static sal_in_flight *all[200];
    static size_t count;
    cr_assert_lt(count, sizeof all / sizeof *all);
    must(sal_in_flight_open(&all[count], scratch("results.sqlite"), of, COUNT));
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
    return scratch("results.sqlite-in-flight");
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
    expect_error(sal_in_flight_open(&f, scratch("gone/results.sqlite"), list, COUNT), SAL_ERROR_IO,
                 "{}/gone/results.sqlite-in-flight: cannot open: No such file or directory");
    cr_expect_null(f);
}
