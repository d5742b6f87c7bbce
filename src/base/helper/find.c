#define _GNU_SOURCE /* dladdr1(), secure_getenv() */
#include "base/helper/start.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* The build says: seen from the folder of this code's file, and where it will be installed. */
static const char *const folders[] = {SAL_HELPER_FOLDERS};
static const char installed[] = SAL_HELPER_INSTALLED;

enum { FOLDERS = sizeof folders / sizeof *folders, MOST_PLACES = FOLDERS + 1 };

/* The folder of the file that this code lies in, links resolved; 0: unknown. out: PATH_MAX bytes. */
static int own_folder(char *out)
{
    static const char here = 0;
    Dl_info info;
    struct link_map *file = NULL;
    const int known = dladdr1(&here, &info, (void **)&file, RTLD_DL_LINKMAP) != 0;
    /* The program itself has no name there, and its words may be anything. */
    const char *name = known && file && file->l_name[0] ? file->l_name : "/proc/self/exe";
    if (!realpath(name, out))
        return 0;
    char *slash = strrchr(out, '/');
    slash[slash == out] = '\0';
    return 1;
}

/* The place of that number; 0: there is none. Whoever starts a set-user-ID program may have linked it into a folder
 * that holds such a program as well. */
static int place(char *out, const sal_helper *helper, size_t number)
{
    char own[PATH_MAX];
    const char *chosen = secure_getenv(helper->variable);
    int length = -1;
    if (chosen && chosen[0])
        length = number == 0 ? snprintf(out, PATH_MAX, "%s", chosen) : -1;
    else if (number == FOLDERS)
        length = snprintf(out, PATH_MAX, "%s/%s", installed, helper->name);
    else if (getauxval(AT_SECURE) == 0 && own_folder(own))
        length = snprintf(out, PATH_MAX, "%s/%s/%s", own, folders[number], helper->name);
    return length > 0 && length < PATH_MAX;
}

sal_status sal_helper_find(char *out, const sal_helper *helper, const char *path)
{
    char tried[3 * PATH_MAX] = "";
    size_t used = 0;
    for (size_t number = 0; number < MOST_PLACES; number++) {
        char one[PATH_MAX];
        if (!place(one, helper, number))
            continue;
        if (access(one, X_OK) == 0 && realpath(one, out))
            return SAL_OK;
        const int more = snprintf(tried + used, sizeof tried - used, "%s%s", used ? ", " : "", one);
        used += more > 0 && (size_t)more < sizeof tried - used ? (size_t)more : 0;
    }
    return sal_fail(
        SAL_ERROR_IO,
        "%s: cannot be read: the program %s, which %s, is not at %s: install it with libsalmap, or set %s to its path",
        path, helper->name, helper->purpose, tried, helper->variable);
}
