/* The files below a run folder: where a name leads, and where no name and no link leads. Which names are a run's. */
#include "results_support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sal_run_folder folder;

static void begin(void)
{
    make_scratch();
    make_folder(scratch("run"));
    must(sal_run_folder_open(&folder, scratch("run")));
}

static void end(void)
{
    sal_run_folder_close(&folder);
    sal_run_folder_close(&folder);
    remove_scratch();
}

TestSuite(files, .init = begin, .fini = end, .timeout = 120);

#define LINK "is a link, and a run has none there: remove it, or choose another folder"

/* ---- Folders ---------------------------------------------------------------- */

Test(files, of_a_folder_that_is_not_there_are_none)
{
    sal_run_folder none;
    unsigned char *bytes;
    size_t size;
    int there, fd;
    must(sal_run_folder_open(&none, scratch("gone")));
    must(sal_run_file_exists(&there, &none, "run.json"));
    cr_expect_eq(there, 0);
    must(sal_run_file_exists(&there, &none, "maps/000/a.npy"));
    cr_expect_eq(there, 0);
    must(sal_run_folder_enter(&fd, &none, "maps"));
    cr_expect_eq(fd, -1);
    must(sal_run_file_read(&bytes, &size, &none, "run.json", 100, NULL));
    cr_expect_null(bytes);
    must(sal_run_file_remove(&none, "maps/000/a.npy"));
    sal_file_out out = {0};
    expect_error(sal_run_file_create(&out, &none, "run.json"), SAL_ERROR_IO,
                 "{}/gone/run.json: cannot create: No such file or directory");
    sal_run_folder_close(&none);
    write_text(scratch("file"), "x");
    expect_error(sal_run_folder_open(&none, scratch("file")), SAL_ERROR_IO,
                 "{}/file: cannot open the folder: Not a directory");
    cr_expect_eq(none.fd, -1);
    cr_expect_null(none.path);
}

Test(files, are_looked_for_without_making_folders)
{
    int there;
    make_folder(scratch("run/maps"));
    must(sal_run_file_exists(&there, &folder, "maps/005/a.npy"));
    cr_expect_eq(there, 0);
    must(sal_run_file_check(&there, &folder, "overlays/005/a.overlay.jpg"));
    cr_expect_eq(there, 0);
    must(sal_run_file_remove(&folder, "maps/005/a.npy"));
    cr_expect(!exists(scratch("run/maps/005")) && !exists(scratch("run/overlays")));
}

Test(files, are_named_without_detours)
{
    static const char *const names[] = {"..",          ".",         "",       "maps/..",   "../x",
                                        "maps/../x",   "maps//x",   "/etc/x", "maps/./x",  "./x",
                                        "maps/000/..", "maps/000/", "maps/",  "x/../../y", "maps/../../victim"};
    const int files = open_files();
    write_text(scratch("victim"), "mine");
    write_text(scratch("x"), "mine");
    write_text(scratch("run/maps/000/a"), "ours");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int there, fd;
        cr_expect_eq(sal_run_file_exists(&there, &folder, names[i]), SAL_ERROR_FORMAT, "%s", names[i]);
        cr_expect_eq(sal_run_file_open(&fd, &folder, names[i]), SAL_ERROR_FORMAT, "%s", names[i]);
        cr_expect_eq(fd, -1);
        cr_expect_eq(sal_run_file_remove(&folder, names[i]), SAL_ERROR_FORMAT, "%s", names[i]);
        cr_expect_eq(sal_run_file_copy(&there, &folder, &folder, names[i]), SAL_ERROR_FORMAT, "%s", names[i]);
    }
    expect_error(sal_run_file_remove(&folder, "maps/../x"), SAL_ERROR_FORMAT,
                 "{}/run/maps/../x: is no name of a run's files");
    cr_expect_str_eq(names_in(scratch(".")), "run/ victim x ");
    cr_expect_eq(open_files(), files);
}

