#include "results/run_names.h"
#include "results/run_files.h"
#include "results/settings_lines.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Of a picture: no network has so many outputs. */
enum { MOST_MAPS = 1 << 20 };

/* ---- What the settings say ------------------------------------------------ */

static sal_status read_setting(void *context, const char *name, const char *value)
{
    static const struct {
        const char *word;
        unsigned files;
    } maps[] = {{"npy", SAL_FILE_BIT(SAL_FILE_NPY)},
                {"npz", SAL_FILE_BIT(SAL_FILE_NPZ)},
                {"png16", SAL_FILE_BIT(SAL_FILE_PNG16)}};
    sal_output_layout *out = context;
    if (strcmp(name, "maps") == 0) {
        out->files &= ~SAL_FILES_MAP;
        for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
            if (strcmp(value, maps[i].word) == 0)
                out->files |= maps[i].files;
    } else if (strcmp(name, "overlays") == 0 && strcmp(value, "none") == 0) {
        out->files &= ~SAL_FILES_OVERLAY;
    } else if (strcmp(name, "overlay-format") == 0 && strcmp(value, "jpeg") == 0 && (out->files & SAL_FILES_OVERLAY)) {
        out->files = (out->files & ~SAL_FILES_OVERLAY) | SAL_FILE_BIT(SAL_FILE_OVERLAY_JPEG);
    } else if (strcmp(name, "target") == 0 && strncmp(value, "top:", 4) == 0) {
        const long long top = strtoll(value + 4, NULL, 10);
        out->top = top > 0 && top <= MOST_MAPS ? top : 0;
    }
    return SAL_OK;
}

sal_status sal_run_layout(sal_output_layout *out, const char *settings)
{
    *out = (sal_output_layout){
        .files = SAL_FILE_BIT(SAL_FILE_NPY) | SAL_FILE_BIT(SAL_FILE_OVERLAY), .out_dir = "", .spread = 1};
    return sal_settings_each(settings, read_setting, out);
}

sal_status sal_run_names_make(sal_run_names *out, const sal_dataset *dataset, const char *settings)
{
    sal_status st = SAL_OK;
    memset(out, 0, sizeof *out);
    out->dataset = dataset;
    TRY(sal_run_layout(&out->layout, settings));
    TRY(sal_names_make(&out->names, (const char *const *)dataset->files, dataset->count, &out->layout));
done:
    return st;
}

void sal_run_names_clear(sal_run_names *names)
{
    sal_names_clear(&names->names);
    memset(names, 0, sizeof *names);
}

static size_t folder_count(const sal_run_names *names)
{
    return (names->names.count + SAL_NAMES_OF_A_FOLDER - 1) / SAL_NAMES_OF_A_FOLDER;
}

/* ---- What a name says ------------------------------------------------------ */

/* A file name in its parts. */
typedef struct parts {
    const char *kind; /* "maps/" ... */
    size_t number;    /* of the folder */
    const char *file;
} parts;

/* Digits alone, as printf writes the number: no other text says the same. */
static int read_number(size_t *out, const char *text, size_t length, const char *format)
{
    char *end, again[32];
    if (length == 0 || length >= sizeof again || !isdigit((unsigned char)text[0]))
        return 0;
    *out = strtoul(text, &end, 10);
    return end == text + length && snprintf(again, sizeof again, format, *out) == (int)length &&
           memcmp(text, again, length) == 0;
}

static int take_apart(parts *out, const char *name)
{
    static const char *const kinds[] = {SAL_RUN_MAPS "/", SAL_RUN_OVERLAYS "/"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const size_t length = strlen(kinds[k]);
        const char *number = name + length, *slash;
        if (strncmp(name, kinds[k], length) != 0 || !(slash = strchr(number, '/')) || strchr(slash + 1, '/'))
            continue;
        *out = (parts){.kind = kinds[k], .file = slash + 1};
        return read_number(&out->number, number, (size_t)(slash - number), "%03zu");
    }
    return 0;
}

