/* Recipes as torchvision prints its transforms: Compose( Resize(size=256, ...) ... ), or a preset of its weights. */
#include "image/recipe.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 64 };

/* What pictures are at a step. */
typedef enum state { PICTURE, BYTES, FLOATS } state; /* Pillow's; tensors */

typedef struct reader {
    sal_preprocess *p;
    sal_recipe_file *out;
    const char *at;
    const char *path;
    state state;
    int64_t resized[2]; /* the second 0: the shorter side; both 0: not yet */
    int64_t crop[2];
    int depth;       /* of Compose in Compose */
    int conversions; /* of types that Python does not print: ToDtype, ConvertImageDtype */
    int scales;      /* whether the first of them does */
} reader;

/* The arguments of one step: "size=256, antialias=True", also on lines of their own. */
typedef struct step {
    char name[WORD];
    const char *begin;
    const char *end;
} step;

static sal_status cannot(const reader *r, const step *s, const char *why)
{
    return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: %s(%.*s): %s", r->path, s->name,
                    (int)(s->end - s->begin < 60 ? s->end - s->begin : 60), s->begin, why);
}

/* The value of an argument, up to the comma or the end; NULL: it is not there, or None. */
static const char *argument(const step *s, const char *key)
{
    const size_t length = strlen(key);
    int depth = 0;
    for (const char *at = s->begin; at < s->end; at++) {
        depth += (*at == '(' || *at == '[') - (*at == ')' || *at == ']');
        const int starts = at == s->begin || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');
        if (depth == 0 && starts && strncmp(at, key, length) == 0 && at[length] == '=')
            return strncmp(at + length + 1, "None", 4) == 0 ? NULL : at + length + 1;
    }
    return NULL;
}

/* Numbers of "256", "[256]", "(224, 224)" or "tensor([0.4850, 0.4560])". -1: there are none, or too many. */
static int numbers(double *out, int most, const char *value, const char *end)
{
    int n = 0;
    if (!value)
        return -1;
    if (strncmp(value, "tensor(", 7) == 0)
        value += 7;
    const int is_list = *value == '[' || *value == '(';
    for (value += is_list; value < end;) {
        char *stop;
        if (n == most)
            return -1;
        out[n] = strtod(value, &stop);
        if (stop == value)
            return -1;
        n++;
        value = stop + strspn(stop, " \n\r\t");
        if (!is_list || *value != ',')
            return n;
        value += 1 + strspn(value + 1, " \n\r\t");
        if (*value == ']' || *value == ')')
            return n;
    }
    return -1;
}

static int is_word(const char *value, const char *word)
{
    const size_t length = strlen(word);
    return value && strncmp(value, word, length) == 0 && !isalnum((unsigned char)value[length]) &&
           value[length] != '-' && value[length] != '_';
}

static int is_flag(const char *value)
{
    return is_word(value, "True");
}

/* Sides of one number, or of two. */
static sal_status read_sides(int64_t sides[2], const reader *r, const step *s, const char *key)
{
    double found[2] = {0.0, 0.0};
    const int n = numbers(found, 2, argument(s, key), s->end);
    for (int i = 0; i < n; i++)
        if (!(found[i] >= 1.0 && found[i] <= 1 << 20))
            return cannot(r, s, "a side is out of range");
    if (n < 1)
        return cannot(r, s, "no size of one or two numbers");
    sides[0] = (int64_t)found[0];
    sides[1] = n == 2 ? (int64_t)found[1] : 0;
    return SAL_OK;
}

/* ---- Steps -------------------------------------------------------------- */

/* How a tensor is resized: without antialias unless it is said, as before it was the default. */
static void set_tensor(reader *r, int is_exact, int antialias)
{
    const int is_nearest = r->p->resample == SAL_RESAMPLE_NEAREST;
    r->p->antialias = antialias ? SAL_ANTIALIAS_ON : SAL_ANTIALIAS_OFF;
    r->p->rounding = r->state == BYTES ? SAL_ROUND_TORCH : SAL_ROUND_NONE;
    if (is_nearest && !is_exact)
        r->p->grid = SAL_GRID_ASYMMETRIC;
    if (r->p->resample == SAL_RESAMPLE_BICUBIC && !antialias)
        r->p->resample = SAL_RESAMPLE_CUBIC75;
}

