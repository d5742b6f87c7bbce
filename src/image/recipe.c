#include "image/recipe.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/plain_locale.h"
#include "base/struct.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- The table ---------------------------------------------------------- */

typedef struct recipe {
    const char *name; /* a star at its end stands for any letters */
    const char *summary;
    const char *preset; /* NULL: values are left open ... */
    int is_bgr;         /* ... and 1: but the order is not */
    sal_fit fit;
    sal_resample resample;
    sal_antialias antialias;
    sal_rounding rounding;
    float crop_share;
    sal_exif exif;
    sal_jpeg_dct jpeg_dct;
    int32_t depth;
} recipe;

/* What differs from zero; all of them leave alpha out. */
#define OPENED_BY_PILLOW .rounding = SAL_ROUND_PASSES, .exif = SAL_EXIF_IGNORE, .depth = SAL_DEPTH_PILLOW_NOTED
#define LOAD_IMG .resample = SAL_RESAMPLE_NEAREST, OPENED_BY_PILLOW
#define TENSORFLOW .antialias = SAL_ANTIALIAS_OFF, .exif = SAL_EXIF_IGNORE, .jpeg_dct = SAL_JPEG_DCT_FAST
#define PILLOW .fit = SAL_FIT_CENTER_CROP, .crop_share = 0.875F, OPENED_BY_PILLOW
#define NETWORK(name, mode)                                                                                            \
    {                                                                                                                  \
        "keras-applications:" name, "load_img as it comes, then the network's preprocess_input", mode, 0, LOAD_IMG     \
    }

/* The first that fits counts. */
static const recipe recipes[] = {
    {"keras-load-img", "keras.utils.load_img(target_size=): Pillow, nearest unless --resample says its interpolation",
     NULL, 0, LOAD_IMG},
    {"keras-image-dataset", "keras.utils.image_dataset_from_directory: bilinear, values 0..255", "raw", 0, TENSORFLOW},
    {"tf-image", "tf.image.resize and keras.layers.Resizing: bilinear", NULL, 0, TENSORFLOW},
    {"torchvision", "Pillow, Resize(256), CenterCrop(224) for 224 pixels, ImageNet's mean and std", "imagenet", 0,
     PILLOW},
    {"timm", "as torchvision, but bicubic", "imagenet", 0, .resample = SAL_RESAMPLE_BICUBIC, PILLOW},
    {"opencv", "cv2.imread, cv2.resize: INTER_LINEAR, blue first", NULL, 1, .antialias = SAL_ANTIALIAS_OFF,
     .rounding = SAL_ROUND_OPENCV, .exif = SAL_EXIF_APPLY},
    NETWORK("vgg16", "caffe"),
    NETWORK("vgg19", "caffe"),
    NETWORK("resnet50", "caffe"),
    NETWORK("resnet101", "caffe"),
    NETWORK("resnet152", "caffe"),
    NETWORK("resnet50v2", "tf"),
    NETWORK("resnet101v2", "tf"),
    NETWORK("resnet152v2", "tf"),
    NETWORK("inceptionv3", "tf"),
    NETWORK("inceptionresnetv2", "tf"),
    NETWORK("xception", "tf"),
    NETWORK("mobilenet", "tf"),
    NETWORK("mobilenetv2", "tf"),
    NETWORK("nasnetmobile", "tf"),
    NETWORK("nasnetlarge", "tf"),
    NETWORK("densenet*", "imagenet"),
    /* These rescale inside. */
    NETWORK("mobilenetv3*", "raw"),
    NETWORK("efficientnet*", "raw"),
    NETWORK("convnext*", "raw"),
    NETWORK("regnet*", "raw"),
    NETWORK("resnetrs*", "raw"),
};

enum { RECIPES = sizeof recipes / sizeof *recipes };

size_t sal_recipe_count(void)
{
    return RECIPES;
}

sal_status sal_recipe_get_info(sal_recipe_info *out, size_t index)
{
    sal_status st = SAL_OK;
    TRY(sal_require(out, "out", __func__));
    if (index >= RECIPES)
        return sal_fail(SAL_ERROR_ARGUMENT, "recipe %zu of %d", index, RECIPES);
    const recipe *r = &recipes[index];
    const sal_recipe_info info = {sizeof info, r->name, r->summary, r->preset != NULL};
    st = sal_struct_write(out, &info, sizeof info, "sal_recipe_info");
done:
    return st;
}

/* Small letters and digits alone count in a network's name: ResNet50V2 and resnet50_v2 are one. */
static int is_meant(const char *name, const char *given)
{
    static const char applications[] = "keras-applications:";
    const size_t fixed = sizeof applications - 1;
    if (strncmp(name, applications, fixed) != 0)
        return strcmp(name, given) == 0;
    if (strncmp(given, applications, fixed) != 0)
        return 0;
    for (name += fixed, given += fixed; *name && *name != '*'; given++) {
        if (*given == '_' || *given == '-')
            continue;
        if (tolower((unsigned char)*given) != *name++)
            return 0;
    }
    return *name == '*' ? *given != '\0' : *given == '\0';
}

