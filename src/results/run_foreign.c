/* Folders that are no runs, and what stands in the way of one. */
#include "results/in_flight.h"
#include "results/run.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

sal_status sal_run_refuse(const char *folder, const char *name)
{
    return sal_fail(SAL_ERROR_ARGUMENT, "%s%s%s: is not of a run, and results would go there: choose another folder",
                    folder, folder[0] && folder[strlen(folder) - 1] != '/' ? "/" : "", name);
}

/* A folder below the run's is one, or is not there. */
static sal_status check_folder(int *there, const sal_run_folder *f, const char *name)
{
    sal_status st = SAL_OK;
    int fd = -1;
    TRY(sal_run_file_exists(there, f, name));
    if (!*there)
        goto done;
    TRY(sal_run_folder_enter(&fd, f, name));
    if (fd < 0)
        st = sal_fail(SAL_ERROR_IO, "%s/%s: is a link to no folder; run again when its disk is there", f->path, name);
done:
    if (fd >= 0)
        close(fd);
    return st;
}

static sal_status count_file(void *context, const sal_run_folder *folder, const char *name)
{
    (void)folder;
    (void)name;
    ++*(size_t *)context;
    return SAL_OK;
}

/* Of a name that a run has; folders for results may be made before, as links to another disk, as long as they are
 * empty. */
static sal_status is_in_the_way(int *found, const sal_run_folder *f, const char *name)
{
    sal_status st = SAL_OK;
    size_t files = 0;
    const int of_results = strcmp(name, SAL_RUN_MAPS) == 0 || strcmp(name, SAL_RUN_OVERLAYS) == 0;
    TRY(sal_run_file_exists(found, f, name));
    if (*found && of_results && check_folder(found, f, name) == SAL_OK) {
        TRY(sal_run_files_each(f, name, count_file, &files));
        *found = files > 0;
    }
done:
    return st;
}

/* The files are looked for first: whoever makes a run writes run.json before any of them. */
static sal_status check_signed(int *run, const sal_run_folder *f)
{
    static const char *const names[] = {SAL_STORE_WHOLE,
                                        SAL_STORE_WHOLE SAL_IN_FLIGHT_ENDING,
                                        SAL_STORE_WHOLE "-journal",
                                        SAL_STORE_WHOLE "-wal",
                                        SAL_STORE_WHOLE "-shm",
                                        SAL_STORE_SHARDS,
                                        SAL_RUN_MANIFEST,
                                        SAL_RUN_CSV,
                                        SAL_RUN_MAPS,
                                        SAL_RUN_OVERLAYS};
    sal_status st = SAL_OK;
    sal_run_description d = {.sign = SAL_RUN_UNSIGNED};
    const char *found = NULL;
    for (size_t i = 0; !found && i < sizeof names / sizeof names[0]; i++) {
        int there;
        TRY(is_in_the_way(&there, f, names[i]));
        if (there)
            found = names[i];
    }
    TRY(sal_run_description_read(&d, f));
    *run = d.sign == SAL_RUN_SIGNED;
    if (d.sign == SAL_RUN_FOREIGN)
        st = sal_run_refuse(f->path, SAL_RUN_JSON);
    else if (d.sign == SAL_RUN_UNSIGNED && found)
        st = sal_run_refuse(f->path, found);
done:
    sal_run_description_clear(&d);
    return st;
}

sal_status sal_run_refuse_foreign(const char *folder, size_t pictures)
{
    static const char *const kinds[] = {SAL_RUN_MAPS, SAL_RUN_OVERLAYS};
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    int run, there;
    TRY(sal_run_folder_open(&f, folder));
    TRY(check_signed(&run, &f));
    if (run)
        TRY(check_folder(&there, &f, SAL_STORE_SHARDS));
    for (size_t k = 0; run && k < 2; k++) {
        TRY(check_folder(&there, &f, kinds[k]));
        for (size_t n = 0; n * SAL_NAMES_OF_A_FOLDER < pictures; n++) {
            char name[64];
            snprintf(name, sizeof name, "%s/%03zu", kinds[k], n);
            TRY(check_folder(&there, &f, name));
        }
    }
done:
    sal_run_folder_close(&f);
    return st;
}

sal_status sal_run_refuse_table(const char *folder)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    int table, whole;
    TRY(sal_run_folder_open(&f, folder));
    TRY(sal_run_file_exists(&table, &f, SAL_RUN_CSV));
    TRY(sal_run_file_exists(&whole, &f, SAL_STORE_WHOLE));
    if (table && !whole)
        st = sal_run_refuse(folder, SAL_RUN_CSV);
done:
    sal_run_folder_close(&f);
    return st;
}

sal_status sal_run_is_one(int *run, const char *folder)
{
    sal_status st = SAL_OK;
    sal_run_folder f = {.fd = -1};
    sal_run_description d = {.sign = SAL_RUN_UNSIGNED};
    TRY(sal_run_folder_open(&f, folder));
    TRY(sal_run_description_read(&d, &f));
    *run = d.sign == SAL_RUN_SIGNED;
done:
    sal_run_description_clear(&d);
    sal_run_folder_close(&f);
    return st;
}

sal_status sal_run_require_one(const sal_run_folder *f)
{
    sal_status st = SAL_OK;
    sal_run_description d = {.sign = SAL_RUN_UNSIGNED};
    TRY(sal_run_description_read(&d, f));
    if (d.sign == SAL_RUN_UNSIGNED)
        st = sal_fail(SAL_ERROR_IO, "%s/" SAL_RUN_JSON ": cannot open: %s", f->path, strerror(ENOENT));
    else if (d.sign == SAL_RUN_FOREIGN)
        st = sal_fail(SAL_ERROR_FORMAT, "%s/" SAL_RUN_JSON ": is damaged, or of no run: its fingerprint is another one",
                      f->path);
done:
    sal_run_description_clear(&d);
    return st;
}
