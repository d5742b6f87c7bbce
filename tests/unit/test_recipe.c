/* Whole pipelines by name, and from the files that come with networks. */
#include "test_image_support.h"

#include <stdlib.h>
#include <unistd.h>

static sal_preprocess recipe(const char *name, int says_values)
{
    int said = -1;
    sal_preprocess p = {0};
    cr_expect_eq(sal_preprocess_recipe(&p, &said, name), SAL_OK, "%s: %s", name, sal_last_error());
    cr_expect_eq(said, says_values, "%s", name);
    cr_expect_eq(p.alpha, SAL_ALPHA_DROP, "%s", name);
    return p;
}

Test(recipe, says_what_each_loader_does)
{
    sal_preprocess p = recipe("keras-load-img", 0);
    cr_expect(p.resample == SAL_RESAMPLE_NEAREST && p.rounding == SAL_ROUND_PASSES && p.exif == SAL_EXIF_IGNORE);
    cr_expect(p.scale == 0.0F && p.value_count == 0 && p.order == SAL_ORDER_AUTO);
    p = recipe("keras-image-dataset", 1);
    cr_expect(p.resample == SAL_RESAMPLE_BILINEAR && p.antialias == SAL_ANTIALIAS_OFF && p.rounding == SAL_ROUND_NONE);
    cr_expect(p.scale == 1.0F && p.value_count == 0 && p.exif == SAL_EXIF_IGNORE);
    p = recipe("tf-image", 0);
    cr_expect(p.antialias == SAL_ANTIALIAS_OFF && p.scale == 0.0F && p.jpeg_dct == SAL_JPEG_DCT_FAST);
    p = recipe("torchvision", 1);
    cr_expect(p.fit == SAL_FIT_CENTER_CROP && p.crop_share == 0.875F && p.rounding == SAL_ROUND_PASSES);
    cr_expect(p.antialias == SAL_ANTIALIAS_ON && p.value_count == 3 && p.mean[0] == 0.485F);
    p = recipe("timm", 1);
    cr_expect(p.resample == SAL_RESAMPLE_BICUBIC && p.crop_share == 0.875F && p.std[2] == 0.225F);
    p = recipe("opencv", 0);
    cr_expect(p.order == SAL_ORDER_BGR && p.rounding == SAL_ROUND_OPENCV && p.exif == SAL_EXIF_APPLY);
}

Test(recipe, of_keras_applications_has_the_preprocess_input_of_each_network)
{
    sal_preprocess p = recipe("keras-applications:resnet50", 1);
    cr_expect(p.order == SAL_ORDER_BGR && p.mean[0] == 103.939F && p.resample == SAL_RESAMPLE_NEAREST);
    p = recipe("keras-applications:ResNet50V2", 1);
    cr_expect(p.value_count == 1 && p.mean[0] == 1.0F && p.order == SAL_ORDER_AUTO);
    p = recipe("keras-applications:mobilenet_v2", 1);
    cr_expect(p.value_count == 1);
    p = recipe("keras-applications:DenseNet121", 1);
    cr_expect(p.value_count == 3 && p.std[0] == 0.229F);
    static const char *const inside[] = {"EfficientNetB0", "efficientnet-v2-s", "MobileNetV3Small",
                                         "ConvNeXtTiny",   "RegNetX002",        "ResNetRS50"};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        char name[64];
        snprintf(name, sizeof name, "keras-applications:%s", inside[i]);
        p = recipe(name, 1);
        cr_expect(p.scale == 1.0F && p.value_count == 0, "%s", name);
    }
}

Test(recipe, replaces_the_fit_of_another_and_keeps_open_values)
{
    sal_preprocess p = {0};
    cr_assert_eq(sal_preprocess_set(&p, "recipe", "torchvision"), SAL_OK);
    cr_assert_eq(sal_preprocess_set(&p, "recipe", "keras-load-img"), SAL_OK);
    cr_expect(p.fit == SAL_FIT_STRETCH && p.crop_share == 0.0F && p.mean[0] == 0.485F);
}

