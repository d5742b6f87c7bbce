#include "dataset/patterns.h"

#include "base/memory.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERN = 4096 };

/* ---- One pattern --------------------------------------------------------- */

/* A part of a path, up to the next slash or the end. */
typedef struct part {
    const char *text;
    size_t length;
} part;

static part first_part(const char *path, size_t length)
{
    const char *slash = memchr(path, '/', length);
    return (part){path, slash ? (size_t)(slash - path) : length};
}

/* One name against one part of a pattern; both are shorter than MAX_PATTERN. */
static int name_matches(part pattern, part name)
{
    char glob[MAX_PATTERN], text[MAX_PATTERN];
    if (pattern.length >= sizeof glob || name.length >= sizeof text)
        return 0;
    memcpy(glob, pattern.text, pattern.length);
    glob[pattern.length] = '\0';
    memcpy(text, name.text, name.length);
    text[name.length] = '\0';
    return fnmatch(glob, text, 0) == 0;
}

static int is_any(part p)
{
    return p.length == 2 && memcmp(p.text, "**", 2) == 0;
}

/* What is behind a part and its slash. */
static size_t behind(part p, size_t length)
{
    return p.length < length ? p.length + 1 : length;
}

/* A whole path against a whole pattern. After "**" all that counts is the last of them that was met: what the parts
 * between two of them match first is as good as what they match later. */
static int path_matches(const char *pattern, size_t pattern_length, const char *path, size_t length)
{
    const char *again_pattern = NULL, *again_path = NULL;
    size_t again_pattern_length = 0, again_length = 0;
    for (;;) {
        const part p = first_part(pattern, pattern_length), name = first_part(path, length);
        if (pattern_length > 0 && is_any(p)) {
            again_pattern = pattern += behind(p, pattern_length);
            again_pattern_length = pattern_length -= behind(p, pattern_length);
            again_path = path;
            again_length = length;
            if (pattern_length == 0) /* all that a folder holds, and not the folder itself */
                return length > 0;
            continue;
        }
        if (pattern_length == 0 && length == 0)
            return 1;
        if (pattern_length > 0 && length > 0 && name_matches(p, name)) {
            pattern += behind(p, pattern_length);
            pattern_length -= behind(p, pattern_length);
            path += behind(name, length);
            length -= behind(name, length);
            continue;
        }
        if (!again_pattern || again_length == 0)
            return 0;
        const size_t step = behind(first_part(again_path, again_length), again_length);
        path = again_path += step;
        length = again_length -= step;
        pattern = again_pattern;
        pattern_length = again_pattern_length;
    }
}

int sal_pattern_matches(const char *pattern, const char *path, int is_folder)
{
    size_t length = strlen(pattern);
    const int folders_only = length > 0 && pattern[length - 1] == '/';
    length -= (size_t)folders_only;
    const int is_name = !memchr(pattern, '/', length);
    if (length > 0 && *pattern == '/') {
        pattern++;
        length--;
    }
    for (const char *begin = path; *begin;) {
        const size_t name_length = strcspn(begin, "/");
        const char *end = begin + name_length;
        const int last = *end == '\0';
        if (!(last && folders_only && !is_folder) &&
            (is_name ? name_matches((part){pattern, length}, (part){begin, name_length})
                     : path_matches(pattern, length, path, (size_t)(end - path))))
            return 1;
        begin = last ? end : end + 1;
    }
    return 0;
}

/* ---- Several ------------------------------------------------------------- */

static sal_status copy_list(char ***out, size_t *copied, const char *const *list, size_t count, const char *what)
{
    sal_status st = SAL_OK;
    if (count == 0)
        return SAL_OK;
    TRY(sal_alloc(out, count, sizeof **out, "patterns"));
    for (; *copied < count; (*copied)++) {
        const char *text = list ? list[*copied] : NULL;
        if (!text || text[strspn(text, "/")] == '\0' || strlen(text) >= MAX_PATTERN)
            return sal_fail(SAL_ERROR_ARGUMENT, "%s: a pattern is %s", what,
                            !text || !*text                   ? "empty"
                            : text[strspn(text, "/")] == '\0' ? "a slash and nothing else"
                                                              : "longer than any path");
        TRY(sal_strdup(&(*out)[*copied], text));
    }
done:
    return st;
}

sal_status sal_patterns_make(sal_patterns *out, const char *const *include, size_t include_count,
                             const char *const *exclude, size_t exclude_count)
{
    sal_status st = SAL_OK;
    memset(out, 0, sizeof *out);
    TRY(copy_list(&out->include, &out->include_count, include, include_count, "include"));
    TRY(copy_list(&out->exclude, &out->exclude_count, exclude, exclude_count, "exclude"));
done:
    if (st != SAL_OK)
        sal_patterns_clear(out);
    return st;
}

void sal_patterns_clear(sal_patterns *p)
{
    for (size_t i = 0; i < p->include_count; i++)
        free(p->include[i]);
    for (size_t i = 0; i < p->exclude_count; i++)
        free(p->exclude[i]);
    sal_free(p->include);
    sal_free(p->exclude);
    memset(p, 0, sizeof *p);
}

static int is_one_of(char *const *patterns, size_t count, const char *path, int is_folder)
{
    for (size_t i = 0; i < count; i++)
        if (sal_pattern_matches(patterns[i], path, is_folder))
            return 1;
    return 0;
}

int sal_patterns_take(const sal_patterns *p, const char *path)
{
    return (p->include_count == 0 || is_one_of(p->include, p->include_count, path, 0)) &&
           !is_one_of(p->exclude, p->exclude_count, path, 0);
}

int sal_patterns_skip_folder(const sal_patterns *p, const char *path)
{
    return is_one_of(p->exclude, p->exclude_count, path, 1);
}
