#include "results/names.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    /* What is left of a file name's 255 bytes for rank, kind and the ending of a temporary name. */
    MAX_STEM = 180
};

static const struct {
    const char *suffix;
    const char *folder; /* where files are spread */
} kinds[SAL_FILE_COUNT] = {
    [SAL_FILE_MAP] = {".saliency.png", "saliency"},
    [SAL_FILE_OVERLAY] = {".overlay.png", "overlays"},
    [SAL_FILE_OVERLAY_JPEG] = {".overlay.jpg", "overlays"},
    [SAL_FILE_NPY] = {".npy", "maps"},
    [SAL_FILE_NPZ] = {".npz", "maps"},
    [SAL_FILE_PNG16] = {".png", "maps"},
    [SAL_FILE_FIGURE] = {".figure.png", "figures"},
    [SAL_FILE_FIGURE_SVG] = {".figure.svg", "figures"},
    [SAL_FILE_FIGURE_PDF] = {".figure.pdf", "figures"},
    [SAL_FILE_GRADIENT] = {".gradient.npy", "gradients"},
};

const char *sal_names_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- A set of file names ------------------------------------------------ */

typedef struct entry {
    char *name;
    size_t number; /* of stems: the next to try */
} entry;

/* Open addressing, a power of two of slots, at most half of them full. */
typedef struct name_set {
    entry *slots;
    size_t size;
    size_t used;
} name_set;

static size_t hash(const char *s)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return (size_t)(h ^ (h >> 32));
}

/* The slot that holds name, or the empty one where it belongs. */
static entry *find(const name_set *set, const char *name)
{
    size_t i = hash(name) & (set->size - 1);
    while (set->slots[i].name && strcmp(set->slots[i].name, name) != 0)
        i = (i + 1) & (set->size - 1);
    return &set->slots[i];
}

static sal_status set_grow(name_set *set)
{
    name_set larger = {.size = set->size ? 2 * set->size : 64, .used = set->used};
    sal_status st = sal_alloc(&larger.slots, larger.size, sizeof *larger.slots, "output names");
    if (st != SAL_OK)
        return st;
    for (size_t i = 0; i < set->size; i++)
        if (set->slots[i].name)
            *find(&larger, set->slots[i].name) = set->slots[i];
    sal_free(set->slots);
    *set = larger;
    return SAL_OK;
}

/* Adds a copy of name where it is new; *out, valid until the next call, may be NULL. */
static sal_status set_add(entry **out, name_set *set, const char *name)
{
    sal_status st = SAL_OK;
    if (2 * set->used >= set->size)
        TRY(set_grow(set));
    entry *slot = find(set, name);
    if (!slot->name) {
        TRY(sal_strdup(&slot->name, name));
        set->used++;
    }
    if (out)
        *out = slot;
done:
    return st;
}

static int set_has(const name_set *set, const char *name)
{
    return set->size > 0 && find(set, name)->name != NULL;
}

static void set_clear(name_set *set)
{
    for (size_t i = 0; i < set->size; i++)
        free(set->slots[i].name);
    sal_free(set->slots);
}

/* ---- Inputs in the output folder ---------------------------------------- */

static int same_folder(const char *path, const struct stat *folder)
{
    const char *base = sal_names_base(path);
    size_t length = (size_t)(base - path);
    char *directory = malloc(length + 2);
    if (!directory)
        return 1; /* the careful answer */
    memcpy(directory, path, length);
    memcpy(directory + length, length ? "" : ".", length ? 1 : 2);
    struct stat info;
    int same = stat(directory, &info) == 0 && info.st_dev == folder->st_dev && info.st_ino == folder->st_ino;
    free(directory);
    return same;
}

/* A folder that outputs go to, below the output folder. */
typedef struct target {
    const char *place; /* the path of a picture below it, */
    size_t length;     /* and how much of that is the folder, with its slash */
    dev_t device;
    ino_t number;
} target;

static int by_folder(const void *a, const void *b)
{
    const target *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->number == y->number ? 0 : x->number < y->number ? -1 : 1;
}

