/* Any bytes as a list of pictures. What is accepted comes back from its plainest form as it was. */
#include "support.h"

#include "dataset/dataset.h"

#include <stdlib.h>
#include <string.h>

static sal_status open_list(sal_dataset **out, const void *bytes, size_t size)
{
    const char *path = fuzz_path("list.csv");
    const sal_dataset_options options = {.size = sizeof(sal_dataset_options), .root = "pictures"};
    fuzz_write(path, bytes, size);
    return sal_dataset_open(out, &path, 1, &options);
}

static void require_same(const sal_dataset *a, const sal_dataset *b)
{
    size_t added;
    const char *first;
    FUZZ_REQUIRE(a->count == b->count && a->column_count == b->column_count);
    FUZZ_REQUIRE(a->path_column == b->path_column && a->label_column == b->label_column);
    for (int k = 0; k < a->column_count; k++)
        FUZZ_REQUIRE(strcmp(a->columns[k], b->columns[k]) == 0);
    for (size_t i = 0; i < a->count; i++)
        for (int k = 0; k < a->column_count; k++)
            FUZZ_REQUIRE(strcmp(sal_dataset_field(a, i, k), sal_dataset_field(b, i, k)) == 0);
    FUZZ_REQUIRE(sal_dataset_added(&added, &first, a, b) == SAL_OK && added == 0);
}

/* Every picture belongs to one shard. */
static void check_shards(const sal_dataset *d)
{
    enum { SHARDS = 3 };
    for (size_t i = 0; i < d->count; i++) {
        int shards = 0;
        for (int64_t k = 0; k < SHARDS; k++)
            shards += sal_dataset_in_shard(d, i, k, SHARDS);
        FUZZ_REQUIRE(shards == 1);
        FUZZ_REQUIRE(strlen(sal_dataset_file(d, i)) > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_dataset *list = NULL, *again = NULL;
    char *text = NULL, *text_again = NULL;
    size_t length, length_again;
    if (!fuzz_is_ok(open_list(&list, bytes, size)))
        return 0;
    FUZZ_REQUIRE(list->count > 0);
    check_shards(list);
    FUZZ_REQUIRE(sal_dataset_text(&text, &length, list) == SAL_OK);
    FUZZ_REQUIRE(open_list(&again, text, length) == SAL_OK);
    require_same(list, again);
    FUZZ_REQUIRE(sal_dataset_text(&text_again, &length_again, again) == SAL_OK);
    FUZZ_REQUIRE(length == length_again && memcmp(text, text_again, length) == 0);
    free(text_again);
    free(text);
    sal_dataset_close(again);
    sal_dataset_close(list);
    return 0;
}
