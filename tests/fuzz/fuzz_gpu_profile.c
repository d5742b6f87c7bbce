/* Any bytes as the description of a GPU. */
#include "support.h"

#include "api/gpu_profile.h"

#include <math.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    sal_gpu_profile p;
    if (fuzz_is_ok(sal_gpu_profile_open(&p, fuzz_file(bytes, size)))) {
        const size_t length = strlen(p.cudnn);
        FUZZ_REQUIRE(length >= 2 && length <= size && p.cudnn[0] == '{' && p.cudnn[length - 1] == '}');
        FUZZ_REQUIRE(isfinite(p.memory) && p.memory >= 1);
        for (int k = SAL_PRECISION_FP32; k <= SAL_PRECISION_FP16; k++)
            FUZZ_REQUIRE(isfinite(p.flops[k]) && p.flops[k] >= 0);
    }
    sal_gpu_profile_clear(&p);
    return 0;
}
