/* A user's C program: calls that need the model reader, the back end and the maps linked in. Its arguments are models
 * that can be opened. */
#include "inits.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", SALMAP_VERSION_MAJOR, SALMAP_VERSION_MINOR, SALMAP_VERSION_PATCH);
    if (strcmp(sal_version(), version) != 0) {
        fprintf(stderr, "header %s, library %s\n", version, sal_version());
        return 1;
    }
    if (!inits_are_right()) {
        fprintf(stderr, "an initialiser does not set the size or the defaults of its struct\n");
        return 1;
    }
    sal_model *model = NULL;
    if (sal_model_open(&model, "/nonexistent/model.onnx", NULL) != SAL_ERROR_IO || model != NULL) {
        fprintf(stderr, "a missing model is not an I/O error: %s\n", sal_last_error());
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        if (sal_model_open(&model, argv[i], NULL) != SAL_OK) {
            fprintf(stderr, "%s\n", sal_last_error());
            return 1;
        }
        sal_model_close(model);
    }
    sal_engine_close(NULL);
    const float gradient[4] = {0.0f, 1.0f, -2.0f, 4.0f};
    const sal_map_options options = {.size = sizeof options, .sigma = 0.0};
    float map[4];
    sal_map_stats stats;
    if (sal_map_make(map, &stats, gradient, 1, 2, 2, &options) != SAL_OK || stats.peak != 4.0f) {
        fprintf(stderr, "map: %s\n", sal_last_error());
        return 1;
    }
    printf("salmap %s\n", sal_version());
    return 0;
}
