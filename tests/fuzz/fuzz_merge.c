/* Two shards, of which one is damaged, merged into another folder. What was merged can be exported. */
#include "run_database.h"

#include <string.h>

enum { SHARDS = 2 };

static int ignore(void *context, const char *bytes, size_t size)
{
    (void)context;
    (void)bytes;
    (void)size;
    return 0;
}

/* What the shards have beside their results. */
static void begin(void)
{
    const sal_run run = run_database_run(0, SHARDS);
    static const char *const folders[] = {SAL_STORE_SHARDS, SAL_RUN_MAPS, "maps/000", SAL_RUN_OVERLAYS, "overlays/000"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        fuzz_write(fuzz_path("%s", folders[i]), NULL, 0);
    for (int name = 'a'; name <= 'b'; name++) {
        fuzz_write(fuzz_path("maps/000/%c.npy", name), "map", 3);
        fuzz_write(fuzz_path("overlays/000/%c.overlay.png", name), "overlay", 7);
    }
    FUZZ_REQUIRE(sal_run_describe(fuzz_folder(), &run, run_database_list(), NULL, 0, 0) == SAL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static int begun;
    sal_merge_info info = SAL_MERGE_INFO_INIT;
    const sal_export_options options = {.size = sizeof(sal_export_options), .format = SAL_EXPORT_CSV};
    if (!begun++)
        begin();
    const char *folder = fuzz_folder();
    /* Either shard may be the damaged one, the first and the later ones are not read alike. */
    for (int64_t damaged = 0; damaged < SHARDS; damaged++) {
        for (int64_t k = 0; k < SHARDS; k++) {
            const char *path = fuzz_path(SAL_STORE_SHARDS "/%d-of-%d.sqlite", (int)k, SHARDS);
            if (k == damaged)
                run_database_damage(path, k, SHARDS, bytes, size);
            else
                run_database_write(path, k, SHARDS);
        }
        const char *out = fuzz_path("merged");
        if (fuzz_is_ok(sal_sweep_merge(&info, &folder, 1, out)))
            FUZZ_REQUIRE(sal_sweep_export(out, NULL, ignore, NULL, &options) == SAL_OK);
        fuzz_remove(out);
    }
    return 0;
}