/* Which way a link leads: to a folder, to a file, nowhere. */
Test(files, lie_behind_no_link_but_maps_and_overlays)
{
    static const char *const tops[] = {"maps", "overlays", "shards", "notes"};
    const int files = open_files();
    write_text(scratch("disk/000/a.npy"), "there");
    write_text(scratch("disk/a.npy"), "there");
    for (size_t i = 0; i < 4; i++) {
        int fd, there, may = i < 2;
        const char *top = tops[i], *file = text_from("%s/000/a.npy", top);
        cr_assert_eq(symlink(scratch("disk"), scratch("run/%s", top)), 0);
        cr_expect_eq(sal_run_folder_enter(&fd, &folder, top), may ? SAL_OK : SAL_ERROR_ARGUMENT, "%s", top);
        cr_expect_eq(fd >= 0, may);
        if (fd >= 0)
            close(fd);
        if (!may) {
            expect_error(sal_run_file_exists(&there, &folder, file), SAL_ERROR_ARGUMENT,
                         text_from("{}/run/%s: " LINK, top));
            expect_error(sal_run_file_remove(&folder, file), SAL_ERROR_ARGUMENT, text_from("{}/run/%s: " LINK, top));
            continue;
        }
        must(sal_run_file_exists(&there, &folder, file));
        cr_expect_eq(there, 1);
        must(sal_run_file_open(&fd, &folder, file));
        cr_expect_geq(fd, 0);
        close(fd);
        /* Below them there is none: in place of a folder, or of a file. */
        cr_assert_eq(symlink(scratch("disk"), scratch("disk/001")), 0);
        cr_assert_eq(symlink(scratch("disk/a.npy"), scratch("disk/000/b.npy")), 0);
        cr_assert_eq(symlink(scratch("nowhere"), scratch("disk/000/c.npy")), 0);
        const char *behind = text_from("%s/001/a.npy", top);
        expect_error(sal_run_file_open(&fd, &folder, behind), SAL_ERROR_ARGUMENT,
                     text_from("{}/run/%s/001: " LINK, top));
        expect_error(sal_run_file_remove(&folder, behind), SAL_ERROR_ARGUMENT, text_from("{}/run/%s/001: " LINK, top));
        for (int k = 0; k < 2; k++) {
            const char *link = text_from("%s/000/%c.npy", top, "bc"[k]);
            expect_error(sal_run_file_open(&fd, &folder, link), SAL_ERROR_ARGUMENT,
                         text_from("{}/run/%s: " LINK, link));
            must(sal_run_file_exists(&there, &folder, link));
            cr_expect_eq(there, 1);
            must(sal_run_file_remove(&folder, link));
        }
        cr_assert_eq(unlink(scratch("disk/001")), 0);
    }
    cr_expect_str_eq(names_in(scratch("disk")), "000/ a.npy ");
    cr_expect_str_eq(text_of(scratch("disk/a.npy")), "there");
    cr_expect_str_eq(names_in(scratch("disk/000")), "a.npy ");
    cr_expect_eq(open_files(), files);
}

Test(files, that_are_no_files_are_not_read)
{
    int fd;
    make_folder(scratch("run/maps/000/a.npy"));
    expect_error(sal_run_file_open(&fd, &folder, "maps/000/a.npy"), SAL_ERROR_IO,
                 "{}/run/maps/000/a.npy: cannot read: Is a directory");
    cr_assert_eq(mkfifo(scratch("run/maps/000/b.npy"), 0600), 0);
    expect_error(sal_run_file_open(&fd, &folder, "maps/000/b.npy"), SAL_ERROR_IO,
                 "{}/run/maps/000/b.npy: cannot read: Invalid argument");
    write_text(scratch("run/shards"), "x");
    expect_error(sal_run_file_open(&fd, &folder, "shards/0-of-2.sqlite"), SAL_ERROR_IO,
                 "{}/run/shards: cannot open the folder: Not a directory");
}

/* ---- Copies ------------------------------------------------------------------ */

Test(files, are_copied_with_their_folders)
{
    sal_run_folder other;
    const int files = open_files();
    int there;
    make_folder(scratch("other"));
    must(sal_run_folder_open(&other, scratch("other")));
    write_text(scratch("run/maps/012/a.npy"), "ours");
    must(sal_run_file_copy(&there, &other, &folder, "maps/012/a.npy"));
    cr_expect_eq(there, 1);
    cr_expect_str_eq(text_of(scratch("other/maps/012/a.npy")), "ours");
    cr_expect_str_eq(names_in(scratch("other/maps/012")), "a.npy ");
    must(sal_run_file_copy(&there, &other, &folder, "maps/013/b.npy"));
    cr_expect_eq(there, 0);
    cr_expect_str_eq(names_in(scratch("other/maps")), "012/ ");
    /* What is there is replaced, a link as well. */
    write_text(scratch("victim"), "mine");
    (void)remove(scratch("other/maps/012/a.npy"));
    cr_assert_eq(symlink(scratch("victim"), scratch("other/maps/012/a.npy")), 0);
    must(sal_run_file_copy(&there, &other, &folder, "maps/012/a.npy"));
    cr_expect_str_eq(text_of(scratch("other/maps/012/a.npy")), "ours");
    cr_expect_str_eq(text_of(scratch("victim")), "mine");
    /* A link in place of the folder is not. */
    cr_assert_eq(rename(scratch("other/maps/012"), scratch("elsewhere")), 0);
    cr_assert_eq(symlink(scratch("elsewhere"), scratch("other/maps/012")), 0);
    expect_error(sal_run_file_copy(&there, &other, &folder, "maps/012/a.npy"), SAL_ERROR_ARGUMENT,
                 "{}/other/maps/012: " LINK);
    sal_run_folder_close(&other);
    cr_expect_eq(open_files(), files);
}

