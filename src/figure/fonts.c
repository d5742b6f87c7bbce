#include "figure/fonts.h"

#include "base/memory.h"

#include <cairo-ft.h>
#include <fontconfig/fontconfig.h>
#include <stdlib.h>

/* One weight: what fits best, and all others in the order of how well they fit, once they are asked for. */
typedef struct family {
    FcPattern *wanted;
    FcPattern *first;
    FcCharSet *characters; /* of the first; borrowed from it */
    cairo_font_face_t *face;
    FcFontSet *others;
    cairo_font_face_t **faces; /* of the others, NULL where none was needed yet */
} family;

struct sal_fonts {
    family families[2]; /* plain and bold */
};

sal_status sal_cairo_check(cairo_status_t status)
{
    switch (status) {
    case CAIRO_STATUS_SUCCESS: return SAL_OK;
    case CAIRO_STATUS_NO_MEMORY: return sal_fail_memory(0, "a drawing");
    case CAIRO_STATUS_WRITE_ERROR: return sal_fail(SAL_ERROR_IO, "a drawing: cannot be written");
    default: return sal_fail(SAL_ERROR_UNSUPPORTED, "a drawing: cairo says: %s", cairo_status_to_string(status));
    }
}

static sal_status face_make(cairo_font_face_t **out, FcPattern *pattern)
{
    cairo_font_face_t *face = cairo_ft_font_face_create_for_pattern(pattern);
    const sal_status st = sal_cairo_check(cairo_font_face_status(face));
    if (st == SAL_OK)
        *out = face;
    else
        cairo_font_face_destroy(face);
    return st;
}

static sal_status family_open(family *f, int weight)
{
    FcResult result;
    f->wanted = FcPatternBuild(NULL, FC_FAMILY, FcTypeString, "DejaVu Sans", FC_FAMILY, FcTypeString, "sans-serif",
                               FC_WEIGHT, FcTypeInteger, weight, FC_OUTLINE, FcTypeBool, FcTrue, (char *)NULL);
    if (!f->wanted || !FcConfigSubstitute(NULL, f->wanted, FcMatchPattern))
        return sal_fail_memory(0, "fonts");
    FcDefaultSubstitute(f->wanted);
    f->first = FcFontMatch(NULL, f->wanted, &result);
    if (!f->first || FcPatternGetCharSet(f->first, FC_CHARSET, 0, &f->characters) != FcResultMatch)
        return sal_fail(SAL_ERROR_UNSUPPORTED, "there is no font on this machine to write text with: install one, on "
                                               "Debian and Ubuntu by 'apt-get install fonts-dejavu-core'");
    return face_make(&f->face, f->first);
}

static void family_close(family *f)
{
    for (int k = 0; f->faces && k < f->others->nfont; k++)
        cairo_font_face_destroy(f->faces[k]);
    sal_free(f->faces);
    if (f->others)
        FcFontSetDestroy(f->others);
    cairo_font_face_destroy(f->face);
    if (f->first)
        FcPatternDestroy(f->first);
    if (f->wanted)
        FcPatternDestroy(f->wanted);
}

/* fontconfig goes on with memory that it does not have: what it needs has to be there before it is asked. */
static sal_status see_memory(void)
{
    enum { NEEDED = 16 << 20 };
    void *room = malloc(NEEDED);
    const sal_status st = room ? SAL_OK : sal_fail_memory(NEEDED, "fonts");
    free(room);
    return st;
}

sal_status sal_fonts_open(sal_fonts **out)
{
    sal_status st = SAL_OK;
    sal_fonts *fonts = NULL;
    *out = NULL;
    TRY(see_memory());
    TRY(sal_alloc(&fonts, 1, sizeof *fonts, "fonts"));
    if (!FcInit()) {
        st = sal_fail_memory(0, "fonts");
        goto done;
    }
    TRY(family_open(&fonts->families[0], FC_WEIGHT_REGULAR));
    TRY(family_open(&fonts->families[1], FC_WEIGHT_BOLD));
    *out = fonts;
    fonts = NULL;
done:
    sal_fonts_close(fonts);
    return st;
}

void sal_fonts_close(sal_fonts *fonts)
{
    for (int bold = 0; fonts && bold < 2; bold++)
        family_close(&fonts->families[bold]);
    sal_free(fonts);
}

static sal_status sort_others(family *f)
{
    FcResult result;
    FcFontSet *others = FcFontSort(NULL, f->wanted, FcTrue, NULL, &result);
    if (!others)
        return sal_fail_memory(0, "fonts");
    const sal_status st = sal_alloc(&f->faces, (size_t)others->nfont, sizeof *f->faces, "fonts");
    if (st == SAL_OK)
        f->others = others;
    else
        FcFontSetDestroy(others);
    return st;
}

static int has(FcPattern *font, uint32_t character)
{
    FcCharSet *characters = NULL;
    return FcPatternGetCharSet(font, FC_CHARSET, 0, &characters) == FcResultMatch &&
           FcCharSetHasChar(characters, character);
}

static sal_status other_face(cairo_font_face_t **out, family *f, int k)
{
    sal_status st = SAL_OK;
    FcPattern *full = NULL;
    if (!f->faces[k]) {
        full = FcFontRenderPrepare(NULL, f->wanted, f->others->fonts[k]);
        if (!full)
            return sal_fail_memory(0, "fonts");
        st = face_make(&f->faces[k], full);
        FcPatternDestroy(full);
    }
    *out = f->faces[k];
    return st;
}

sal_status sal_fonts_find(cairo_font_face_t **out, sal_fonts *fonts, int bold, uint32_t character)
{
    sal_status st = SAL_OK;
    family *f = &fonts->families[bold != 0];
    *out = f->face;
    if (FcCharSetHasChar(f->characters, character))
        return SAL_OK;
    if (!f->others)
        TRY(sort_others(f));
    for (int k = 0; k < f->others->nfont; k++)
        if (has(f->others->fonts[k], character))
            return other_face(out, f, k);
done:
    return st;
}