Test(recipe, that_is_unknown_is_refused_with_the_list)
{
    static const char *const wrong[] = {"keras",
                                        "",
                                        "keras-applications:",
                                        "keras-applications:vgg",
                                        "torchvision2",
                                        "keras-applications:resnet50v3",
                                        "keras-applications:densenet",
                                        "Torchvision"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sal_preprocess p = {0};
        const sal_preprocess before = p;
        cr_expect_eq(sal_preprocess_set(&p, "recipe", wrong[i]), SAL_ERROR_ARGUMENT, "%s", wrong[i]);
        cr_expect_not_null(strstr(sal_last_error(), "keras-image-dataset"), "%s", sal_last_error());
        cr_expect_not_null(strstr(sal_last_error(), "keras-applications:resnetrs*"), "%s", sal_last_error());
        cr_expect_eq(memcmp(&p, &before, sizeof p), 0);
    }
}

Test(recipe, table_can_be_listed)
{
    cr_assert_gt(sal_recipe_count(), 6);
    for (size_t i = 0; i < sal_recipe_count(); i++) {
        sal_recipe_info info = SAL_RECIPE_INFO_INIT;
        char name[64];
        int said;
        sal_preprocess p = {0};
        cr_assert_eq(sal_recipe_get_info(&info, i), SAL_OK);
        snprintf(name, sizeof name, "%s", info.name);
        if (strchr(name, '*'))
            *strchr(name, '*') = 'x';
        cr_expect_eq(sal_preprocess_recipe(&p, &said, name), SAL_OK, "%s", name);
        cr_expect_eq(said, info.says_values, "%s", name);
        cr_expect(strlen(info.summary) > 10);
    }
    sal_recipe_info info = SAL_RECIPE_INFO_INIT;
    cr_expect_eq(sal_recipe_get_info(&info, sal_recipe_count()), SAL_ERROR_ARGUMENT);
}

/* ---- Files --------------------------------------------------------------- */

static sal_status read_text(sal_preprocess *p, sal_recipe_file *said, const char *text)
{
    char path[] = "/tmp/salmap-recipe-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    const sal_status st = sal_preprocess_read_recipe(p, said, path);
    unlink(path);
    return st;
}

typedef struct wanted {
    const char *text;
    sal_fit fit;
    int64_t crop_resize;
    int64_t side;
    sal_resample resample;
    sal_antialias antialias;
    sal_rounding rounding;
    float scale;
    float mean; /* the first; of none: 0 */
    sal_crop_round crop_round;
    const char *ignored; /* one of those */
} wanted;

static void expect(const wanted *w, size_t count)
{
    for (size_t i = 0; i < count; i++, w++) {
        sal_preprocess p;
        sal_recipe_file said = SAL_RECIPE_FILE_INIT;
        cr_expect_eq(read_text(&p, &said, w->text), SAL_OK, "%zu: %s", i, sal_last_error());
        cr_expect_eq((int)p.fit, (int)w->fit, "%zu: fit %d", i, (int)p.fit);
        cr_expect_eq(p.crop_resize, w->crop_resize, "%zu: %lld", i, (long long)p.crop_resize);
        cr_expect_eq(said.height, w->side, "%zu: %lld", i, (long long)said.height);
        cr_expect_eq(said.width, w->side, "%zu", i);
        cr_expect(p.resample == w->resample && p.antialias == w->antialias && p.rounding == w->rounding,
                  "%zu: %d %d %d", i, (int)p.resample, (int)p.antialias, (int)p.rounding);
        cr_expect(fabsf(p.scale - w->scale) < 1e-9F, "%zu: scale %g", i, (double)p.scale);
        cr_expect_eq(p.value_count ? p.mean[0] : 0.0F, w->mean, "%zu", i);
        cr_expect_eq(p.crop_round, w->crop_round, "%zu", i);
        cr_expect(!w->ignored || strstr(said.ignored, w->ignored), "%zu: %s", i, said.ignored);
        cr_expect_eq(p.alpha, SAL_ALPHA_DROP);
        cr_expect_eq(p.exif, SAL_EXIF_IGNORE);
    }
}

