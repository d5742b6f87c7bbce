/* Values by name: an open-addressing hash table of indices into im->values. */
#include "base/memory.h"
#include "import/onnx/onnx_importer.h"
#include "import/onnx/op.h"
#include "import/onnx/stages.h"
#include "import/onnx/tensor.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static size_t hash(const char *name)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return (size_t)(h ^ (h >> 32));
}

static size_t find_slot(const onnx_importer *im, const char *name)
{
    size_t mask = im->slot_count - 1;
    size_t s = hash(name) & mask;
    while (im->slots[s] >= 0 && strcmp(im->values[im->slots[s]].name, name) != 0)
        s = (s + 1) & mask;
    return s;
}

static sal_status enlarge(onnx_importer *im)
{
    size_t count = im->slot_count ? im->slot_count * 2 : 1024;
    int *slots = NULL;
    sal_status st = sal_alloc(&slots, count, sizeof *slots, "tensor names");
    if (st != SAL_OK)
        return st;
    for (size_t k = 0; k < count; k++)
        slots[k] = -1;
    sal_free(im->slots);
    im->slots = slots;
    im->slot_count = count;
    for (size_t v = 0; v < im->value_count; v++)
        slots[find_slot(im, im->values[v].name)] = (int)v;
    return SAL_OK;
}

sal_status onnx_intern_entry(int *out, onnx_importer *im, const char *name)
{
    sal_status st = SAL_OK;
    if (im->value_count * 2 >= im->slot_count)
        TRY(enlarge(im));
    size_t slot = find_slot(im, name);
    if (im->slots[slot] < 0) {
        if (im->value_count >= INT_MAX / 2) {
            st = sal_fail(SAL_ERROR_LIMIT, "more than %d tensors", INT_MAX / 2);
            goto done;
        }
        TRY(sal_grow(&im->values, &im->value_capacity, im->value_count + 1, sizeof *im->values, "tensors"));
        onnx_value *v = &im->values[im->value_count];
        memset(v, 0, sizeof *v);
        TRY(sal_strdup(&v->name, name));
        v->alias = ONNX_ITSELF;
        v->producer = -1;
        v->node = -1;
        im->slots[slot] = (int)im->value_count++;
    }
    *out = im->slots[slot];
done:
    return st;
}

sal_status onnx_intern(int *out, onnx_importer *im, const char *name)
{
    int value = ONNX_ABSENT;
    sal_status st = onnx_intern_entry(&value, im, name);
    if (st != SAL_OK)
        return st;
    /* One step is enough: aliases are set to values that are none themselves. */
    *out = im->values[value].alias == ONNX_ITSELF ? value : im->values[value].alias;
    return SAL_OK;
}

int onnx_find_value(const onnx_importer *im, const char *name)
{
    const int value = im->slot_count > 0 ? im->slots[find_slot(im, name)] : -1;
    if (value < 0)
        return ONNX_ABSENT;
    return im->values[value].alias == ONNX_ITSELF ? value : im->values[value].alias;
}

void onnx_values_clear(onnx_importer *im)
{
    for (size_t v = 0; v < im->value_count; v++) {
        free(im->values[v].name);
        onnx_tensor_clear(&im->values[v].constant);
    }
    free(im->values);
    sal_free(im->slots);
    im->values = NULL;
    im->slots = NULL;
    im->value_count = 0;
}