static size_t folder_length(const char *place)
{
    return (size_t)(sal_names_base(place) - place);
}

/* Those that are there: an input can be in no other. *out: free with sal_free(). */
static sal_status find_targets(target **out, size_t *count, const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    target *list = NULL;
    char *path = NULL;
    size_t room = 0, used = 0;
    const char *last = "";
    TRY(sal_alloc(&list, layout->place_count + 1, sizeof *list, "output names"));
    for (size_t i = 0; i <= layout->place_count; i++) { /* number 0 is the output folder itself */
        const char *place = i ? layout->places[i - 1] : "";
        const size_t length = folder_length(place), size = strlen(layout->out_dir) + length + 2;
        struct stat info;
        if (i && length == folder_length(last) && memcmp(place, last, length) == 0)
            continue;
        last = place;
        TRY(sal_grow(&path, &room, size, 1, "an output name"));
        snprintf(path, size, "%s/%.*s", layout->out_dir, (int)length, place);
        if (stat(path, &info) == 0)
            list[used++] = (target){place, length, info.st_dev, info.st_ino};
    }
    qsort(list, used, sizeof *list, by_folder);
    *out = list;
    *count = used;
    list = NULL;
done:
    free(path);
    sal_free(list);
    return st;
}

/* A file of that name, in whichever of the folders it lies. */
static sal_status reserve(name_set *set, const char *path, const target *targets, size_t count)
{
    sal_status st = SAL_OK;
    struct stat info;
    target wanted;
    char *folder = NULL, *name = NULL;
    const size_t length = folder_length(path);
    TRY(sal_alloc(&folder, length + 2, 1, "an output name"));
    snprintf(folder, length + 2, "%.*s%s", (int)length, path, length ? "" : ".");
    if (stat(folder, &info) != 0)
        goto done;
    wanted = (target){.device = info.st_dev, .number = info.st_ino};
    const target *t = bsearch(&wanted, targets, count, sizeof *targets, by_folder);
    while (t && t > targets && by_folder(t - 1, &wanted) == 0)
        t--;
    for (; t && t < targets + count && by_folder(t, &wanted) == 0; t++) {
        const size_t size = t->length + strlen(path + length) + 1;
        TRY(sal_alloc(&name, size, 1, "an output name"));
        snprintf(name, size, "%.*s%s", (int)t->length, t->place, path + length);
        TRY(set_add(NULL, set, name));
        sal_free(name);
        name = NULL;
    }
done:
    sal_free(name);
    sal_free(folder);
    return st;
}

static sal_status reserve_in_places(name_set *set, const char *const *paths, size_t count,
                                    const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    struct stat own;
    target *targets = NULL;
    size_t target_count = 0;
    char *real = NULL;
    TRY(find_targets(&targets, &target_count, layout));
    for (size_t i = 0; i < count && target_count > 0; i++) {
        TRY(reserve(set, paths[i], targets, target_count));
        free(real);
        real = lstat(paths[i], &own) == 0 && S_ISLNK(own.st_mode) ? realpath(paths[i], NULL) : NULL;
        if (real)
            TRY(reserve(set, real, targets, target_count));
    }
done:
    free(real);
    sal_free(targets);
    return st;
}

static sal_status reserve_inputs(name_set *set, const char *const *paths, size_t count, const char *out_dir)
{
    sal_status st = SAL_OK;
    struct stat folder, own;
    const char *last = NULL;
    size_t last_length = 0;
    int inside = 0;
    char *real = NULL;
    if (stat(out_dir, &folder) != 0)
        return SAL_OK;
    for (size_t i = 0; i < count; i++) {
        const char *base = sal_names_base(paths[i]);
        size_t length = (size_t)(base - paths[i]);
        /* Pictures mostly come folder by folder. */
        if (!last || length != last_length || memcmp(last, paths[i], length) != 0)
            inside = same_folder(paths[i], &folder);
        last = paths[i];
        last_length = length;
        if (inside)
            TRY(set_add(NULL, set, base));
        free(real);
        real = lstat(paths[i], &own) == 0 && S_ISLNK(own.st_mode) ? realpath(paths[i], NULL) : NULL;
        if (real && same_folder(real, &folder))
            TRY(set_add(NULL, set, sal_names_base(real)));
    }
done:
    free(real);
    return st;
}

