// A user's C++ program.
#include "inits.h"

#include <cstdio>
#include <memory>

int main()
{
    if (!inits_are_right())
        return 1;
    sal_map_options options = SAL_MAP_OPTIONS_INIT;
    options.sigma = 0.0;
    const float gradient[] = {0.0F, 1.0F, -2.0F, 4.0F};
    float map[4];
    if (sal_map_make(map, nullptr, gradient, 1, 2, 2, &options) != SAL_OK || map[0] != 0.0F)
        return 1;
    sal_model *raw = nullptr;
    if (sal_model_open(&raw, "/nonexistent/model.onnx", nullptr) != SAL_ERROR_IO)
        return 1;
    std::unique_ptr<sal_model, decltype(&sal_model_close)> model(raw, &sal_model_close);
    sal_preprocess preprocess{};
    if (sal_preprocess_preset(&preprocess, "imagenet") != SAL_OK)
        return 1;
    std::printf("salmap %s\n", sal_version());
    return model ? 1 : 0;
}
