/* A damaged run as CSV and as JSON. What is exported is JSON. */
#include "run_database.h"

#include <jansson.h>

/* Text as it comes, line by line. */
typedef struct lines {
    char text[1 << 16];
    size_t used;
    int json;
} lines;

static int take(void *context, const char *bytes, size_t size)
{
    lines *l = context;
    for (size_t i = 0; l->json && i < size; i++) {
        if (l->used == sizeof l->text)
            return 1; /* stops it */
        if (bytes[i] != '\n') {
            l->text[l->used++] = bytes[i];
            continue;
        }
        json_t *value = json_loadb(l->text, l->used, JSON_ALLOW_NUL, NULL);
        FUZZ_REQUIRE(json_is_object(value));
        json_decref(value);
        l->used = 0;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static lines l;
    run_database_damage(fuzz_path(SAL_STORE_WHOLE), 0, 1, bytes, size);
    for (int k = 0; k < 4; k++) {
        const sal_export_options options = {
            .size = sizeof(sal_export_options), .format = k & 1 ? SAL_EXPORT_JSON : SAL_EXPORT_CSV, .timings = k >= 2};
        l.json = k & 1;
        l.used = 0;
        (void)fuzz_is_ok(sal_sweep_export(fuzz_folder(), NULL, take, &l, &options));
    }
    return 0;
}
