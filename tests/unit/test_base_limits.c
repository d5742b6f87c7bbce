#include "base/memory_file.h"
#include "base/text.h"
#include "base/threads.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* No more addresses than are in use, but for so many bytes. Sanitizers use them up by the terabyte. */
static void limit_addresses(size_t beyond)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)beyond;
    cr_skip_test("under a sanitizer the addresses cannot be limited");
#else
    long pages;
    FILE *own = fopen("/proc/self/statm", "r");
    cr_assert(own && fscanf(own, "%ld", &pages) == 1);
    fclose(own);
    const rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + beyond;
    cr_assert_eq(setrlimit(RLIMIT_AS, &(struct rlimit){most, most}), 0);
#endif
}

Test(threads, that_can_be_had_are_started_and_ended)
{
    cr_expect_eq(sal_threads_try(0), SAL_OK);
    cr_expect_eq(sal_threads_try(1), SAL_OK);
    cr_expect_eq(sal_threads_try(7), SAL_OK, "%s", sal_last_error());
}

Test(threads, that_cannot_be_had_are_refused)
{
    limit_addresses((size_t)20 << 20); /* a stack takes 8 MiB */
    cr_expect_eq(sal_threads_try(1), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_threads_try(64), SAL_ERROR_MEMORY);
    cr_expect(strstr(sal_last_error(), "of 64"), "%s", sal_last_error());
    cr_expect_eq(sal_threads_try(1), SAL_OK, "%s", sal_last_error());
}

static const char line[] = "0123456789abcdef";

/* A text of `count` lines. */
static sal_status print_lines(char **out, size_t *size, size_t count)
{
    sal_text text;
    sal_status st = sal_text_open(&text);
    if (st != SAL_OK)
        return st;
    for (size_t i = 0; i < count; i++)
        fputs(line, text.stream);
    return sal_text_close(out, size, &text, SAL_OK, "lines");
}

Test(text, is_what_was_printed)
{
    static const size_t counts[] = {0, 1, 2, 511, 512, 513, 100000};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        char *text = NULL;
        size_t size = 0;
        cr_assert_eq(print_lines(&text, &size, counts[k]), SAL_OK, "%s", sal_last_error());
        cr_expect_eq(size, counts[k] * strlen(line));
        cr_expect_eq(strlen(text), size);
        for (size_t i = 0; i < counts[k]; i++)
            cr_assert_arr_eq(text + i * strlen(line), line, strlen(line), "line %zu of %zu", i, counts[k]);
        free(text);
    }
}

Test(text, of_a_failure_is_none)
{
    sal_text text;
    char *out = "";
    cr_assert_eq(sal_text_open(&text), SAL_OK);
    fputs(line, text.stream);
    cr_expect_eq(sal_text_close(&out, NULL, &text, SAL_ERROR_FORMAT, "lines"), SAL_ERROR_FORMAT);
    cr_expect_null(out);
}

Test(text, that_there_is_no_memory_for_is_none)
{
    char *text = NULL;
    limit_addresses((size_t)8 << 20);
    cr_expect_eq(print_lines(&text, NULL, (size_t)1 << 20), SAL_ERROR_MEMORY);
    cr_expect_null(text);
    cr_expect_eq(print_lines(&text, NULL, 1), SAL_OK, "%s", sal_last_error());
    free(text);
}

/* Whoever prints does not look at each call: an SVG is written so. */
Test(memory_file, that_there_is_no_memory_for_is_none)
{
    sal_memory_file file;
    void *bytes = NULL;
    size_t size = 0;
    limit_addresses((size_t)8 << 20);
    cr_assert_eq(sal_memory_file_open(&file), SAL_OK, "%s", sal_last_error());
    for (size_t i = 0; i < (size_t)1 << 20; i++)
        fputs(line, file.stream);
    cr_expect_eq(sal_memory_file_close(&bytes, &size, &file, SAL_OK), SAL_ERROR_MEMORY, "%zu bytes", size);
    cr_expect_null(bytes);
}

Test(memory_file, that_could_not_be_written_had_no_memory)
{
    sal_memory_file file;
    void *bytes = NULL;
    size_t size = 0;
    cr_assert_eq(sal_memory_file_open(&file), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(sal_memory_file_close(&bytes, &size, &file, SAL_ERROR_IO), SAL_ERROR_MEMORY);
    cr_expect_eq(sal_memory_file_close(&bytes, &size, &file, SAL_OK), SAL_OK); /* it is closed already */
    cr_expect_null(bytes);
}