static const recipe *find(const char *name)
{
    for (size_t i = 0; i < RECIPES; i++)
        if (is_meant(recipes[i].name, name))
            return &recipes[i];
    return NULL;
}

static sal_status unknown(const char *name)
{
    char list[1024] = "";
    size_t length = 0;
    for (size_t i = 0; i < RECIPES && length < sizeof list; i++)
        length += (size_t)snprintf(list + length, sizeof list - length, i ? ", %s" : "%s", recipes[i].name);
    return sal_fail(SAL_ERROR_ARGUMENT, "recipe \"%s\" is unknown; known are %s", name, list);
}

static void begin(sal_preprocess *p)
{
    p->crop_resize = 0;
    p->grid = SAL_GRID_HALF_PIXEL;
    p->crop_round = SAL_CROP_ROUND_EVEN;
    p->crop_share = 0.0F;
    p->alpha = SAL_ALPHA_DROP;
}

sal_status sal_preprocess_recipe(sal_preprocess *p, int *said_values, const char *name)
{
    sal_status st = SAL_OK;
    TRY(sal_require(p, "p", __func__));
    TRY(sal_require(name, "name", __func__));
    const recipe *r = find(name);
    if (!r)
        return unknown(name);
    begin(p);
    p->fit = r->fit;
    p->resample = r->resample;
    p->antialias = r->antialias;
    p->rounding = r->rounding;
    p->crop_share = r->crop_share;
    p->exif = r->exif;
    p->jpeg_dct = r->jpeg_dct;
    if (p->depth == 0 || p->depth == SAL_DEPTH_PILLOW_NOTED) /* of what was said of the pictures nothing is lost */
        p->depth = r->depth;
    if (r->preset)
        TRY(sal_preprocess_set(p, "preset", r->preset));
    if (r->is_bgr)
        p->order = SAL_ORDER_BGR;
    if (said_values)
        *said_values = r->preset != NULL;
done:
    return st;
}

/* ---- Files -------------------------------------------------------------- */

void sal_recipe_begin(sal_preprocess *p)
{
    memset(p, 0, sizeof *p);
    begin(p);
    p->scale = 1.0F;
    p->rounding = SAL_ROUND_PASSES;
    p->exif = SAL_EXIF_IGNORE;
    p->depth = SAL_DEPTH_PILLOW_NOTED;
}

void sal_recipe_ignore(sal_recipe_file *out, const char *name)
{
    const size_t length = strlen(out->ignored);
    snprintf(out->ignored + length, sizeof out->ignored - length, length ? ", %s" : "%s", name);
}

sal_status sal_recipe_stretch(sal_preprocess *p, sal_recipe_file *out, const int64_t resized[2], const int64_t crop[2],
                              const char *path)
{
    const int is_cut = resized[0] != crop[0] || resized[1] != crop[1];
    if (is_cut && resized[0] != resized[1])
        return sal_fail(SAL_ERROR_UNSUPPORTED,
                        "%s: a crop of pictures stretched to %lld x %lld pixels is not possible: only "
                        "of squares",
                        path, (long long)resized[1], (long long)resized[0]);
    p->fit = is_cut ? SAL_FIT_STRETCH_CROP : SAL_FIT_STRETCH;
    p->crop_resize = is_cut ? resized[0] : 0;
    out->height = crop[0];
    out->width = crop[1];
    return SAL_OK;
}

sal_status sal_preprocess_read_recipe(sal_preprocess *p, sal_recipe_file *out, const char *path)
{
    enum { MAX_BYTES = 1 << 20 };
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    char *text = NULL;
    size_t size;
    sal_preprocess fresh;
    sal_recipe_file said = SAL_RECIPE_FILE_INIT;
    sal_plain_locale plain = {0};
    TRY(sal_require(p, "p", __func__));
    TRY(sal_require(path, "path", __func__));
    TRY(sal_file_read(&bytes, &size, path, MAX_BYTES));
    TRY(sal_alloc(&text, size + 1, 1, path));
    memcpy(text, bytes, size);
    if (strlen(text) != size) {
        st = sal_fail(SAL_ERROR_FORMAT, "%s: is not a text file", path);
        goto done;
    }
    sal_recipe_begin(&fresh);
    TRY(sal_plain_locale_enter(&plain));
    st = text[strspn(text, " \t\r\n")] == '{' ? sal_recipe_read_json(&fresh, &said, text, path)
                                              : sal_recipe_read_transforms(&fresh, &said, text, path);
    sal_plain_locale_leave(&plain);
    if (st == SAL_OK && out)
        st = sal_struct_write(out, &said, sizeof said, "sal_recipe_file");
    if (st == SAL_OK)
        *p = fresh;
done:
    sal_free(text);
    sal_free(bytes);
    return st;
}
