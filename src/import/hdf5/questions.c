#include "import/hdf5/questions.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

hdf5_greeting hdf5_greet(void)
{
    hdf5_greeting g = {""};
    snprintf(g.text, sizeof g.text, "salmap-hdf5 %s, %zu and %zu bytes", sal_version(), sizeof(hdf5_request),
             sizeof(hdf5_answer));
    return g;
}

int hdf5_send(int socket, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = send(socket, at, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

int hdf5_receive(int socket, void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        const ssize_t n = recv(socket, at, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return 0;
        at += n;
        size -= (size_t)n;
    }
    return 1;
}

/* libhdf5 reads and unpacks some hundred megabytes in a second, and goes in circles over damaged files. */
uint64_t hdf5_most_seconds(uint64_t size)
{
    return 4 + (size >> 23);
}
