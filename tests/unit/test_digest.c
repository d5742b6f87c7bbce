/* Against the examples of FIPS 180-4. */
#include "base/digest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void check(const char *text, const char *wanted)
{
    char sha256[SAL_DIGEST_SIZE];
    sal_digest *digest;
    cr_assert_eq(sal_digest_open(&digest), SAL_OK);
    /* Piece by piece is the same as at once. */
    for (const char *c = text; *c; c++)
        cr_assert_eq(sal_digest_add(digest, c, 1), SAL_OK);
    cr_assert_eq(sal_digest_finish(sha256, digest), SAL_OK);
    cr_expect_str_eq(sha256, wanted);
    sal_digest_close(digest);
}

Test(digest, is_sha256)
{
    check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

Test(digest, of_a_file_is_that_of_its_bytes)
{
    char path[] = "/tmp/salmap-digest-XXXXXX", sha256[SAL_DIGEST_SIZE];
    const int fd = mkstemp(path);
    sal_digest *digest;
    cr_assert(fd >= 0 && write(fd, "abc", 3) == 3 && close(fd) == 0);
    cr_assert_eq(sal_digest_open(&digest), SAL_OK);
    cr_assert_eq(sal_digest_add_file(digest, path), SAL_OK);
    cr_assert_eq(sal_digest_finish(sha256, digest), SAL_OK);
    cr_expect_str_eq(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sal_digest_close(digest);
    unlink(path);
    cr_assert_eq(sal_digest_open(&digest), SAL_OK);
    cr_expect_eq(sal_digest_add_file(digest, path), SAL_ERROR_IO);
    cr_expect(strstr(sal_last_error(), path));
    sal_digest_close(digest);
}
