/* What there is to compute with, as rows for people. */
#include "backend/backend.h"

#include <stdio.h>
#include <string.h>

static sal_check check_cpu(void)
{
    sal_check row = {.name = "cpu"};
    const sal_device_options options = {0};
    const sal_backend *backend;
    const char *spec;
    sal_device *device = NULL;
    sal_status st = sal_backend_find(&backend, &spec, "cpu");
    if (st == SAL_OK)
        st = backend->open(&device, spec, &options);
    if (st == SAL_OK) {
        snprintf(row.found, sizeof row.found, "%s", backend->describe(device) + strlen("cpu: "));
        backend->close(device);
    } else {
        row.state = SAL_CHECK_FAILED;
        snprintf(row.found, sizeof row.found, "%s", sal_last_error());
    }
    return row;
}

int sal_device_count(const char *kind)
{
    const sal_backend *backend;
    const char *spec;
    if (!kind || sal_backend_find(&backend, &spec, kind) != SAL_OK)
        return 0;
    return backend->present ? backend->present() : 1;
}

size_t sal_system_check(sal_check *out, size_t capacity)
{
    const sal_backend *backend;
    const char *spec;
    if (!out || capacity == 0)
        return 0;
    out[0] = check_cpu();
    if (capacity == 1)
        return 1;
    if (sal_backend_find(&backend, &spec, "cuda") == SAL_OK)
        return backend->check ? backend->check(out, 1, capacity) : 1;
    out[1] = (sal_check){.name = "cuda",
                         .state = SAL_CHECK_MISSING,
                         .found = "not built in",
                         .advice = "for GPUs: install NVIDIA's packages cuda-toolkit and cudnn, and build with "
                                   "-DSAL_CUDA=ON"};
    return 2;
}