/* ---- Choosing ----------------------------------------------------------- */

static sal_status file_name(char **out, const char *folder, const char *stem, sal_output_file file, int64_t map,
                            int64_t top)
{
    char rank[32] = "";
    if (top > 0)
        snprintf(rank, sizeof rank, ".top%lld", (long long)map + 1);
    const char *slash = folder[0] && folder[strlen(folder) - 1] != '/' ? "/" : "";
    size_t size = strlen(folder) + strlen(stem) + sizeof rank + 24;
    *out = malloc(size);
    if (!*out)
        return sal_fail_memory(size, "an output name");
    snprintf(*out, size, "%s%s%s%s%s", folder, slash, stem, rank, kinds[file].suffix);
    return SAL_OK;
}

sal_status sal_names_path(char **out, const char *stem, sal_output_file file, size_t picture, int64_t map,
                          const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    char *folder = NULL;
    if (!layout->spread)
        return file_name(out, layout->out_dir, stem, file, map, layout->top);
    const size_t length = strlen(layout->out_dir), size = length + 64;
    TRY(sal_alloc(&folder, size, 1, "an output name"));
    snprintf(folder, size, "%s%s%s/%03zu", layout->out_dir, length && layout->out_dir[length - 1] != '/' ? "/" : "",
             kinds[file].folder, picture / SAL_NAMES_OF_A_FOLDER);
    TRY(file_name(out, folder, stem, file, map, layout->top));
done:
    sal_free(folder);
    return st;
}

const char *sal_names_below(const char *path, const sal_output_layout *layout)
{
    path += strlen(layout->out_dir);
    return path + (*path == '/');
}

/* Looks for every file name of a stem in the set, or adds them. */
static sal_status visit_files(int *taken, name_set *set, const char *stem, int add, const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    char *name = NULL;
    /* Every name ends in its rank: where no other files lie, the first ranks collide or none does. */
    int64_t maps = layout->top > 0 && !layout->spread ? layout->top : 1;
    *taken = 0;
    for (int64_t map = 0; map < maps && !*taken; map++)
        for (int file = 0; file < SAL_FILE_COUNT && !*taken; file++) {
            if (!(layout->files & SAL_FILE_BIT(file)))
                continue;
            TRY(file_name(&name, "", stem, (sal_output_file)file, map, layout->top));
            if (add)
                TRY(set_add(NULL, set, name));
            else
                *taken = set_has(set, name);
            free(name);
            name = NULL;
        }
done:
    free(name);
    return st;
}

typedef struct chooser {
    name_set files; /* of outputs, and inputs in the output folder */
    name_set stems; /* as the pictures have them; of places: how many stems were tried, */
    name_set kinds; /* and how many names there are of each */
} chooser;

const char *sal_names_suffix(const char **folder, sal_output_file file)
{
    *folder = kinds[file].folder;
    return kinds[file].suffix;
}

