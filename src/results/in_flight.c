#include "results/in_flight.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_SIZE = 128, IN_FLIGHT = 0x80, MAX_DEATHS = 0x7f };

struct sal_in_flight {
    char *path;
    int file;
    size_t count;
    unsigned char *states; /* deaths, and whether it is in flight */
};

static sal_status read_states(sal_in_flight *f, const char header[HEADER_SIZE])
{
    char there[HEADER_SIZE];
    const int known = pread(f->file, there, HEADER_SIZE, 0) == HEADER_SIZE && memcmp(there, header, HEADER_SIZE) == 0;
    /* A file that is too short has zeros at its end. */
    for (size_t done = 0; known && done < f->count;) {
        const ssize_t n = pread(f->file, f->states + done, f->count - done, (off_t)(HEADER_SIZE + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sal_fail(SAL_ERROR_IO, "%s: cannot read: %s", f->path, strerror(errno));
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

static sal_status write_states(sal_in_flight *f, const char header[HEADER_SIZE])
{
    if (ftruncate(f->file, 0) != 0 || pwrite(f->file, header, HEADER_SIZE, 0) != HEADER_SIZE ||
        pwrite(f->file, f->states, f->count, HEADER_SIZE) != (ssize_t)f->count)
        return sal_fail(SAL_ERROR_IO, "%s: cannot write: %s", f->path, strerror(errno));
    return SAL_OK;
}

static void release(sal_in_flight *f)
{
    if (f->file >= 0)
        close(f->file);
    free(f->path);
    sal_free(f->states);
    sal_free(f);
}

sal_status sal_in_flight_open(sal_in_flight **out, const char *store, const char *list_sha256, size_t count)
{
    sal_status st = SAL_OK;
    sal_in_flight *f = NULL;
    char header[HEADER_SIZE] = "";
    const size_t size = strlen(store) + sizeof SAL_IN_FLIGHT_ENDING;
    *out = NULL;
    TRY(sal_alloc(&f, 1, sizeof *f, "pictures in flight"));
    f->file = -1;
    f->count = count;
    f->path = malloc(size);
    if (!f->path) {
        st = sal_fail_memory(size, "a path");
        goto done;
    }
    snprintf(f->path, size, "%s" SAL_IN_FLIGHT_ENDING, store);
    snprintf(header, sizeof header, "salmap: pictures in flight, 1\n%s\n", list_sha256);
    TRY(sal_alloc(&f->states, count, 1, "pictures in flight"));
    /* What is cut to nothing below is this file, and no other that a link leads to. */
    f->file = open(f->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    if (f->file < 0) {
        st = sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", f->path, strerror(errno));
        goto done;
    }
    TRY(read_states(f, header));
    TRY(write_states(f, header));
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

void sal_in_flight_close(sal_in_flight *f)
{
    int deaths = 0;
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        if (f->states[i] & IN_FLIGHT)
            set(f, i, f->states[i] & MAX_DEATHS);
        deaths |= f->states[i];
    }
    if (!deaths)
        (void)unlink(f->path);
    release(f);
}