#define UNIT (1.0F / 255.0F)
#define VIT                                                                                                            \
    "{\"image_processor_type\": \"ViTImageProcessor\", \"do_resize\": true, \"size\": {\"height\": 224, \"width\": "   \
    "224}, \"resample\": 2, \"do_rescale\": true, \"rescale_factor\": 0.00392156862745098, \"do_normalize\": true, "   \
    "\"image_mean\": [0.5, 0.5, 0.5], \"image_std\": [0.5, 0.5, 0.5]"
#define CLIP                                                                                                           \
    "{\"feature_extractor_type\": \"CLIPFeatureExtractor\", \"size\": 224, \"do_resize\": true, \"do_center_crop\": "  \
    "true, \"crop_size\": 224, \"resample\": 3, \"do_normalize\": true, \"image_mean\": [0.48145466, 0.4578275, "      \
    "0.40821073], \"image_std\": [0.26862954, 0.26130258, 0.27577711]"

Test(file, of_hugging_face_is_read)
{
    static const wanted files[] = {
        {VIT "}", SAL_FIT_STRETCH, 0, 224, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_PASSES, UNIT, 0.5F, 1, NULL},
        {VIT ", \"do_pad\": false, \"pad_size\": null, \"processor_class\": \"X\"}", SAL_FIT_STRETCH, 0, 224,
         SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_PASSES, UNIT, 0.5F, 1, "do_pad, pad_size, processor_class"},
        {CLIP "}", SAL_FIT_CENTER_CROP, 224, 224, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.48145466F, 1,
         NULL},
        {"{\"do_resize\": true, \"size\": {\"shortest_edge\": 256}, \"crop_size\": {\"height\": 240, \"width\": 240}, "
         "\"resample\": 0, \"do_rescale\": false, \"do_normalize\": false}",
         SAL_FIT_CENTER_CROP, 256, 240, SAL_RESAMPLE_NEAREST, 0, SAL_ROUND_PASSES, 1.0F, 0.0F, 1, NULL},
        /* DeiT: stretched to 256, and the middle of that */
        {"{\"do_resize\": true, \"size\": {\"height\": 256, \"width\": 256}, \"do_center_crop\": true, \"crop_size\": "
         "{\"height\": 224, \"width\": 224}, \"resample\": 3, \"rescale_factor\": 0.00784313725490196, "
         "\"do_normalize\": false}",
         SAL_FIT_STRETCH_CROP, 256, 224, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, 2.0F / 255.0F, 0.0F, 1, NULL},
        /* null is false: nothing is cut out, rescaled or normalised */
        {VIT ", \"do_center_crop\": null, \"crop_size\": 192}", SAL_FIT_STRETCH, 0, 224, SAL_RESAMPLE_BILINEAR, 0,
         SAL_ROUND_PASSES, UNIT, 0.5F, 1, NULL},
        {"{\"do_resize\": true, \"size\": {\"height\": 224, \"width\": 224}, \"resample\": 2, \"do_rescale\": null, "
         "\"do_normalize\": null, \"image_mean\": [0.5], \"image_std\": [0.5]}",
         SAL_FIT_STRETCH, 0, 224, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_PASSES, 1.0F, 0.0F, 1, NULL},
        /* ConvNeXt: by crop_pct below 384 pixels, else stretched */
        {"{\"crop_pct\": 0.875, \"do_resize\": true, \"size\": {\"shortest_edge\": 224}, \"resample\": 3, "
         "\"do_rescale\": true, \"rescale_factor\": 0.00392156862745098}",
         SAL_FIT_CENTER_CROP, 256, 224, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.0F, 1, NULL},
        {"{\"crop_pct\": 0.875, \"do_resize\": true, \"size\": {\"shortest_edge\": 384}, \"resample\": 3, "
         "\"do_rescale\": true, \"rescale_factor\": 0.00392156862745098}",
         SAL_FIT_STRETCH, 0, 384, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.0F, 1, NULL},
    };
    expect(files, sizeof files / sizeof *files);
}

