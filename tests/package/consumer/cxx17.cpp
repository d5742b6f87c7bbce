// A user's C++ program.
#include <salmap/plan.h>
#include <salmap/salmap.h>

#include <cstdio>
#include <memory>

int main()
{
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
