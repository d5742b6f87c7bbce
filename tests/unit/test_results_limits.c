/* The limits that the sessions of a run had, and what failed by them. */
#include "results/limits.h"
#include "results_support.h"

TestSuite(results_limits, .init = make_scratch, .fini = remove_scratch);

static const char *path(void)
{
    return scratch("run/results.sqlite");
}

static sal_store *open_store(const sal_dataset *list)
{
    sal_store *s = NULL;
    const sal_run run = plain_run();
    make_folder(scratch("run"));
    must(sal_store_open(&s, path(), scratch("run"), &run, list, "cpu"));
    return s;
}

/* Whether a session with these limits is told that they were raised. */
static int session(const sal_dataset *list, uint64_t max_pixels, uint64_t max_memory, int is_interrupted)
{
    int answer = -1;
    sal_store *s = open_store(list);
    const sal_limits limits = {.size = sizeof(sal_limits), .max_pixels = max_pixels, .max_memory = max_memory};
    must(sal_store_limits_raised(&answer, s, &limits));
    if (!is_interrupted)
        must(sal_store_keep_limits(s, &limits));
    must(sal_store_close(s, is_interrupted ? "stopped" : "complete"));
    return answer;
}

static int raised(const sal_dataset *list, uint64_t max_pixels, uint64_t max_memory)
{
    return session(list, max_pixels, max_memory, 0);
}

Test(results_limits, are_raised_where_no_session_had_them)
{
    const sal_dataset *list = list_of_count(2);
    cr_expect_eq(raised(list, 0, 1000), 1);
    cr_expect_eq(raised(list, 0, 1000), 0);
    cr_expect_eq(raised(list, 0, 900), 0, "less memory does no good");
    cr_expect_eq(raised(list, 0, 1001), 1);
    cr_expect_eq(raised(list, 5, 1000), 1);
    cr_expect_eq(raised(list, 0, 1000), 0);
    cr_expect_eq(raised(list, 5, UINT64_MAX), 1);
    cr_expect_str_eq(rows_of(path(), "SELECT max_pixels, max_memory FROM sessions WHERE id IN (1, 7)"),
                     "0|1000\n5|9223372036854775807\n");
}

Test(results_limits, are_still_raised_after_a_session_that_was_interrupted)
{
    const sal_dataset *list = list_of_count(2);
    cr_expect_eq(raised(list, 0, 1000), 1);
    cr_expect_eq(session(list, 0, 2000, 1), 1);
    cr_expect_eq(raised(list, 0, 2000), 1, "the session before may not have come to all pictures");
    cr_expect_eq(raised(list, 0, 2000), 0);
}

Test(results_limits, of_pixels_are_raised_by_more_of_them_and_by_giving_them)
{
    const uint64_t default_pixels = (uint64_t)1 << 30;
    const sal_dataset *list = list_of_count(2);
    cr_expect_eq(raised(list, 5, 1000), 1);
    cr_expect_eq(raised(list, 4, 1000), 0, "fewer pixels do no good");
    cr_expect_eq(raised(list, 6, 1000), 1);
    cr_expect_eq(raised(list, 0, 1000), 1, "the default is more");
    cr_expect_eq(raised(list, default_pixels, 1000), 1, "given, it allows every TIFF");
    cr_expect_eq(raised(list, 0, 1000), 0);
}

Test(results_limits, count_by_session)
{
    const sal_dataset *list = list_of_count(2);
    cr_expect_eq(raised(list, 9, 1000), 1);
    cr_expect_eq(raised(list, 5, 2000), 1);
    cr_expect_eq(raised(list, 9, 2000), 1, "no session had both");
}

Test(results_limits, go_on_with_a_run_of_an_earlier_version)
{
    const sal_dataset *list = list_of_count(2);
    must(sal_store_close(open_store(list), "complete"));
    cr_expect_str_eq(rows_of(path(), "SELECT count(*) FROM pragma_table_info('sessions') WHERE name LIKE 'max_%'"),
                     "0\n");
    cr_expect_eq(raised(list, 0, 1000), 1);
    cr_expect_str_eq(rows_of(path(), "SELECT id, max_memory FROM sessions"), "1|NULL\n2|1000\n");
}

Test(results_limits, tell_what_failed_by_them)
{
    const sal_dataset *list = list_of_count(5);
    const sal_run run = plain_run();
    plain_result fine;
    const sal_result results[] = {
        {.picture = 0, .status = SAL_ERROR_LIMIT, .error = "too large"},
        {.picture = 1, .status = SAL_ERROR_MEMORY, .error = "no memory"},
        {.picture = 2, .status = SAL_ERROR_FORMAT, .error = "damaged"},
        *make_plain(&fine, 3, 1.0f, 1),
    };
    make_results(path(), &run, list, results, 4);
    int failed[5] = {7, 7, 7, 7, 7};
    sal_store *s = open_store(list);
    must(sal_store_limited(failed, sal_store_sql(s), 5));
    must(sal_store_close(s, "complete"));
    const int expected[5] = {SAL_ERROR_LIMIT, SAL_ERROR_MEMORY, 7, 7, 7};
    cr_expect_arr_eq(failed, expected, sizeof expected);
}
