/* Names of classes of layers, and whose classes they are. */
#include "import/keras/class_names.h"

#include <ctype.h>
#include <string.h>

static int is_lower(char c)
{
    return islower((unsigned char)c) != 0;
}

static int is_upper(char c)
{
    return isupper((unsigned char)c) != 0;
}

/* Keras's two steps: "_" before a capital that small letters or digits follow, then between small and capital. */
void keras_snake_case(char *out, size_t size, const char *name)
{
    char first[256];
    size_t n = 0, used = 0;
    for (size_t i = 0; name[i] && n + 3 < sizeof first;) {
        first[n++] = name[i++];
        if (!is_upper(name[i]) || !(is_lower(name[i + 1]) || isdigit((unsigned char)name[i + 1])))
            continue;
        first[n++] = '_';
        first[n++] = name[i++];
        while ((is_lower(name[i]) || isdigit((unsigned char)name[i])) && n + 1 < sizeof first)
            first[n++] = name[i++];
    }
    first[n] = '\0';
    for (size_t i = 0; i < n && used + 2 < size; i++) {
        if (i > 0 && is_lower(first[i - 1]) && is_upper(first[i]))
            out[used++] = '_';
        out[used++] = (char)tolower((unsigned char)first[i]);
    }
    out[used] = '\0';
}

/* "keras", "keras.layers", "tf_keras.src"; a '>' ends it too. */
int keras_is_own_module(const char *module)
{
    static const char *const packages[] = {"keras", "tf_keras"};
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(packages[i]);
        if (strncmp(module, packages[i], n) == 0 && (module[n] == '\0' || module[n] == '.' || module[n] == '>'))
            return 1;
    }
    return 0;
}

/* Those are registered as "Package>Class" or, in the newer files, are of a module that is not Keras's. Keras itself
 * registered one that way. */
int keras_is_foreign(const json_t *described, const char *class_name)
{
    if (!class_name)
        return 1;
    const json_t *module = json_object_get(described, "module");
    const char *registered = json_string_value(json_object_get(described, "registered_name"));
    const char *name = registered && strchr(registered, '>') ? registered : class_name;
    if (strcmp(name, "Custom>CustomScaleLayer") == 0)
        return 0;
    if (strchr(name, '>'))
        return 1;
    const char *text = json_string_value(module);
    return module && !(text && keras_is_own_module(text));
}
