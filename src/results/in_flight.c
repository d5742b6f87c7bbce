#include "results/in_flight.h"

#include "base/memory.h"
#include "results/run_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_SIZE = 128, IN_FLIGHT = 0x80, MAX_DEATHS = 0x7f };

struct sal_in_flight {
    sal_run_folder folder;
    char *name; /* in it */
    int file;
    size_t count;
    unsigned char *states; /* deaths, and whether it is in flight */
};

static sal_status fail(const sal_in_flight *f, const char *what)
{
    return sal_fail(SAL_ERROR_IO, "%s/%s: %s: %s", f->folder.path, f->name, what, strerror(errno));
}

/* *known: it is of this list. */
static sal_status read_states(int *known, sal_in_flight *f, const char header[HEADER_SIZE])
{
    char there[HEADER_SIZE];
    *known = pread(f->file, there, HEADER_SIZE, 0) == HEADER_SIZE && memcmp(there, header, HEADER_SIZE) == 0;
    /* A file that is too short has zeros at its end. */
    for (size_t done = 0; *known && done < f->count;) {
        const ssize_t n = pread(f->file, f->states + done, f->count - done, (off_t)(HEADER_SIZE + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(f, "cannot read");
        if (n == 0)
            break;
        done += (size_t)n;
    }
    for (size_t i = 0; i < f->count; i++)
        if (f->states[i] & IN_FLIGHT) {
            f->states[i] &= MAX_DEATHS;
            f->states[i] = (unsigned char)(f->states[i] + (f->states[i] < MAX_DEATHS));
        }
    return SAL_OK;
}

static sal_status write_at(const sal_in_flight *f, const void *bytes, size_t size, size_t at)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(f->file, (const char *)bytes + done, size - done, (off_t)(at + done));
        if (n < 0 && errno != EINTR)
            return fail(f, "cannot write");
        done += n > 0 ? (size_t)n : 0;
    }
    return SAL_OK;
}

/* In place: whenever this is cut off, each picture's deaths are counted, or still to be. A file of another list becomes
 * one of this list at last. */
static sal_status write_states(const sal_in_flight *f, const char header[HEADER_SIZE], int known)
{
    sal_status st = SAL_OK;
    if (!known && ftruncate(f->file, 0) != 0)
        return fail(f, "cannot write");
    TRY(write_at(f, f->states, f->count, HEADER_SIZE));
    if (!known)
        TRY(write_at(f, header, HEADER_SIZE, 0));
done:
    return st;
}

static void release(sal_in_flight *f)
{
    if (f->file >= 0)
        close(f->file);
    sal_run_folder_close(&f->folder);
    free(f->name);
    sal_free(f->states);
    sal_free(f);
}

sal_status sal_in_flight_open(sal_in_flight **out, const char *run, const char *store, const char *list_sha256,
                              size_t count)
{
    sal_status st = SAL_OK;
    sal_in_flight *f = NULL;
    char header[HEADER_SIZE] = "";
    const size_t size = strlen(store) + sizeof SAL_IN_FLIGHT_ENDING;
    int known;
    *out = NULL;
    TRY(sal_alloc(&f, 1, sizeof *f, "pictures in flight"));
    f->folder.fd = -1;
    f->file = -1;
    f->count = count;
    f->name = malloc(size);
    if (!f->name) {
        st = sal_fail_memory(size, "a path");
        goto done;
    }
    snprintf(f->name, size, "%s" SAL_IN_FLIGHT_ENDING, store);
    snprintf(header, sizeof header, "salmap: pictures in flight, 1\n%s\n", list_sha256);
    TRY(sal_alloc(&f->states, count, 1, "pictures in flight"));
    TRY(sal_run_folder_open(&f->folder, run));
    TRY(sal_run_file_open_to_change(&f->file, &f->folder, f->name));
    TRY(read_states(&known, f, header));
    TRY(write_states(f, header, known));
    *out = f;
    f = NULL;
done:
    if (f)
        release(f);
    return st;
}

int sal_in_flight_deaths(const sal_in_flight *f, size_t picture)
{
    return f->states[picture] & MAX_DEATHS;
}

/* A byte that cannot be written blames nobody. */
static void set(sal_in_flight *f, size_t picture, int state)
{
    f->states[picture] = (unsigned char)state;
    while (pwrite(f->file, &f->states[picture], 1, (off_t)(HEADER_SIZE + picture)) < 0 && errno == EINTR)
        ;
}

void sal_in_flight_begin(sal_in_flight *f, size_t picture)
{
    set(f, picture, f->states[picture] | IN_FLIGHT);
}

void sal_in_flight_done(sal_in_flight *f, size_t picture)
{
    set(f, picture, 0);
}

void sal_in_flight_leave(sal_in_flight *f, size_t picture)
{
    set(f, picture, f->states[picture] & MAX_DEATHS);
}

void sal_in_flight_close(sal_in_flight *f)
{
    int deaths = 0;
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        if (f->states[i] & IN_FLIGHT)
            sal_in_flight_leave(f, i);
        deaths |= f->states[i];
    }
    if (!deaths)
        (void)sal_run_file_remove(&f->folder, f->name);
    release(f);
}
