#define _GNU_SOURCE /* secure_getenv() */
#include "base/helper/start.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* A place for such programs, as the build says: where files of one kind are installed, and how the place is seen from
 * there. Elsewhere the way up would lead to a folder of anybody: of /tmp, for what lies in /tmp/build. */
typedef struct way {
    const char *from; /* the end of the folder that it begins in; "": any */
    const char *folder;
} way;

static const way ways[] = {{"", "libexec/salmap"},
                           {"/" SAL_HELPER_PROGRAMS, SAL_HELPER_FROM_PROGRAMS},
                           {"/" SAL_HELPER_LIBRARIES, SAL_HELPER_FROM_LIBRARIES}};
static const char installed[] = SAL_HELPER_INSTALLED;

enum { WAYS = sizeof ways / sizeof *ways, MOST_PLACES = WAYS + 1 };

/* Cuts the file's name off. */
static void keep_folder(char *path)
{
    char *slash = strrchr(path, '/');
    slash[slash == path] = '\0';
}

static int ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), most = strlen(end);
    return length >= most && strcmp(text + length - most, end) == 0;
}

/* The place of that number; 0: there is none. own: the file that this code lies in, or "". *relative: seen from it. */
static int place(char *out, int *relative, const sal_helper *helper, size_t number, const char *own)
{
    char folder[PATH_MAX];
    const char *chosen = secure_getenv(helper->variable);
    int length = -1;
    *relative = 0;
    if (chosen && chosen[0])
        length = number == 0 ? snprintf(out, PATH_MAX, "%s", chosen) : -1;
    else if (number == WAYS)
        length = snprintf(out, PATH_MAX, "%s/%s", installed, helper->name);
    else if (own[0]) {
        snprintf(folder, sizeof folder, "%s", own);
        keep_folder(folder);
        *relative = 1;
        if (ends_with(folder, ways[number].from))
            length = snprintf(out, PATH_MAX, "%s/%s/%s", folder, ways[number].folder, helper->name);
    }
    return length > 0 && length < PATH_MAX;
}

/* Why the file or folder is not to be trusted, or NULL. It belongs to root, this user, or whoever the own file belongs
 * to, who could have changed that as well. Others may not write to it; those of the own file's group may, as where each
 * user has a group of his own. */
static const char *distrust(const char *path, const struct stat *own)
{
    struct stat it;
    if (stat(path, &it) != 0)
        return "it cannot be looked at";
    if (it.st_uid != 0 && it.st_uid != geteuid() && it.st_uid != own->st_uid)
        return "it belongs to another user";
    if ((it.st_mode & S_IWOTH) || ((it.st_mode & S_IWGRP) && it.st_gid != own->st_gid))
        return "others may write to it";
    return NULL;
}

/* The same for a program and its folder, links resolved. */
static const char *distrust_program(const char *program, const char *own_file)
{
    struct stat own;
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", program);
    keep_folder(folder);
    if (stat(own_file, &own) != 0)
        return "it cannot be looked at";
    const char *why = distrust(program, &own);
    return why ? why : distrust(folder, &own);
}

static const char not_there[] = "";

/* NULL: it can be started; else why not. out: its path, links resolved. */
static const char *look(char *out, const char *one, const char *own)
{
    struct stat it;
    if (stat(one, &it) != 0)
        return not_there;
    if (!S_ISREG(it.st_mode) || access(one, X_OK) != 0 || !realpath(one, out))
        return "it is no program that this user may run";
    return own ? distrust_program(out, own) : NULL;
}

sal_status sal_helper_find(char *out, const sal_helper *helper, const char *path)
{
    char tried[5 * PATH_MAX] = "", own[PATH_MAX] = "";
    size_t used = 0;
    /* Whoever starts a set-user-ID program may have linked it into a folder that holds such a program as well. */
    if (getauxval(AT_SECURE) != 0 || !sal_helper_own_file(own))
        own[0] = '\0';
    for (size_t number = 0; number < MOST_PLACES; number++) {
        char one[PATH_MAX];
        int relative;
        if (!place(one, &relative, helper, number, own))
            continue;
        const char *why = look(out, one, relative ? own : NULL);
        if (!why)
            return SAL_OK;
        const int more = snprintf(tried + used, sizeof tried - used, "%s%s%s%s%s", used ? ", " : "", one,
                                  why[0] ? " (passed over: " : "", why, why[0] ? ")" : "");
        used += more > 0 && (size_t)more < sizeof tried - used ? (size_t)more : 0;
    }
    return sal_fail(
        SAL_ERROR_IO,
        "%s: cannot be read: the program %s, which %s, is not at %s: install it with libsalmap, or set %s to its path",
        path, helper->name, helper->purpose, tried, helper->variable);
}
