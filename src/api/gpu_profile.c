#include "api/gpu_profile.h"

#include "base/file.h"
#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 16 };

static const char blanks[] = " \t\r\n";

/* ---- As much of JSON as is needed ------------------------------------------ */

/* Behind a string that begins here, or NULL where it does not end. */
static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : NULL;
}

/* Behind the object that begins here, or NULL where its braces do not match. */
static const char *skip_object(const char *at)
{
    int depth = 0;
    while (at && *at) {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
        if (depth == 0)
            return at;
    }
    return NULL;
}

/* The value of a key of the object that begins at `object`, or NULL. */
static const char *find_member(const char *object, const char *key)
{
    const size_t length = strlen(key);
    int depth = 0;
    for (const char *at = object; at && *at;) {
        if (*at != '"') {
            depth += *at == '{' || *at == '[';
            depth -= *at == '}' || *at == ']';
            if (depth == 0)
                return NULL;
            at++;
            continue;
        }
        const char *end = skip_string(at);
        if (!end)
            return NULL;
        const char *value = end + strspn(end, blanks);
        if (depth == 1 && *value == ':' && (size_t)(end - at) == length + 2 && strncmp(at + 1, key, length) == 0)
            return value + 1 + strspn(value + 1, blanks);
        at = end;
    }
    return NULL;
}

/* ---- Profiles ---------------------------------------------------------------- */

static sal_status get_number(double *out, const char *peak, const char *key, double least)
{
    char *end;
    const char *text = find_member(peak, key);
    *out = text ? strtod(text, &end) : 0;
    if (!text || end == text || !isfinite(*out) || *out < least)
        return sal_fail(SAL_ERROR_FORMAT, "\"peak\" needs a number \"%s\" of at least %g", key, least);
    return SAL_OK;
}

/* What is looked for below in the text takes it for JSON. */
static int is_json_object(const char *text)
{
    json_t *whole = json_loads(text, 0, NULL);
    const int is = json_is_object(whole);
    json_decref(whole);
    return is;
}

static sal_status read_profile(sal_gpu_profile *p, const char *json)
{
    sal_status st = SAL_OK;
    const char *object = json + strspn(json, blanks);
    const char *cudnn = is_json_object(json) ? find_member(object, "cudnn") : NULL;
    const char *end = cudnn && *cudnn == '{' ? skip_object(cudnn) : NULL;
    const char *peak = end ? find_member(object, "peak") : NULL;
    if (!end || !peak || *peak != '{')
        return sal_fail(SAL_ERROR_FORMAT, "not a GPU's description: a JSON object with the objects \"cudnn\" and "
                                          "\"peak\", as in data/gpus");
    TRY(get_number(&p->memory, peak, "memory_bytes_per_second", 1));
    TRY(get_number(&p->flops[SAL_PRECISION_FP32], peak, "fp32_flops_per_second", 1));
    TRY(get_number(&p->flops[SAL_PRECISION_TF32], peak, "tf32_flops_per_second", 0));
    TRY(get_number(&p->flops[SAL_PRECISION_BF16], peak, "bf16_flops_per_second", 0));
    TRY(get_number(&p->flops[SAL_PRECISION_FP16], peak, "fp16_flops_per_second", 0));
    TRY(sal_alloc(&p->cudnn, (size_t)(end - cudnn) + 1, 1, "a GPU's description"));
    memcpy(p->cudnn, cudnn, (size_t)(end - cudnn));
done:
    return st;
}

static sal_status read_file(sal_gpu_profile *p, const char *path)
{
    sal_status st = SAL_OK;
    unsigned char *bytes = NULL;
    char *json = NULL;
    size_t size;
    TRY(sal_file_read(&bytes, &size, path, MAX_BYTES));
    TRY(sal_alloc(&json, size + 1, 1, "a GPU's description"));
    memcpy(json, bytes, size);
    st = read_profile(p, json);
    if (st != SAL_OK)
        st = sal_fail_in(st, "%s", path);
done:
    sal_free(json);
    sal_free(bytes);
    return st;
}

static sal_status unknown_name(const char *gpu)
{
    char names[256] = "";
    for (size_t i = 0; i < sal_gpu_text_count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", sal_gpu_texts[i].name);
    }
    return sal_fail(SAL_ERROR_ARGUMENT, "GPU '%s': choose %s, or a file FILE.json", gpu, names);
}

sal_status sal_gpu_profile_open(sal_gpu_profile *out, const char *gpu)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; gpu && i < sal_gpu_text_count; i++)
        if (strcmp(gpu, sal_gpu_texts[i].name) == 0)
            return read_profile(out, sal_gpu_texts[i].json);
    if (!gpu || !strpbrk(gpu, "./"))
        return unknown_name(gpu ? gpu : "");
    return read_file(out, gpu);
}

void sal_gpu_profile_clear(sal_gpu_profile *p)
{
    sal_free(p->cudnn);
    p->cudnn = NULL;
}
