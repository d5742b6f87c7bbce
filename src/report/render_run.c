/* What a run says of all its pictures, read from its settings. */
#include "report/render.h"
#include "results/settings_lines.h"

#include "base/memory.h"
#include "base/placement.h"
#include "base/plain_locale.h"
#include "dataset/classes.h"
#include "image/fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sal_status fail_setting(const render_run *run, const char *name, const char *value)
{
    return sal_fail(SAL_ERROR_FORMAT, "%s/" SAL_RUN_JSON ": this version does not know the setting %s '%s'",
                    run->kept.folder.path, name, value);
}

static void read_target(sal_target *asked, const char *value)
{
    if (strcmp(value, "margin") == 0)
        asked->kind = SAL_TARGET_MARGIN;
    else if (strcmp(value, "mean") == 0)
        asked->kind = SAL_TARGET_MEAN;
}

static int read_word(int *out, const char *words, const char *value)
{
    *out = sal_word_value(words, value);
    return *out >= 0;
}

static sal_status read_setting(void *context, const char *name, const char *value)
{
    render_run *run = context;
    int word = 0, fine = 1;
    if (sal_settings_is_of_preprocess(name)) {
        fine = sal_preprocess_set(&run->preprocess, name, value) == SAL_OK;
    } else if (strcmp(name, "target") == 0) {
        read_target(&run->asked, value);
    } else if (strcmp(name, "score") == 0) {
        fine = read_word(&word, SAL_WORDS_SCORE, value);
        run->asked.score = (sal_score)word;
    } else if (strcmp(name, "normalize") == 0) {
        fine = read_word(&word, SAL_WORDS_NORMALIZE, value);
        run->normalize = (sal_normalize)word;
    } else if (strcmp(name, "sigma") == 0) {
        fine = sal_plain_number(&run->sigma, value);
    } else if (strcmp(name, "raw-map") == 0) {
        run->raw_map = 1;
    } else if (strcmp(name, "input-size") == 0) {
        long long height, width;
        fine = sscanf(value, "%lldx%lld", &height, &width) == 2 && height > 0 && width > 0;
        run->input_height = fine ? height : 0;
        run->input_width = fine ? width : 0;
    }
    return fine ? SAL_OK : fail_setting(run, name, value);
}

static sal_status read_classes(render_run *run)
{
    sal_status st = SAL_OK;
    char *names = NULL;
    TRY(sal_kept_setting(&names, &run->kept, SAL_SETTINGS_CLASS_NAMES));
    if (names)
        st = sal_classes_parse(&run->classes, names, strlen(names), run->kept.folder.path);
done:
    free(names);
    return st;
}

static sal_status read_settings(render_run *run)
{
    sal_status st = SAL_OK;
    TRY(sal_preprocess_preset(&run->preprocess, "raw"));
    TRY(sal_settings_each(run->kept.facts.description.settings, read_setting, run));
    TRY(sal_kept_setting(&run->method, &run->kept, "method"));
    TRY(sal_kept_setting(&run->layer, &run->kept, "cam-layer"));
    run->attribution = (sal_attribution_info){.size = sizeof run->attribution,
                                              .method = run->method ? run->method : sal_settings_unsaid("method"),
                                              .layer = run->layer};
    st = read_classes(run);
done:
    return st;
}

sal_status render_run_open(render_run *out, const char *path, const char *root)
{
    sal_status st = SAL_OK;
    char sha256[SAL_DIGEST_SIZE];
    *out = (render_run){.kept = {.folder = {.fd = -1}}};
    TRY(sal_kept_open(&out->kept, path));
    if (!out->kept.facts.list) {
        st = sal_fail(SAL_ERROR_IO,
                      "%s: there is no " SAL_RUN_JSON " with a " SAL_RUN_MANIFEST
                      " in it, which say where its pictures are",
                      path);
        goto done;
    }
    TRY(read_settings(out));
    root = root ? root : out->kept.root;
    st = sal_run_list_open(&out->list, sha256, &out->kept.folder, root && !*root ? "." : root,
                           out->kept.facts.description.settings);
done:
    if (st != SAL_OK)
        render_run_close(out);
    return st;
}

void render_run_close(render_run *run)
{
    sal_kept_close(&run->kept);
    sal_dataset_close(run->list);
    sal_classes_close(run->classes);
    free(run->method);
    free(run->layer);
    *run = (render_run){.kept = {.folder = {.fd = -1}}};
}

sal_status render_place(sal_placement *out, const render_run *run, const sal_picture *picture, int64_t height,
                        int64_t width)
{
    sal_status st = SAL_OK;
    /* A map is as large as the input, unless it was to be as a layer is; stretched, both lie alike on the picture. */
    const int is_told = run->raw_map && run->input_height > 0;
    sal_axis y = {.source = picture->height, .net = is_told ? run->input_height : height};
    sal_axis x = {.source = picture->width, .net = is_told ? run->input_width : width};
    if (run->raw_map && !is_told && run->preprocess.fit != SAL_FIT_STRETCH)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "maps of --raw-map are not as large as the input, and where that lay on "
                                               "a picture that was cropped or padded is not known without the model: "
                                               "run salmap sweep again with other colours");
    TRY(sal_fit_place(&y, &x, &run->preprocess));
    sal_fit_describe(out, &y, &x, run->preprocess.grid);
    *out = sal_placement_of_map(out, height, width);
done:
    return st;
}