Test(file, of_timm_is_read)
{
    static const wanted files[] = {
        {"{\"architecture\": \"resnet50\", \"num_classes\": 1000, \"pretrained_cfg\": {\"tag\": \"a1_in1k\", "
         "\"input_size\": [3, 224, 224], \"test_input_size\": [3, 288, 288], \"test_crop_pct\": 1.0, "
         "\"interpolation\": \"bicubic\", \"crop_pct\": 0.95, \"crop_mode\": \"center\", \"mean\": [0.1, 0.2, 0.3], "
         "\"std\": [0.229, 0.224, 0.225]}}",
         SAL_FIT_CENTER_CROP, 235, 224, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.1F, 0, "test_input_size"},
        {"{\"input_size\": [3, 299, 299], \"interpolation\": \"bilinear\"}", SAL_FIT_CENTER_CROP, 341, 299,
         SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_PASSES, UNIT, 0.485F, 0, NULL},
        {"{\"input_size\": [3, 224, 224], \"crop_mode\": \"squash\", \"crop_pct\": 0.875}", SAL_FIT_STRETCH_CROP, 256,
         224, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.485F, 0, NULL},
        {"{\"input_size\": [3, 384, 384], \"crop_mode\": \"squash\", \"crop_pct\": 1}", SAL_FIT_STRETCH, 0, 384,
         SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.485F, 0, NULL},
    };
    expect(files, sizeof files / sizeof *files);
}

#define WEIGHTS                                                                                                        \
    "ImageClassification(crop_size=[192], resize_size=[232], mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], "  \
    "interpolation=InterpolationMode.BILINEAR)"
#define IMAGENET "Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])\n"

Test(file, of_printed_transforms_is_read)
{
    static const wanted files[] = {
        {"Compose(\n    Resize(size=256, interpolation=bilinear, max_size=None, antialias=True)\n    "
         "CenterCrop(size=(224, 224))\n    ToTensor()\n    " IMAGENET ")\n",
         SAL_FIT_CENTER_CROP, 256, 224, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_PASSES, UNIT, 0.485F, 0, NULL},
        {"ImageClassification(\n    crop_size=[224]\n    resize_size=[232]\n    mean=[0.485, 0.456, 0.406]\n    "
         "std=[0.229, 0.224, 0.225]\n    interpolation=InterpolationMode.BICUBIC\n)",
         SAL_FIT_CENTER_CROP, 232, 224, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.485F, 0, NULL},
        /* timm's */
        {"Compose(\n    Resize(size=(256, 256), interpolation=bicubic, max_size=None, antialias=True)\n    "
         "CenterCrop(size=(224, 224))\n    MaybeToTensor()\n    Normalize(mean=tensor([0.4850, 0.4560, 0.4060]), "
         "std=tensor([0.2290, 0.2240, 0.2250]))\n)",
         SAL_FIT_STRETCH_CROP, 256, 224, SAL_RESAMPLE_BICUBIC, 0, SAL_ROUND_PASSES, UNIT, 0.485F, 0, NULL},
        /* version 2: 8-bit tensors are resized */
        {"Compose(\n      ToImage()\n      RGB()\n      Resize(size=[224, 224], "
         "interpolation=InterpolationMode.BILINEAR, "
         "antialias=True)\n      ToDtype(scale=True)\n      Normalize(mean=[0.5], std=[0.5], inplace=False)\n)",
         SAL_FIT_STRETCH, 0, 224, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_TORCH, UNIT, 0.5F, 0, "RGB"},
        /* its first ToDtype is to 8 bits, which is not printed: torchvision's own example */
        {"Compose(\n      ToImage()\n      ToDtype(scale=True)\n      Resize(size=[256], "
         "interpolation=InterpolationMode.BILINEAR, antialias=True)\n      CenterCrop(size=(192, 192))\n      "
         "ToDtype(scale=True)\n      " IMAGENET ")",
         SAL_FIT_CENTER_CROP, 256, 192, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_TORCH, UNIT, 0.485F, 0, NULL},
        {"Compose(ToImage() ToDtype(scale=False) Resize(size=(8, 8), antialias=True) ToDtype(scale=False))",
         SAL_FIT_STRETCH, 0, 8, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_TORCH, 1.0F, 0.0F, 0, NULL},
        /* one alone is to floats; two before, and what is resized are floats */
        {"Compose(ToImage() ToDtype(scale=True) Resize(size=(8, 8), antialias=True) " IMAGENET ")", SAL_FIT_STRETCH, 0,
         8, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_NONE, UNIT, 0.485F, 0, NULL},
        {"Compose(ToImage() ToDtype(scale=True) ConvertImageDtype() Resize(size=(8, 8), antialias=True))",
         SAL_FIT_STRETCH, 0, 8, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_NONE, UNIT, 0.0F, 0, NULL},
        {"Compose(ToTensor() " WEIGHTS ")", SAL_FIT_CENTER_CROP, 232, 192, SAL_RESAMPLE_BILINEAR, 0, SAL_ROUND_NONE,
         UNIT, 0.485F, 0, NULL},
        /* floats, and no antialias before it was the default */
        {"Compose(\n ToTensor()\n Resize(size=[96], interpolation=bicubic, max_size=None, antialias=None)\n "
         "CenterCrop(size=96)\n)",
         SAL_FIT_CENTER_CROP, 96, 96, SAL_RESAMPLE_CUBIC75, 1, SAL_ROUND_NONE, UNIT, 0.0F, 0, NULL},
        {"Compose(Resize(size=(64, 64), interpolation=PIL.Image.LANCZOS), PILToTensor())", SAL_FIT_STRETCH, 0, 64,
         SAL_RESAMPLE_LANCZOS, 0, SAL_ROUND_PASSES, 1.0F, 0.0F, 0, NULL},
    };
    expect(files, sizeof files / sizeof *files);
    sal_preprocess p;
    cr_assert_eq(
        read_text(&p, NULL, "Compose(PILToTensor() Resize(size=(8, 8), interpolation=nearest, antialias=True))"),
        SAL_OK);
    cr_expect(p.grid == SAL_GRID_ASYMMETRIC && p.resample == SAL_RESAMPLE_NEAREST);
    cr_assert_eq(
        read_text(&p, NULL,
                  "Compose(Grayscale(num_output_channels=1) Resize(size=(8, 8), interpolation=box) ToTensor())"),
        SAL_OK);
    cr_expect(p.order == SAL_ORDER_GRAY && p.resample == SAL_RESAMPLE_BOX);
}

