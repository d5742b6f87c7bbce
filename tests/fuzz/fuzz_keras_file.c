/* Any bytes as a Keras file, .h5 or .keras, with libhdf5 and libzip: import, then the passes on what was accepted.
 *
 * HDF5 is read by a process of its own, which may break down over a damaged file: the file is refused then, and so that
 * is no finding. What a sanitizer reports there is one. */
#include "support.h"

#include "graph/passes.h"
#include "import/import.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

/* Where the reading process says that a sanitizer ended it: memory of both. */
static volatile int *reported;

#ifdef __SANITIZE_ADDRESS__ /* gcc's word for it */
#define FUZZ_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_ADDRESS_SANITIZER
#endif
#endif

#ifdef FUZZ_ADDRESS_SANITIZER
void __sanitizer_set_death_callback(void (*callback)(void));

static void report(void)
{
    *reported = 1;
}

/* libFuzzer's own callback would write the input down, and this process go on. */
static void in_reader(void)
{
    __sanitizer_set_death_callback(report);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_graph graph;
    sal_import_info info;
    const sal_model_options options = {.limits = {.max_model_bytes = (uint64_t)1 << 24, .max_nodes = 10000}};
    if (!reported)
        begin();
    const char *path = fuzz_file(bytes, size);
    if (!sal_keras_is(path))
        return -1;
    const int ok = fuzz_is_ok(sal_keras_read(&graph, &info, path, &options));
    FUZZ_REQUIRE(!*reported);
    FUZZ_REQUIRE(!ok || graph.count > 0);
    if (ok)
        (void)fuzz_is_ok(sal_passes_run(&graph));
    sal_graph_clear(&graph);
    return 0;
}