static sal_status read_interpolation(reader *r, const step *s, int antialias)
{
    static const struct {
        const char *word;
        sal_resample kind;
        int for_tensors;
    } rows[] = {{"nearest", SAL_RESAMPLE_NEAREST, 1},   {"nearest-exact", SAL_RESAMPLE_NEAREST, 1},
                {"bilinear", SAL_RESAMPLE_BILINEAR, 1}, {"bicubic", SAL_RESAMPLE_BICUBIC, 1},
                {"box", SAL_RESAMPLE_BOX, 0},           {"hamming", SAL_RESAMPLE_HAMMING, 0},
                {"lanczos", SAL_RESAMPLE_LANCZOS, 0}};
    char word[WORD] = "bilinear";
    const char *value = argument(s, "interpolation");
    if (value) { /* InterpolationMode.BILINEAR, bilinear, PIL.Image.BILINEAR */
        size_t n = 0;
        for (; value < s->end && *value != ',' && !isspace((unsigned char)*value) && *value != ')'; value++)
            if (*value == '.')
                n = 0;
            else if (n + 1 < sizeof word)
                word[n++] = *value == '_' ? '-' : (char)tolower((unsigned char)*value);
        word[n] = '\0';
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(word, rows[i].word) == 0) {
            r->p->resample = rows[i].kind;
            if (r->state == PICTURE)
                return SAL_OK;
            if (!rows[i].for_tensors)
                return cannot(r, s, "torchvision has no such interpolation of tensors");
            set_tensor(r, i == 1, antialias);
            return SAL_OK;
        }
    return cannot(r, s, "its interpolation is unknown");
}

static sal_status resize(reader *r, const step *s)
{
    sal_status st = SAL_OK;
    if (r->resized[0] || r->crop[0])
        return cannot(r, s, "one Resize is possible, before a CenterCrop");
    if (argument(s, "max_size"))
        return cannot(r, s, "max_size is not possible");
    TRY(read_sides(r->resized, r, s, "size"));
    TRY(read_interpolation(r, s, is_flag(argument(s, "antialias"))));
done:
    return st;
}

static sal_status crop(reader *r, const step *s)
{
    sal_status st = SAL_OK;
    if (r->crop[0] || !r->resized[0])
        return cannot(r, s, "one CenterCrop is possible, after a Resize");
    TRY(read_sides(r->crop, r, s, "size"));
    if (r->crop[1] == 0)
        r->crop[1] = r->crop[0];
done:
    return st;
}

static sal_status to_bytes(reader *r, const step *s)
{
    (void)s;
    r->state = r->state == PICTURE ? BYTES : r->state;
    return SAL_OK;
}

static sal_status to_floats(reader *r, const step *s)
{
    (void)s;
    if (r->state != FLOATS)
        r->p->scale = 1.0F / 255.0F;
    r->state = FLOATS;
    return SAL_OK;
}

/* The second of two is to floats and the first was to 8 bits, as in torchvision's own example, where that makes no
 * other values than floats would: both scale, or none. */
static sal_status convert_again(reader *r, const step *s, int scales)
{
    if (r->conversions > 1 || r->scales != scales || r->p->value_count)
        return cannot(r, s,
                      "which types it and those before it convert to is not printed, and values hang on it; leave "
                      "one in the file, the one to floats");
    if (r->p->rounding == SAL_ROUND_NONE)
        r->p->rounding = SAL_ROUND_TORCH;
    r->conversions++;
    return SAL_OK;
}

static sal_status convert(reader *r, const step *s)
{
    enum { TOO_MANY = 2 };
    const int scales = strcmp(s->name, "ToDtype") != 0 || is_flag(argument(s, "scale"));
    if (r->state == PICTURE)
        return cannot(r, s, "pictures are no tensors before it");
    if (r->conversions > 0)
        return convert_again(r, s, scales);
    r->conversions = r->state == BYTES ? 1 : TOO_MANY; /* of floats one alone changes nothing for certain */
    r->scales = scales;
    if (r->state == BYTES && scales)
        r->p->scale = 1.0F / 255.0F;
    r->state = FLOATS;
    return SAL_OK;
}

static sal_status normalize(reader *r, const step *s)
{
    double mean[SAL_MAX_CHANNELS], std[SAL_MAX_CHANNELS];
    const int means = numbers(mean, SAL_MAX_CHANNELS, argument(s, "mean"), s->end);
    const int stds = numbers(std, SAL_MAX_CHANNELS, argument(s, "std"), s->end);
    if (r->state != FLOATS || r->p->value_count)
        return cannot(r, s, "one Normalize is possible, of tensors of floats");
    if (means < 1 || stds != means)
        return cannot(r, s, "mean and std are not lists of as many numbers");
    for (int i = 0; i < means; i++) {
        if (!(std[i] > 0.0))
            return cannot(r, s, "a value of std is not above 0");
        r->p->mean[i] = (float)mean[i];
        r->p->std[i] = (float)std[i];
    }
    r->p->value_count = means;
    return SAL_OK;
}

static sal_status to_gray(reader *r, const step *s)
{
    if (r->state != PICTURE || r->resized[0])
        return cannot(r, s, "gray is possible of pictures, before they are resized");
    r->p->order = SAL_ORDER_GRAY;
    return SAL_OK;
}

static sal_status ignore(reader *r, const step *s)
{
    sal_recipe_ignore(r->out, s->name);
    return SAL_OK;
}

