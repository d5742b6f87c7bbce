/* Any bytes as a Keras file, .h5 or .keras, with libhdf5 and libzip: import, then the passes on what was accepted.
 *
 * HDF5 is read by a fork (forked_program.c), which may break down over a damaged file: the file is refused then, and
 * that is no finding. Memory that was read or written where there is none is one: without the address sanitizer, the
 * process might have gone on, and given what it read for the file's. */
#include "support.h"

#include "graph/passes.h"
#include "import/import.h"

#include <hdf5.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Where the reading process says that a sanitizer found something: memory of both. */
static volatile int *reported;

#ifdef __SANITIZE_ADDRESS__ /* gcc's word for it */
#define FUZZ_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_ADDRESS_SANITIZER
#endif
#endif

#ifdef FUZZ_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>

static int judged; /* the address sanitizer's word was heard */

/* Before it prints, which the process may not be allowed. libhdf5, whose accesses to memory nobody watches, stumbles
 * over what it has destroyed: that is a breakdown. */
void __asan_on_error(void)
{
    static const char *const breakdowns[] = {"bad-free", "double-free", "memcpy-param-overlap"};
    const char *what = __asan_get_report_description();
    judged = 1;
    for (size_t i = 0; i < sizeof breakdowns / sizeof *breakdowns; i++)
        if (strcmp(what, breakdowns[i]) == 0)
            return;
    if (reported)
        *reported = 1;
}

/* Of the undefined-behaviour sanitizer there is no other word. */
static void end_reader(void)
{
    if (!judged)
        *reported = 1;
}

/* libFuzzer's own callback would write the input down, and this process go on. */
static void in_reader(void)
{
    __sanitizer_set_death_callback(end_reader);
}

const char *__asan_default_suppressions(void);

/* libhdf5 takes a damaged file at its word. What it may not have is below what libFuzzer lets a process have, which
 * would end the reading one. */
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:max_allocation_size_mb=1000";
}

/* What is libhdf5's own, of functions whose text salmap takes as it would any: a text of a damaged global heap, and the
 * value of an attribute that is said to be longer than the message that holds it. */
const char *__asan_default_suppressions(void)
{
    return "interceptor_via_fun:H5HG_read\n"
           "interceptor_via_fun:H5O__attr_*\n";
}
#else
static void in_reader(void)
{
}
#endif

/* clang's counters of edges, which libFuzzer looks at after each run; without it there are none. */
extern char __start___sancov_cntrs[] __attribute__((weak, visibility("hidden")));
extern char __stop___sancov_cntrs[] __attribute__((weak, visibility("hidden")));

/* Their whole pages become memory of both processes: what the reader runs through counts. */
static void share_counters(void)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)__start___sancov_cntrs + page - 1) & ~(page - 1);
    const uintptr_t end = (uintptr_t)__stop___sancov_cntrs & ~(page - 1);
    if (begin < end)
        FUZZ_REQUIRE(mmap((void *)begin, end - begin, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
                          -1, 0) != MAP_FAILED);
}

static void begin(void)
{
    reported = mmap(NULL, sizeof *reported, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FUZZ_REQUIRE(reported != MAP_FAILED);
    FUZZ_REQUIRE(pthread_atfork(NULL, NULL, in_reader) == 0);
    share_counters();
    FUZZ_REQUIRE(H5open() >= 0); /* once, not in each fork */
}

static int begins_with(const uint8_t *bytes, size_t size, const char *magic, size_t length)
{
    return size >= length && memcmp(bytes, magic, length) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_graph graph;
    sal_import_info info;
    static const sal_limits limits = {.max_model_bytes = (uint64_t)1 << 24, .max_nodes = 10000};
    const sal_model_options options = {.limits = &limits};
    if (!reported)
        begin();
    if (!begins_with(bytes, size, "\x89HDF\r\n\x1a\n", 8) && !begins_with(bytes, size, "PK\x03\x04", 4))
        return -1;
    /* libhdf5 looks for the folder that a file lies in. */
    const char *path = fuzz_path("model.h5");
    fuzz_write(path, bytes, size);
    const int ok = fuzz_is_ok(sal_import(&graph, &info, path, &options));
    FUZZ_REQUIRE(!*reported);
    FUZZ_REQUIRE(!ok || graph.count > 0);
    if (ok)
        (void)fuzz_is_ok(sal_passes_run(&graph));
    sal_graph_clear(&graph);
    return 0;
}
