#define _GNU_SOURCE /* memmem */
/* What PNG, JPEG and .npz writing promise beyond a plain round trip. */
#include "test_image_support.h"

#include "base/file.h"
#include "base/memory.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>

/* Smooth with a little noise, as pictures are; every sample of its own. */
static sal_picture make(int64_t height, int64_t width, int64_t channels, sal_sample_type type)
{
    sal_picture p;
    uint32_t random = 1;
    cr_assert_eq(sal_picture_new(&p, height, width, channels, type), SAL_OK);
    size_t i = 0;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            for (int64_t c = 0; c < channels; c++, i++) {
                random = random * 1664525U + 1013904223U;
                double v = 0.5 + 0.2 * sin((double)(x + 20 * c) / 17.0) + 0.2 * cos((double)y / 23.0);
                v += ((double)(random >> 8) / 16777216.0 - 0.5) * 0.04;
                if (type == SAL_SAMPLE_U8)
                    ((unsigned char *)p.samples)[i] = (unsigned char)(v * 255.0);
                else
                    ((uint16_t *)p.samples)[i] = (uint16_t)(v * 65535.0);
            }
    return p;
}

static void expect_same_bytes(const char *path, const unsigned char *wanted, size_t wanted_size)
{
    unsigned char *bytes;
    size_t size;
    cr_assert_eq(sal_file_read(&bytes, &size, path, UINT64_MAX), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(size, wanted_size);
    cr_expect(size == wanted_size && memcmp(bytes, wanted, size) == 0, "%s: other bytes", path);
    sal_free(bytes);
}

/* Files of a folder whose names begin with `name`. */
static int count_files(const char *folder, const char *name)
{
    int n = 0;
    DIR *d = opendir(folder);
    cr_assert_not_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += strncmp(e->d_name, name, strlen(name)) == 0;
    closedir(d);
    return n;
}

/* ---- PNG ---------------------------------------------------------------- */

Test(png, reads_back_equal_at_sizes_from_one_pixel)
{
    static const int64_t sizes[][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 257}, {257, 1}, {3, 5}, {64, 64}, {33, 127}};
    const char *path = scratch_path("test_encode_sizes.png");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int channels = 1; channels <= 4; channels++)
            for (int type = SAL_SAMPLE_U8; type <= SAL_SAMPLE_U16; type++) {
                sal_picture p = make(sizes[s][0], sizes[s][1], channels, (sal_sample_type)type);
                sal_picture q;
                cr_assert_eq(sal_picture_write_png(path, &p), SAL_OK, "%s", sal_last_error());
                cr_assert_eq(sal_picture_read(&q, path, NULL), SAL_OK, "%s", sal_last_error());
                cr_expect_eq(picture_difference(&p, &q), 0.0, "%lld x %lld, %d channels, type %d", (long long)p.width,
                             (long long)p.height, channels, type);
                sal_picture_clear(&p);
                sal_picture_clear(&q);
            }
    unlink(path);
}