/* A byte within a character of UTF-8. */
static int goes_on(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

static const char *stem_of(size_t *out, const char *path, int spread)
{
    const char *base = sal_names_base(path);
    const char *dot = strrchr(base, '.');
    size_t length = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    if (spread && length > MAX_STEM) {
        for (length = MAX_STEM; length > 0 && goes_on(base[length]); length--) {
        }
        if (length == 0) /* it is no UTF-8 */
            length = MAX_STEM;
    }
    *out = length;
    return base;
}

static sal_status choose_stem(char **out, chooser *c, const char *path, const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    size_t length;
    const char *base = stem_of(&length, path, layout->spread);
    const size_t size = length + 32;
    int taken;
    entry *known;
    char *stem = malloc(size);
    if (!stem)
        return sal_fail_memory(size, "an output name");
    memcpy(stem, base, length);
    stem[length] = '\0';
    TRY(set_add(&known, &c->stems, stem));
    do {
        /* Where it ended for the last picture of this stem: a million of one name stay fast. */
        known->number++;
        if (known->number > 1)
            snprintf(stem + length, size - length, "-%zu", known->number);
        TRY(visit_files(&taken, &c->files, stem, 0, layout));
    } while (taken);
    TRY(visit_files(&taken, &c->files, stem, 1, layout));
    *out = stem;
    stem = NULL;
done:
    free(stem);
    return st;
}

/* "site_1/scale" of "site_1/scale.png"; *extension: ".png". *out: free with free(). */
static sal_status split_place(char **out, const char **extension, const char *place)
{
    const char *base = sal_names_base(place), *dot = strrchr(base, '.');
    *extension = dot && dot > base ? dot : base + strlen(base);
    *out = strndup(place, (size_t)(*extension - place));
    return *out ? SAL_OK : sal_fail_memory(strlen(place), "an output name");
}

/* How many names differ by their extension alone. */
static sal_status count_kinds(chooser *c, const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    name_set names = {0};
    char *stem = NULL;
    for (size_t i = 0; i < layout->place_count; i++) {
        const char *place = layout->places[i], *extension;
        entry *known;
        TRY(set_add(&known, &names, place));
        if (known->number++ > 0)
            continue;
        TRY(split_place(&stem, &extension, place));
        TRY(set_add(&known, &c->kinds, stem));
        known->number++;
        free(stem);
        stem = NULL;
    }
done:
    free(stem);
    set_clear(&names);
    return st;
}

static sal_status choose_in_place(char **out, chooser *c, const char *place, const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    char *begin = NULL, *stem = NULL;
    const char *extension;
    const size_t size = strlen(place) + 32;
    entry *known;
    int taken;
    TRY(split_place(&begin, &extension, place));
    if (find(&c->kinds, begin)->number < 2)
        extension = "";
    stem = malloc(size);
    if (!stem) {
        st = sal_fail_memory(size, "an output name");
        goto done;
    }
    snprintf(stem, size, "%s%s", begin, extension);
    TRY(set_add(&known, &c->stems, stem));
    do {
        known->number++;
        if (known->number > 1)
            snprintf(stem, size, "%s-%zu%s", begin, known->number, extension);
        TRY(visit_files(&taken, &c->files, stem, 0, layout));
    } while (taken);
    TRY(visit_files(&taken, &c->files, stem, 1, layout));
    *out = stem;
    stem = NULL;
done:
    free(begin);
    free(stem);
    return st;
}

static sal_status choose_all(sal_names *out, chooser *c, const char *const *paths, size_t count,
                             const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    if (layout->places) {
        TRY(reserve_in_places(&c->files, paths, count, layout));
        TRY(count_kinds(c, layout));
    } else if (!layout->spread) {
        TRY(reserve_inputs(&c->files, paths, count, layout->out_dir));
    }
    for (size_t i = 0; i < count; i++)
        TRY(layout->places && i < layout->place_count ? choose_in_place(&out->stems[i], c, layout->places[i], layout)
                                                      : choose_stem(&out->stems[i], c, paths[i], layout));
done:
    return st;
}

sal_status sal_names_make(sal_names *out, const char *const *paths, size_t count, const sal_output_layout *layout)
{
    sal_status st = SAL_OK;
    chooser c = {0};
    memset(out, 0, sizeof *out);
    TRY(sal_alloc(&out->stems, count, sizeof *out->stems, "output names"));
    out->count = count;
    TRY(choose_all(out, &c, paths, count, layout));
done:
    set_clear(&c.files);
    set_clear(&c.stems);
    set_clear(&c.kinds);
    if (st != SAL_OK)
        sal_names_clear(out);
    return st;
}

void sal_names_clear(sal_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->stems[i]);
    sal_free(names->stems);
    memset(names, 0, sizeof *names);
}
