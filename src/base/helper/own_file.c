#define _GNU_SOURCE /* dladdr1(), dlinfo() */
#include "base/helper/start.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The loader keeps a name as it was given, which may be relative to a folder that the host has left since; but it notes
 * the file's folder as it loads it. */
int sal_helper_own_file(char *out)
{
    static const char here = 0;
    char folder[PATH_MAX], name[2 * PATH_MAX];
    Dl_info info;
    struct link_map *file = NULL;
    const int known = dladdr1(&here, &info, (void **)&file, RTLD_DL_LINKMAP) != 0;
    /* The program itself has no name there, and its words may be anything. */
    if (!known || !file || !file->l_name[0])
        return realpath("/proc/self/exe", out) != NULL;
    if (dlinfo(file, RTLD_DI_ORIGIN, folder) != 0)
        return 0;
    const char *slash = strrchr(file->l_name, '/');
    snprintf(name, sizeof name, "%s/%s", folder, slash ? slash + 1 : file->l_name);
    return realpath(name, out) != NULL;
}
