#include "base/helper/helper.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

sal_helper_greeting sal_helper_greet(const sal_helper *helper)
{
    sal_helper_greeting g = {""};
    snprintf(g.text, sizeof g.text, "%s %s %s, %zu and %zu bytes", helper->name, sal_version(), SAL_HELPER_QUESTIONS,
             helper->asked, helper->answered);
    return g;
}

int sal_helper_send(int socket, const void *bytes, size_t size)
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

int sal_helper_receive(int socket, void *bytes, size_t size)
{
    char *at = bytes;
    while (size > 0) {
        errno = 0;
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