Test(file, that_asks_for_what_is_impossible_is_refused_by_name)
{
    static const struct {
        const char *text;
        const char *named;
    } bad[] = {
        {VIT ", \"do_pad\": true}", "do_pad"},
        {VIT ", \"sharpen\": 2}", "sharpen"},
        {VIT ", \"do_center_crop\": true}", "crop_size"},
        {VIT ", \"do_rescale\": 1}", "twice"}, /* jansson: the key is there twice */
        {CLIP ", \"rescale_factor\": \"x\"}", "rescale_factor"},
        {"{\"do_resize\": false, \"size\": 224}", "do_resize"},
        {"{\"do_resize\": true, \"size\": 224, \"resample\": 2}", "size"},
        {"{\"do_resize\": true, \"size\": {\"longest_edge\": 224}, \"resample\": 2}", "size"},
        {"{\"do_resize\": true, \"size\": {\"shortest_edge\": 224}, \"resample\": 2}", "size"},
        {"{\"do_resize\": true, \"size\": {\"height\": 224, \"width\": 224}}", "resample"},
        {"{\"do_resize\": true, \"size\": {\"height\": 224, \"width\": 224}, \"resample\": 9}", "resample"},
        {"{\"do_resize\": true, \"size\": {\"height\": 224, \"width\": 224}, \"resample\": 2, \"image_mean\": [1], "
         "\"image_std\": [0]}",
         "image_std"},
        {"{\"input_size\": [3, 224, 288]}", "input_size"},
        {"{\"input_size\": [3, 224, 224], \"crop_mode\": \"border\"}", "crop_mode"},
        {"{\"input_size\": [3, 224, 224], \"interpolation\": \"random\"}", "interpolation"},
        {"{\"input_size\": [3, 224, 224], \"crop_pct\": 1.5}", "crop_pct"},
        {"Compose(RandomResizedCrop(size=(224, 224)) ToTensor())", "RandomResizedCrop"},
        {"Compose(Lambda() ToTensor())", "Lambda"},
        {"Compose(Resize(size=256) ToTensor())", "Resize"},
        {"Compose(Resize(size=256, max_size=300) ToTensor())", "max_size"},
        {"Compose(CenterCrop(size=256) ToTensor())", "CenterCrop"},
        {"Compose(Resize(size=(8, 8)))", "tensors"},
        {"Compose(ToTensor() Resize(size=(8, 8), interpolation=lanczos))", "Resize"},
        {"Compose(Resize(size=(8, 8)) Normalize(mean=[1], std=[1]))", "Normalize"},
        {"Compose(Resize(size=(8, 8)) ToTensor() Normalize(mean=[1, 2], std=[1]))", "Normalize"},
        {"Compose(Resize(size=(8, 9)) CenterCrop(size=4) ToTensor())", "9 x 8"},
        {"Compose(Resize(size=(0, 9)) ToTensor())", "Resize"},
        {"Compose(Resize(size=(8, 8)) Resize(size=(8, 8)) ToTensor())", "Resize"},
        {"Compose(Resize(size=500) " WEIGHTS ")", "ImageClassification"},
        {"Compose(ToImage() ToDtype(scale=False) " WEIGHTS ")", "ImageClassification"},
        {"Compose(ToImage() ToDtype(scale=True) Resize(size=(8, 8)) ToDtype(scale=False))", "ToDtype"},
        {"Compose(ToImage() ToDtype(scale=False) Resize(size=(8, 8)) ToDtype(scale=True))", "ToDtype"},
        {"Compose(ToTensor() ToDtype(scale=True) Resize(size=(8, 8)) ToDtype(scale=True))", "ToDtype"},
        {"Compose(ToImage() ToDtype(scale=True) Normalize(mean=[1], std=[1]) Resize(size=(8, 8)) ToDtype(scale=True))",
         "ToDtype"},
        {"Compose(ToImage() ToDtype(scale=True) ToDtype(scale=True) Resize(size=(8, 8)) ToDtype(scale=True))",
         "ToDtype"},
        {VIT ", \"do_center_crop\": 1, \"crop_size\": 8}", "do_center_crop"},
        {"{\"do_resize\": null, \"size\": {\"height\": 224, \"width\": 224}, \"resample\": 2}", "do_resize"},
        {"{\"crop_pct\": 1e-12, \"do_resize\": true, \"size\": {\"shortest_edge\": 224}, \"resample\": 3}", "crop_pct"},
        {"{\"input_size\": [3, 224, 224], \"crop_pct\": 1e-12}", "crop_pct"},
        {"{\"input_size\": [3, 2000, 2000], \"crop_pct\": 0.001}", "crop_pct"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sal_preprocess p = {.crop_resize = 77};
        const sal_status st = read_text(&p, NULL, bad[i].text);
        cr_expect(st == SAL_ERROR_UNSUPPORTED || st == SAL_ERROR_FORMAT, "%zu: %d", i, (int)st);
        cr_expect(i == 3 || strstr(sal_last_error(), bad[i].named), "%zu: %s", i, sal_last_error());
        cr_expect_eq(p.crop_resize, 77);
    }
}

Test(file, of_another_kind_is_refused)
{
    static const char deep[] =
        "Compose(Compose(Compose(Compose(Compose(Compose(Compose(Compose(Compose(Compose())))))))))";
    static const char *const bad[] = {"{",          "{}",       "[1]",
                                      "hello",      "Compose(", "Compose(Resize(size=8)",
                                      "{\"a\": 1}", " ",        "Compose() Compose()",
                                      deep,         "((((",     "Compose(=)"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sal_preprocess p;
        const sal_status st = read_text(&p, NULL, bad[i]);
        cr_expect(st == SAL_ERROR_FORMAT || st == SAL_ERROR_UNSUPPORTED, "%s: %d", bad[i], (int)st);
    }
    sal_preprocess p;
    cr_expect_eq(sal_preprocess_read_recipe(&p, NULL, "/nonexistent/recipe.json"), SAL_ERROR_IO);
}
