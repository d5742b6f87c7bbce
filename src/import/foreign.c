#define _GNU_SOURCE /* memmem */
#include "import/foreign.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HEAD = 512 };

typedef struct head {
    unsigned char bytes[HEAD];
    size_t size;
    const char *path;
} head;

/* By what is in a file at a place. */
typedef struct foreign {
    size_t at;
    const char *magic;
    size_t length;
    const char *name;
    const char *advice;
} foreign;

#define PICTURE_FIRST "MODEL comes first, then pictures"
#define PYTORCH "export its network in Python: torch.onnx.export(model, example, \"model.onnx\")"
#define TENSORFLOW "convert it with tf2onnx: python3 -m tf2onnx.convert --"
#define UNPACK "unpack it, and give the model that is in it"
static const foreign foreigners[] = {
    {0, "\x89PNG", 4, "a PNG picture", PICTURE_FIRST},
    {0, "\xff\xd8\xff", 3, "a JPEG picture", PICTURE_FIRST},
    {0, "II*\0", 4, "a TIFF picture", PICTURE_FIRST},
    {0, "MM\0*", 4, "a TIFF picture", PICTURE_FIRST},
    {0, "II+\0", 4, "a TIFF picture", PICTURE_FIRST},
    {0, "MM\0+", 4, "a TIFF picture", PICTURE_FIRST},
    {0, "\x93NUMPY", 6, "a .npy array", PICTURE_FIRST},
    {0, "GIF8", 4, "a GIF picture", PICTURE_FIRST},
    {8, "WEBP", 4, "a WebP picture", PICTURE_FIRST},
    {0, "%PDF", 4, "a PDF", "give the model's own file"},
    {0, "\x80\2\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19", 14, "a PyTorch checkpoint", PYTORCH},
    {0, "\x80\2", 2, "a Python pickle, as PyTorch and joblib write them", PYTORCH},
    {0, "\x80\3", 2, "a Python pickle, as PyTorch and joblib write them", PYTORCH},
    {0, "\x80\4\x95", 3, "a Python pickle, as PyTorch and joblib write them", PYTORCH},
    {0, "\x80\5\x95", 3, "a Python pickle, as PyTorch and joblib write them", PYTORCH},
    {4, "TFL3", 4, "a TensorFlow Lite model", TENSORFLOW "tflite FILE --output model.onnx"},
    {0, "GGUF", 4, "a GGUF model", "export its network to ONNX"},
    {0, "version https://git-lfs", 23, "a pointer of Git LFS", "fetch the model itself: git lfs pull"},
    {0, "<!DOCTYPE html", 14, "a web page", "download the model again, it is not what the server sent"},
    {0, "<!doctype html", 14, "a web page", "download the model again, it is not what the server sent"},
    {0, "<html", 5, "a web page", "download the model again, it is not what the server sent"},
    {0, "<?xml", 5, "an XML file, as OpenVINO has beside its weights", "give the ONNX file that it was made of"},
    {0, "\x1f\x8b", 2, "a gzip archive", UNPACK},
    {0, "BZh", 3, "a bzip2 archive", UNPACK},
    {0,
     "\xfd"
     "7zXZ",
     5, "an xz archive", UNPACK},
    {0, "7z\xbc\xaf", 4, "a 7z archive", UNPACK},
    {0, "\x28\xb5\x2f\xfd", 4, "a Zstandard archive", UNPACK},
    {257, "ustar", 5, "a tar archive", UNPACK},
    {0, "SQLite format 3", 15, "a SQLite database, as results of a run are", "give the model's own file"},
    {0,
     "\x7f"
     "ELF",
     4, "a program or library", "give the model's own file"},
};

static const foreign *find_magic(const head *h)
{
    for (size_t i = 0; i < sizeof foreigners / sizeof *foreigners; i++) {
        const foreign *f = &foreigners[i];
        if (h->size >= f->at + f->length && memcmp(h->bytes + f->at, f->magic, f->length) == 0)
            return f;
    }
    return NULL;
}