Test(png, survives_what_cannot_be_compressed)
{
    const char *path = scratch_path("test_encode_noise.png");
    sal_picture p = make(301, 211, 3, SAL_SAMPLE_U8);
    sal_picture q;
    uint32_t random = 7;
    for (size_t i = 0; i < sample_count(&p); i++) {
        random = random * 1664525U + 1013904223U;
        ((unsigned char *)p.samples)[i] = (unsigned char)(random >> 24);
    }
    cr_assert_eq(sal_picture_write_png(path, &p), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_picture_read(&q, path, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(picture_difference(&p, &q), 0.0);
    sal_picture_clear(&p);
    sal_picture_clear(&q);
    unlink(path);
}

Test(png, gives_the_same_bytes_twice)
{
    const char *path = scratch_path("test_encode_twice.png");
    sal_picture p = make(97, 131, 3, SAL_SAMPLE_U8);
    unsigned char *bytes;
    size_t size;
    cr_assert_eq(sal_picture_write_png(path, &p), SAL_OK);
    cr_assert_eq(sal_file_read(&bytes, &size, path, UINT64_MAX), SAL_OK);
    cr_assert_eq(sal_picture_write_png(path, &p), SAL_OK);
    expect_same_bytes(path, bytes, size);
    sal_free(bytes);
    sal_picture_clear(&p);
    unlink(path);
}

static int count_chunks(const char *path, const char *type)
{
    unsigned char *bytes;
    size_t size;
    int n = 0;
    cr_assert_eq(sal_file_read(&bytes, &size, path, UINT64_MAX), SAL_OK, "%s", sal_last_error());
    for (size_t at = 8; at + 12 <= size;) {
        const unsigned char *b = bytes + at;
        n += memcmp(b + 4, type, 4) == 0;
        at += 12 + ((size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3]);
    }
    sal_free(bytes);
    return n;
}

/* 67.1 MB of samples lie on one side of the size from which rows are streamed, 67.2 MB on the other. */
Test(png, reads_back_equal_on_both_sides_of_streaming)
{
    const char *path = scratch_path("test_encode_large.png");
    for (int64_t height = 2048; height <= 2049; height++) {
        sal_picture p;
        sal_picture q;
        cr_assert_eq(sal_picture_new(&p, height, 4096, 4, SAL_SAMPLE_U16), SAL_OK);
        for (size_t i = 0; i < sample_count(&p); i++)
            ((uint16_t *)p.samples)[i] = (uint16_t)(i / 4 % 4096 * 5 + i % 4 * 11);
        cr_assert_eq(sal_picture_write_png(path, &p), SAL_OK, "%s", sal_last_error());
        cr_assert_eq(sal_picture_read(&q, path, NULL), SAL_OK, "%s", sal_last_error());
        cr_expect_eq(count_chunks(path, "IDAT") > 1, height == 2049);
        cr_expect_eq(q.height, height);
        cr_expect_eq(q.type, SAL_SAMPLE_U16);
        cr_expect(sample_count(&p) == sample_count(&q) && memcmp(p.samples, q.samples, sample_count(&p) * 2) == 0);
        sal_picture_clear(&p);
        sal_picture_clear(&q);
    }
    unlink(path);
}

/* ---- JPEG --------------------------------------------------------------- */

static double root_mean_square(const sal_picture *a, const sal_picture *b)
{
    double sum = 0.0;
    if (isinf(picture_difference(a, b)))
        return INFINITY;
    for (size_t i = 0; i < sample_count(a); i++) {
        double d = sample_at(a, i) - sample_at(b, i);
        sum += d * d;
    }
    return sqrt(sum / (double)sample_count(a));
}

Test(jpeg, reads_back_close_and_closer_with_quality)
{
    static const int64_t sizes[][2] = {{1, 1}, {3, 5}, {97, 131}};
    const char *path = scratch_path("test_encode.jpg");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int channels = 1; channels <= 3; channels += 2) {
            sal_picture p = make(sizes[s][0], sizes[s][1], channels, SAL_SAMPLE_U8);
            double error[2];
            for (int k = 0; k < 2; k++) {
                sal_picture q;
                cr_assert_eq(sal_jpeg_write(path, &p, k ? 100 : 30), SAL_OK, "%s", sal_last_error());
                cr_assert_eq(sal_picture_read(&q, path, NULL), SAL_OK, "%s", sal_last_error());
                error[k] = root_mean_square(&p, &q);
                sal_picture_clear(&q);
            }
            cr_expect_leq(error[0], 6.0, "%zu, %d channels: %g", s, channels, error[0]);
            cr_expect_leq(error[1], 1.0, "%zu, %d channels: %g", s, channels, error[1]);
            cr_expect_leq(error[1], error[0], "%zu, %d channels: %g, %g", s, channels, error[1], error[0]);
            sal_picture_clear(&p);
        }
    unlink(path);
}

/* Halved colour would mix columns of red and blue, which differ in little but colour. */
Test(jpeg, keeps_colour_at_full_resolution)
{
    const char *path = scratch_path("test_encode_colour.jpg");
    sal_picture p = make(32, 32, 3, SAL_SAMPLE_U8);
    sal_picture q;
    for (size_t i = 0; i < 32 * 32; i++)
        memcpy((unsigned char *)p.samples + 3 * i, i % 2 ? "\xc8\x00\x00" : "\x00\x20\xff", 3);
    cr_assert_eq(sal_jpeg_write(path, &p, 95), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_picture_read(&q, path, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_leq(picture_difference(&p, &q), 16.0, "%g", picture_difference(&p, &q));
    sal_picture_clear(&p);
    sal_picture_clear(&q);
    unlink(path);
}

Test(jpeg, refuses_what_jpeg_cannot_hold)
{
    const char *path = scratch_path("test_encode_refused.jpg");
    sal_picture p = make(3, 4, 3, SAL_SAMPLE_U16);
    cr_expect_eq(sal_jpeg_write(path, &p, 90), SAL_ERROR_ARGUMENT);
    p.type = SAL_SAMPLE_U8;
    cr_expect_eq(sal_jpeg_write(path, &p, 0), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_jpeg_write(path, &p, 101), SAL_ERROR_ARGUMENT);
    p.channels = 2;
    cr_expect_eq(sal_jpeg_write(path, &p, 90), SAL_ERROR_ARGUMENT);
    sal_picture_clear(&p);
    cr_expect_eq(sal_jpeg_write(path, &p, 90), SAL_ERROR_ARGUMENT);
    for (int k = 0; k < 2; k++) {
        p = make(k ? 1 : 65501, k ? 65501 : 1, 1, SAL_SAMPLE_U8);
        cr_expect_eq(sal_jpeg_write(path, &p, 90), SAL_ERROR_UNSUPPORTED);
        cr_expect_not_null(strstr(sal_last_error(), path));
        sal_picture_clear(&p);
    }
    cr_expect_eq(count_files(SAL_TEST_BINARY_DIR, "test_encode_refused.jpg"), 0);
}

Test(jpeg, writes_the_longest_side)
{
    const char *path = scratch_path("test_encode_long.jpg");
    sal_picture p = make(1, 65500, 1, SAL_SAMPLE_U8);
    sal_picture q;
    cr_assert_eq(sal_jpeg_write(path, &p, 90), SAL_OK, "%s", sal_last_error());
    cr_assert_eq(sal_picture_read(&q, path, NULL), SAL_OK, "%s", sal_last_error());
    cr_expect_eq(q.width, 65500);
    sal_picture_clear(&p);
    sal_picture_clear(&q);
    unlink(path);
}

/* ---- .npz --------------------------------------------------------------- */

/* A member's bytes, through libzip; free with sal_free. */
static unsigned char *read_member(size_t *size, const char *path, const char *member)
{
    unsigned char *bytes;
    zip_stat_t info;
    zip_t *zip = zip_open(path, ZIP_RDONLY | ZIP_CHECKCONS, NULL);
    cr_assert_not_null(zip);
    cr_assert_eq(zip_get_num_entries(zip, 0), 1);
    cr_assert_eq(zip_stat(zip, member, 0, &info), 0);
    cr_expect_eq(info.comp_method, ZIP_CM_DEFLATE);
    cr_assert_eq(sal_alloc(&bytes, info.size, 1, "a member"), SAL_OK);
    zip_file_t *file = zip_fopen(zip, member, 0);
    cr_assert_not_null(file);
    cr_assert_eq(zip_fread(file, bytes, info.size), (zip_int64_t)info.size);
    cr_assert_eq(zip_fclose(file), 0); /* here: the checksum */
    zip_discard(zip);
    *size = info.size;
    return bytes;
}

Test(npz, holds_the_very_bytes_of_the_npy_file)
{
    static const int64_t shapes[][3] = {{7, 5, 0}, {2, 7, 5}, {1, 1, 0}, {70, 0, 0}, {0, 5, 0}, {0, 0, 0}};
    static const int ranks[] = {2, 3, 2, 1, 2, 0};
    float data[70];
    char npy[512];
    for (int i = 0; i < 70; i++)
        data[i] = (float)i / 3.0F - 4.0F;
    strcpy(npy, scratch_path("test_encode_same.npy"));
    const char *npz = scratch_path("test_encode_same.npz");
    for (int s = 0; s < 6; s++) {
        size_t size;
        cr_assert_eq(sal_npy_write(npy, data, shapes[s], ranks[s]), SAL_OK, "%s", sal_last_error());
        cr_assert_eq(sal_npz_write(npz, "saliency", data, shapes[s], ranks[s]), SAL_OK, "%s", sal_last_error());
        unsigned char *bytes = read_member(&size, npz, "saliency.npy");
        expect_same_bytes(npy, bytes, size);
        sal_free(bytes);
    }
    unlink(npy);
    unlink(npz);
}

/* Noon of the first day that DOS knows, and no extra field, which might hold another time. `at`: of the time. */
static void expect_no_clock(const unsigned char *header, size_t at, size_t extra)
{
    static const unsigned char noon[] = {0x00, 0x60, 0x21, 0x00};
    cr_expect_arr_eq(header + at, noon, sizeof noon);
    cr_expect(header[extra] == 0 && header[extra + 1] == 0);
}

enum { WRITERS = 8, PROCESSES = 300 };

static pthread_barrier_t together;

static void *write_one(void *path)
{
    static const float data[4] = {1, 2, 3, 4};
    static const int64_t shape[2] = {2, 2};
    (void)pthread_barrier_wait(&together);
    return sal_npz_write(path, "map", data, shape, 2) == SAL_OK ? NULL : path;
}

/* libzip's first archives of a process, all at once. */
static int write_at_once(char paths[WRITERS][600])
{
    pthread_t threads[WRITERS];
    int failed = 0;
    pthread_barrier_init(&together, NULL, WRITERS);
    for (int k = 0; k < WRITERS; k++)
        if (pthread_create(&threads[k], NULL, write_one, paths[k]) != 0)
            return 2;
    for (int k = 0; k < WRITERS; k++) {
        void *bad;
        failed |= pthread_join(threads[k], &bad) != 0 || bad;
    }
    return failed;
}

Test(npz, is_written_by_threads_that_begin_together)
{
    char paths[WRITERS][600];
    for (int k = 0; k < WRITERS; k++)
        snprintf(paths[k], sizeof paths[k], "%s.%d", scratch_path("test_encode_together.npz"), k);
    int bad = 0;
    for (int i = 0; i < PROCESSES; i++) {
        const pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0)
            _exit(write_at_once(paths));
        int ended;
        cr_assert_eq(waitpid(child, &ended, 0), child);
        bad += ended != 0;
    }
    for (int k = 0; k < WRITERS; k++)
        unlink(paths[k]);
    cr_expect_eq(bad, 0, "%d of %d processes could not write", bad, PROCESSES);
}

/* libzip's clock is the local one. */
Test(npz, gives_the_same_bytes_whenever_and_wherever)
{
    static const char *const zones[] = {"UTC0", "XYZ-14", "XYZ12", "Europe/Berlin"};
    const char *path = scratch_path("test_encode_twice.npz");
    enum { SIDE = 100 };
    const int64_t shape[] = {SIDE, SIDE};
    float data[SIDE * SIDE];
    unsigned char *bytes = NULL;
    size_t size = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        data[i] = sinf((float)i / 37.0F);
    for (size_t k = 0; k < sizeof zones / sizeof *zones; k++) {
        setenv("TZ", zones[k], 1);
        cr_assert_eq(sal_npz_write(path, "map", data, shape, 2), SAL_OK, "%s", sal_last_error());
        if (k == 0)
            cr_assert_eq(sal_file_read(&bytes, &size, path, UINT64_MAX), SAL_OK);
        expect_same_bytes(path, bytes, size);
    }
    cr_expect_lt(size, sizeof data);
    const unsigned char *central = memmem(bytes, size, "PK\1\2", 4);
    cr_assert(central && memcmp(bytes, "PK\3\4", 4) == 0);
    expect_no_clock(bytes, 10, 28);
    expect_no_clock(central, 12, 30);
    sal_free(bytes);
    unlink(path);
}

Test(npz, is_read_by_numpy)
{
    char command[1200];
    const char *path = scratch_path("test_encode_numpy.npz");
    const int64_t shape[] = {3, 4, 5};
    float data[60];
    for (int i = 0; i < 60; i++)
        data[i] = (float)i * 0.25F;
    if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null") != 0)
        cr_skip_test("/usr/bin/python3 has no numpy");
    cr_assert_eq(sal_npz_write(path, "saliency", data, shape, 3), SAL_OK, "%s", sal_last_error());
    snprintf(command, sizeof command,
             "/usr/bin/python3 -c \"import numpy as np; a = np.load('%s'); assert a.files == ['saliency']; "
             "a = a['saliency']; assert a.dtype == np.float32; "
             "assert (a == np.arange(60).reshape(3, 4, 5) * 0.25).all()\"",
             path);
    cr_expect_eq(system(command), 0);
    unlink(path);
}

Test(npz, refuses_bad_names_and_shapes)
{
    const int64_t one[] = {1};
    const int64_t negative[] = {2, -1};
    const int64_t huge[] = {INT64_MAX, INT64_MAX};
    char name[200];
    float data[1] = {0};
    const char *path = scratch_path("test_encode_no.npz");
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_expect_eq(sal_npz_write(path, "", data, one, 1), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_npz_write(path, name, data, one, 1), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_npz_write(path, "map", data, negative, 2), SAL_ERROR_ARGUMENT);
    cr_expect_eq(sal_npz_write(path, "map", data, huge, 2), SAL_ERROR_LIMIT);
    cr_expect_eq(sal_npz_write(path, "\xff\xfe", data, one, 1), SAL_ERROR_ARGUMENT); /* not UTF-8 */
    cr_expect_eq(count_files(SAL_TEST_BINARY_DIR, "test_encode_no.npz"), 0);
}

/* ---- What cannot be written --------------------------------------------- */

static sal_status write_as(int format, const char *path, int side)
{
    const int64_t shape[] = {side, side};
    sal_picture p = make(side, side, 3, SAL_SAMPLE_U8);
    float *data;
    cr_assert_eq(sal_alloc(&data, (size_t)(side * side), sizeof *data, "values"), SAL_OK);
    for (int i = 0; i < side * side; i++)
        data[i] = sinf((float)i);
    sal_status st = format == 0   ? sal_picture_write_png(path, &p)
                    : format == 1 ? sal_jpeg_write(path, &p, 90)
                                  : sal_npz_write(path, "map", data, shape, 2);
    sal_picture_clear(&p);
    sal_free(data);
    return st;
}

Test(encode, names_the_file_that_cannot_be_written)
{
    for (int format = 0; format < 3; format++) {
        cr_expect_eq(write_as(format, "/there/is/no/such/folder.xyz", 3), SAL_ERROR_IO, "format %d", format);
        cr_expect_not_null(strstr(sal_last_error(), "/there/is/no/such/folder.xyz"));
    }
}

/* The name is that of a folder: writing goes well and the last step, renaming, fails. */
Test(encode, leaves_nothing_behind_when_the_last_step_fails)
{
    for (int format = 0; format < 3; format++) {
        cr_expect_eq(write_as(format, SAL_TEST_BINARY_DIR, 3), SAL_ERROR_IO, "format %d", format);
        cr_expect_not_null(strstr(sal_last_error(), SAL_TEST_BINARY_DIR));
    }
    const char *folder = strrchr(SAL_TEST_BINARY_DIR, '/') + 1;
    char name[300];
    snprintf(name, sizeof name, "%.200s.tmp-", folder);
    cr_expect_eq(count_files(SAL_TEST_BINARY_DIR "/..", name), 0);
}

/* A small file fails when it is closed, a large one while its bytes are written. */
Test(encode, keeps_the_old_file_when_the_disk_is_full)
{
    const char *path = scratch_path("test_encode_full");
    struct rlimit old;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (int format = 0; format < 3; format++)
        for (int side = 3; side <= 203; side += 200) {
            struct rlimit small = {.rlim_cur = 64, .rlim_max = old.rlim_max};
            write_file(path, "old", 3);
            cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
            sal_status st = write_as(format, path, side);
            cr_assert_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
            cr_expect_eq(st, SAL_ERROR_IO, "format %d, side %d", format, side);
            cr_expect_not_null(strstr(sal_last_error(), path));
            expect_same_bytes(path, (const unsigned char *)"old", 3);
            cr_expect_eq(count_files(SAL_TEST_BINARY_DIR, "test_encode_full"), 1);
        }
    unlink(path);
}
