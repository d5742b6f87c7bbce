/* A damaged run that goes on: what is there is looked at, one more result is stored. */
#include "run_database.h"

#include "results/run_names.h"

#include <string.h>

static void take(void *context, float score)
{
    (void)context;
    (void)score;
}

static sal_status go_on(sal_store *store, const sal_dataset *list, const char *settings)
{
    sal_status st = SAL_OK;
    sal_run_names names = {0};
    unsigned char known[16] = {0};
    const sal_result result = {.picture = 1, .status = SAL_OK, .bytes = 100, .width = 3, .height = 2, .correct = -1};
    FUZZ_REQUIRE(list->count <= sizeof known);
    TRY(sal_store_known(known, store));
    for (size_t i = 0; i < sizeof known; i++)
        FUZZ_REQUIRE(known[i] <= (i < list->count ? SAL_KNOWN_TRY_AGAIN : SAL_KNOWN_NOT));
    TRY(sal_store_check_files(store));
    TRY(sal_store_scores(store, 1, take, NULL));
    TRY(sal_store_add(store, &result));
    TRY(sal_store_flush(store));
    TRY(sal_run_names_make(&names, list, settings));
    TRY(sal_store_keep_top(store, 1, fuzz_folder(), &names));
done:
    sal_run_names_clear(&names);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_store *store = NULL;
    const sal_dataset *list = run_database_list();
    const sal_run run = run_database_run(0, 1);
    const char *path = fuzz_path(SAL_STORE_WHOLE);
    fuzz_remove(fuzz_path(SAL_STORE_WHOLE "-wal"));
    fuzz_remove(fuzz_path(SAL_STORE_WHOLE "-journal"));
    run_database_damage(path, 0, 1, bytes, size);
    if (fuzz_is_ok(sal_run_settle(path)) &&
        fuzz_is_ok(sal_store_open(&store, path, fuzz_folder(), &run, list, "cpu"))) {
        const sal_status st = go_on(store, list, run.settings);
        (void)fuzz_is_ok(st);
        (void)fuzz_is_ok(sal_store_close(store, fuzz_is_ok(st) ? "complete" : sal_last_error()));
    }
    return 0;
}