static int ends_with(const char *text, size_t length, const char *end)
{
    const size_t n = strlen(end);
    return length >= n && memcmp(text + length - n, end, n) == 0;
}

/* A zip archive: its first member tells. Of others, the reader of .keras files has said what is missing. */
static const foreign *find_archive(const head *h)
{
    static const foreign pytorch = {.name = "a PyTorch checkpoint", .advice = PYTORCH};
    static const foreign arrays = {.name = "an .npz archive of arrays", .advice = "give the model's own file"};
    static const foreign office = {.name = "an Office document", .advice = "give the model's own file"};
    enum { LENGTH_AT = 26, NAME_AT = 30 };
    if (h->size < NAME_AT || memcmp(h->bytes, "PK\3\4", 4) != 0)
        return NULL;
    const char *name = (const char *)h->bytes + NAME_AT;
    size_t length = h->bytes[LENGTH_AT] + 256U * h->bytes[LENGTH_AT + 1];
    if (length > h->size - NAME_AT)
        length = h->size - NAME_AT;
    if (ends_with(name, length, ".pkl") || memmem(name, length, "/code/", 6))
        return &pytorch;
    if (ends_with(name, length, ".npy"))
        return &arrays;
    return ends_with(name, length, "[Content_Types].xml") ? &office : NULL;
}

/* Eight bytes that say how long the JSON behind them is. */
static int is_safetensors(const head *h)
{
    return h->size > 10 && memcmp(h->bytes + 8, "{\"", 2) == 0 && h->bytes[5] == 0 && h->bytes[6] == 0 &&
           h->bytes[7] == 0;
}

static int is_text(const head *h)
{
    for (size_t i = 0; i < h->size; i++)
        if (h->bytes[i] < ' ' && !strchr("\t\n\r", h->bytes[i]))
            return 0;
    return h->size > 0 && !memchr(h->bytes, '\0', h->size);
}

static const foreign *find_by_name(const head *h)
{
    static const foreign table = {.name = "a CSV table", .advice = "MODEL comes first, then pictures or one table"};
    static const foreign json = {.name = "a JSON file", .advice = "give the model that it belongs to"};
    static const foreign saved = {.name = "the graph of a TensorFlow SavedModel",
                                  .advice = TENSORFLOW "saved-model FOLDER --output model.onnx"};
    const char *slash = strrchr(h->path, '/'), *base = slash ? slash + 1 : h->path, *dot = strrchr(base, '.');
    if (strcmp(base, "saved_model.pb") == 0)
        return &saved;
    if (dot && (strcasecmp(dot, ".csv") == 0 || strcasecmp(dot, ".tsv") == 0) && is_text(h))
        return &table;
    return is_text(h) && h->bytes[strspn((const char *)h->bytes, " \t\r\n")] == '{' ? &json : NULL;
}

static void read_head(head *h, const char *path)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t size = file >= 0 ? read(file, h->bytes, HEAD - 1) : 0; /* a zero follows */
    if (file >= 0)
        close(file);
    h->size = size > 0 ? (size_t)size : 0;
    h->path = path;
}

sal_status sal_import_refuse_foreign(sal_status st, const char *path)
{
    static const foreign safetensors = {.name = "a safetensors file, which has weights and no network",
                                        .advice = "load it, and " PYTORCH};
    head h = {.size = 0};
    read_head(&h, path);
    const foreign *f = find_magic(&h);
    if (!f)
        f = is_safetensors(&h) ? &safetensors : find_archive(&h);
    if (!f)
        f = find_by_name(&h);
    if (!f)
        return st;
    return sal_fail(SAL_ERROR_UNSUPPORTED, "%s: is %s, and salmap reads models of ONNX and Keras: %s", path, f->name,
                    f->advice);
}