/* The presets of torchvision's weights, which resize pictures, and name nothing of what they do besides. */
static sal_status preset(reader *r, const step *s)
{
    sal_status st = SAL_OK;
    if (r->resized[0] || r->crop[0] || r->conversions)
        return cannot(r, s, "it resizes, cuts and converts by itself: no such step is possible before it");
    TRY(read_sides(r->resized, r, s, "resize_size"));
    TRY(read_sides(r->crop, r, s, "crop_size"));
    if (r->crop[1] == 0)
        r->crop[1] = r->crop[0];
    TRY(read_interpolation(r, s, 1));
    r->p->scale = 1.0F / 255.0F;
    r->state = FLOATS;
    TRY(normalize(r, s));
done:
    return st;
}

static sal_status read_steps(reader *r);

static sal_status compose(reader *r, const step *s)
{
    enum { MOST = 8 };
    if (r->depth == MOST)
        return cannot(r, s, "they lie too deep in each other");
    r->depth++;
    r->at = s->begin;
    sal_status st = read_steps(r);
    r->depth--;
    return st;
}

static const struct {
    const char *name;
    sal_status (*take)(reader *r, const step *s);
} takers[] = {
    {"Compose", compose},
    {"ImageClassification", preset},
    {"Resize", resize},
    {"CenterCrop", crop},
    {"ToTensor", to_floats},
    {"MaybeToTensor", to_floats},
    {"PILToTensor", to_bytes},
    {"MaybePILToTensor", to_bytes},
    {"ToImage", to_bytes},
    {"ToImageTensor", to_bytes},
    {"ConvertImageDtype", convert},
    {"ConvertDtype", convert},
    {"ToDtype", convert},
    {"Normalize", normalize},
    {"Grayscale", to_gray},
    {"RGB", ignore},
    {"ToPureTensor", ignore},
    {"Identity", ignore},
};

/* Behind the ")" of what begins behind a "("; NULL: there is none. */
static const char *skip(const char *at)
{
    for (int depth = 1; *at; at++) {
        depth += (*at == '(') - (*at == ')');
        if (depth == 0)
            return at;
    }
    return NULL;
}

static sal_status read_step(reader *r)
{
    step s = {.name = ""};
    size_t n = 0;
    for (; (isalnum((unsigned char)*r->at) || *r->at == '_' || *r->at == '.') && n + 1 < sizeof s.name; r->at++)
        if (*r->at == '.')
            n = 0;
        else
            s.name[n++] = *r->at;
    s.name[n] = '\0';
    s.begin = *r->at == '(' ? r->at + 1 : NULL;
    s.end = s.begin ? skip(s.begin) : NULL;
    if (n == 0 || !s.end)
        return sal_fail(SAL_ERROR_FORMAT,
                        "%s: is neither JSON nor torchvision's transforms as Python prints them: Compose(...)",
                        r->path);
    s.begin += strspn(s.begin, " \n\r\t");
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (strcmp(s.name, takers[i].name) == 0) {
            sal_status st = takers[i].take(r, &s);
            r->at = s.end + 1;
            return st;
        }
    return strncmp(s.name, "Random", 6) == 0
               ? cannot(r, &s, "it varies pictures while a network learns; print the transforms of validation")
               : cannot(r, &s, "it may change the input, and salmap does not know it");
}

static sal_status read_steps(reader *r)
{
    static const char between[] = " \n\r\t,";
    for (r->at += strspn(r->at, between); *r->at && *r->at != ')'; r->at += strspn(r->at, between)) {
        sal_status st = read_step(r);
        if (st != SAL_OK)
            return st;
    }
    return SAL_OK;
}

static sal_status finish(reader *r)
{
    const step s = {.name = "Compose", .begin = "", .end = ""};
    const step resized = {.name = "Resize", .begin = "", .end = ""};
    if (!r->resized[0])
        return cannot(r, &s, "there is no Resize");
    if (r->state == PICTURE)
        return cannot(r, &s, "pictures do not become tensors");
    if (r->resized[1])
        return sal_recipe_stretch(r->p, r->out, r->resized, r->crop[0] ? r->crop : r->resized, r->path);
    if (!r->crop[0])
        return cannot(r, &resized,
                      "with one side and no CenterCrop pictures keep their shapes, which a network's input "
                      "has not");
    r->p->fit = SAL_FIT_CENTER_CROP;
    r->p->crop_resize = r->resized[0];
    r->out->height = r->crop[0];
    r->out->width = r->crop[1];
    return SAL_OK;
}

sal_status sal_recipe_read_transforms(sal_preprocess *p, sal_recipe_file *out, const char *text, const char *path)
{
    sal_status st = SAL_OK;
    reader r = {.p = p, .out = out, .at = text + strspn(text, " \n\r\t"), .path = path};
    if (!*r.at)
        return sal_fail(SAL_ERROR_FORMAT, "%s: is empty", path);
    TRY(read_steps(&r));
    if (*r.at)
        return sal_fail(SAL_ERROR_FORMAT, "%s: has more than one Compose(...)", path);
    TRY(finish(&r));
done:
    return st;
}