/* What the pipeline writes to: the path of a file. */
Test(files, of_pictures_go_into_folders_that_are_no_links)
{
    must(sal_run_place_make(scratch("run/maps/000/a.npy")));
    cr_expect_str_eq(names_in(scratch("run/maps")), "000/ ");
    make_folder(scratch("elsewhere"));
    cr_assert_eq(symlink(scratch("elsewhere"), scratch("run/maps/001")), 0);
    expect_error(sal_run_place_make(scratch("run/maps/001/a.npy")), SAL_ERROR_IO, "{}/run/maps/001: " LINK);
    cr_assert_eq(symlink(scratch("elsewhere"), scratch("run/overlays")), 0);
    must(sal_run_place_make(scratch("run/overlays/000/a.npy")));
    cr_expect_str_eq(names_in(scratch("elsewhere")), "000/ ");
}

/* maps and overlays may be links to other disks. */
Test(files, lie_on_as_many_disks_as_there_are)
{
    static const char *const elsewhere[] = {"/tmp", "/dev/shm", "/proc", "/"};
    const int files = open_files();
    sal_run_disks disks;
    struct stat own, other;
    make_folder(scratch("run/maps"));
    make_folder(scratch("run/overlays"));
    must(sal_run_disks_open(&disks, scratch("run")));
    cr_expect_eq(disks.count, 1);
    sal_run_disks_close(&disks);
    size_t k = 0;
    cr_assert_eq(stat(scratch("run"), &own), 0);
    while (k < 4 && (stat(elsewhere[k], &other) != 0 || other.st_dev == own.st_dev))
        k++;
    cr_assert_lt(k, 4, "/proc is another disk everywhere");
    for (int both = 0; both <= 1; both++) {
        const char *name = scratch(both ? "run/overlays" : "run/maps");
        cr_assert(rmdir(name) == 0 && symlink(elsewhere[k], name) == 0);
        must(sal_run_disks_open(&disks, scratch("run")));
        cr_expect_eq(disks.count, 2);
        sal_run_disks_close(&disks);
    }
    cr_expect_eq(open_files(), files);
}

/* ---- Names -------------------------------------------------------------------- */

Test(files, have_the_names_of_the_list_and_the_settings)
{
    static const struct {
        const char *settings, *name;
        int64_t row;
    } cases[] = {
        {"", "maps/000/a.npy", 0},
        {"", "maps/000/a-2.npy", 1},
        {"", "maps/000/b.top1.npy", 2},
        {"", "overlays/000/a-2.overlay.png", 1},
        {"", "maps/000/a-3.npy", -1},
        {"", "maps/000/b.npy", -1},
        {"", "maps/000/a.npy.tmp-1-2", -1},
        {"", "maps/000/a.overlay.png", -1},
        {"", "overlays/000/a.npy", -1},
        {"", "maps/001/a.npy", -1},
        {"", "maps/0/a.npy", -1},
        {"", "maps/0000/a.npy", -1},
        {"", "maps/+00/a.npy", -1},
        {"", "maps/00 /a.npy", -1},
        {"", "maps/18446744073709551616/a.npy", -1},
        {"", "maps/a.npy", -1},
        {"", "maps/000/a.npy/x", -1},
        {"", "gradients/000/a.gradient.npy", -1},
        {"maps none\n", "maps/000/a.npy", -1},
        {"maps npz\n", "maps/000/a.npz", 0},
        {"maps png16\n", "maps/000/a.png", 0},
        {"maps png16\n", "maps/000/a.npy", -1},
        {"overlays none\n", "overlays/000/a.overlay.png", -1},
        {"overlays wrong\noverlay-format jpeg\n", "overlays/000/a.overlay.jpg", 0},
        {"overlays wrong\noverlay-format jpeg\n", "overlays/000/a.overlay.png", -1},
        {"target top:3\n", "maps/000/a.top3.npy", 0},
        {"target top:3\n", "maps/000/a.top4.npy", -1},
        {"target top:3\n", "maps/000/a.npy", -1},
        {"target top:3\n", "maps/000/b.top1.top2.npy", 2},
    };
    sal_dataset *list = list_of("path\na.png\nx/a.jpg\nb.top1.png\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sal_run_names names;
        must(sal_run_names_make(&names, list, cases[i].settings));
        cr_expect_eq(sal_run_names_find(&names, cases[i].name), cases[i].row, "%s%s", cases[i].settings, cases[i].name);
        cr_expect_eq(sal_run_names_find_unfinished(&names, text_from("%s.tmp-12-0", cases[i].name)), cases[i].row);
        cr_expect_eq(sal_run_names_find_unfinished(&names, cases[i].name), strstr(cases[i].name, ".tmp-") ? 0 : -1);
        sal_run_names_clear(&names);
        sal_run_names_clear(&names);
    }
}

/* A name may be as long as it likes. */
Test(files, of_endless_names_are_nobody_s)
{
    char name[2048] = "maps/000/";
    const sal_run_names *names = names_of(list_of_count(1), "");
    memset(name + 9, 'a', sizeof name - 30);
    strcpy(name + sizeof name - 21, ".npy.tmp-1-2");
    cr_expect_eq(sal_run_names_find_unfinished(names, name), -1);
    cr_expect_eq(sal_run_names_find(names, name), -1);
}
