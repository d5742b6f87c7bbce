#include "base/digest.h"

#include "base/memory.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

struct sal_digest {
    EVP_MD_CTX *context;
};

/* Every call of libcrypto goes through here. */
static sal_status check(int done)
{
    return done == 1 ? SAL_OK : sal_fail(SAL_ERROR_MEMORY, "out of memory: libcrypto cannot compute a SHA-256");
}

sal_status sal_digest_open(sal_digest **out)
{
    sal_status st = SAL_OK;
    sal_digest *d = NULL;
    *out = NULL;
    TRY(sal_alloc(&d, 1, sizeof *d, "a digest"));
    d->context = EVP_MD_CTX_new();
    TRY(check(d->context != NULL));
    TRY(check(EVP_DigestInit_ex(d->context, EVP_sha256(), NULL)));
    *out = d;
    d = NULL;
done:
    sal_digest_close(d);
    return st;
}

void sal_digest_close(sal_digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->context);
    sal_free(d);
}

sal_status sal_digest_add(sal_digest *d, const void *bytes, size_t size)
{
    return check(EVP_DigestUpdate(d->context, bytes, size));
}

sal_status sal_digest_add_file(sal_digest *d, const char *path)
{
    enum { PIECE = 1 << 20 };
    sal_status st = SAL_OK;
    unsigned char *piece = NULL;
    FILE *stream = fopen(path, "rbe");
    if (!stream)
        return sal_fail(SAL_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    TRY(sal_alloc(&piece, PIECE, 1, "a piece of a file"));
    for (size_t n; (n = fread(piece, 1, PIECE, stream)) > 0;)
        TRY(sal_digest_add(d, piece, n));
    if (ferror(stream))
        st = sal_fail(SAL_ERROR_IO, "%s: cannot read: %s", path, strerror(errno));
done:
    fclose(stream);
    sal_free(piece);
    return st;
}

sal_status sal_digest_finish(char text[SAL_DIGEST_SIZE], sal_digest *d)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    sal_status st = check(EVP_DigestFinal_ex(d->context, bytes, &size));
    text[0] = '\0';
    for (unsigned int i = 0; st == SAL_OK && i < size && 2 * i + 2 < SAL_DIGEST_SIZE; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", bytes[i]);
    return st;
}