/* Length of a stem, of a file of this kind and format; 0: it is none. */
static size_t stem_length(const parts *p, sal_output_file file)
{
    const char *folder, *suffix = sal_names_suffix(&folder, file);
    const size_t length = strlen(p->file), ending = strlen(suffix);
    const int same = strncmp(p->kind, folder, strlen(folder)) == 0 && p->kind[strlen(folder)] == '/';
    return same && length > ending && strcmp(p->file + length - ending, suffix) == 0 ? length - ending : 0;
}

/* Without the rank ".top2" at the end of `length` bytes; 0: there is none, or it is none of 1 to top. */
static size_t without_rank(const char *file, size_t length, int64_t top)
{
    static const char mark[] = ".top";
    size_t at = length, rank;
    while (at > 0 && isdigit((unsigned char)file[at - 1]))
        at--;
    if (at < sizeof mark || memcmp(file + at - strlen(mark), mark, strlen(mark)) != 0 ||
        !read_number(&rank, file + at, length - at, "%zu") || rank < 1 || (int64_t)rank > top)
        return 0;
    return at - strlen(mark);
}

static int64_t find_stem(const sal_run_names *n, size_t folder, const char *stem, size_t length)
{
    const size_t first = folder * SAL_NAMES_OF_A_FOLDER, end = first + SAL_NAMES_OF_A_FOLDER;
    for (size_t i = first; i < end && i < n->names.count; i++)
        if (strncmp(n->names.stems[i], stem, length) == 0 && n->names.stems[i][length] == '\0')
            return (int64_t)i;
    return -1;
}

int64_t sal_run_names_find(const sal_run_names *n, const char *name)
{
    parts p;
    if (!take_apart(&p, name) || p.number >= folder_count(n))
        return -1;
    for (int file = 0; file < SAL_FILE_COUNT; file++) {
        size_t length = n->layout.files & SAL_FILE_BIT(file) ? stem_length(&p, (sal_output_file)file) : 0;
        if (length > 0 && n->layout.top > 0)
            length = without_rank(p.file, length, n->layout.top);
        const int64_t row = length > 0 ? find_stem(n, p.number, p.file, length) : -1;
        if (row >= 0)
            return row;
    }
    return -1;
}

sal_status sal_run_names_check(int *same, const sal_run_names *n, unsigned files, int64_t picture, int64_t rank,
                               const char *name)
{
    sal_status st = SAL_OK;
    char *wanted = NULL;
    const int64_t maps = (int64_t)sal_maps_of(n->layout.top);
    const int known = picture >= 0 && (size_t)picture < n->names.count && rank >= 1 && rank <= maps;
    files &= n->layout.files;
    *same = known && !name && !(files & SAL_FILES_MAP);
    for (int file = 0; file < SAL_FILE_COUNT && known && name && !*same; file++) {
        if (!(files & SAL_FILE_BIT(file)))
            continue;
        TRY(sal_names_path(&wanted, n->names.stems[picture], (sal_output_file)file, (size_t)picture, rank - 1,
                           &n->layout));
        *same = strcmp(wanted, name) == 0;
        free(wanted);
        wanted = NULL;
    }
done:
    free(wanted);
    return st;
}

const char *sal_run_temporary_suffix(const char *name)
{
    static const char mark[] = ".tmp-";
    const char *at = NULL, *number;
    for (const char *next = name; (next = strstr(next, mark)) != NULL; next++)
        at = next;
    if (!at || at == name)
        return NULL;
    number = at + strlen(mark);
    const size_t process = strspn(number, "0123456789");
    if (process == 0 || number[process] != '-')
        return NULL;
    number += process + 1;
    return number[0] && strspn(number, "0123456789") == strlen(number) ? at : NULL;
}

int64_t sal_run_names_find_unfinished(const sal_run_names *n, const char *name)
{
    char final[512]; /* a file's name has 255 bytes at most */
    const char *suffix = sal_run_temporary_suffix(name);
    if (!suffix || (size_t)(suffix - name) >= sizeof final)
        return -1;
    memcpy(final, name, (size_t)(suffix - name));
    final[suffix - name] = '\0';
    return sal_run_names_find(n, final);
}
