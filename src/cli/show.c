#include "cli/show.h"

#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MOST_COLUMNS = 60, MOST_ROWS = 24, CELL_WIDTH = 10, CELL_HEIGHT = 20 };

/* ---- What terminals can ------------------------------------------------------ */

static int is_in(const char *name, const char *part)
{
    const char *value = getenv(name);
    return value && strstr(value, part) != NULL;
}

static int is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

/* Inside of tmux and screen, pictures reach no terminal. */
static cli_show_how find_how(void)
{
    if (is_set("TMUX") || is_in("TERM", "screen"))
        return CLI_SHOW_BLOCKS;
    if (is_set("KITTY_WINDOW_ID") || is_in("TERM", "kitty") || is_in("TERM_PROGRAM", "ghostty"))
        return CLI_SHOW_KITTY;
    if (is_in("TERM_PROGRAM", "iTerm") || is_in("LC_TERMINAL", "iTerm") || is_in("TERM_PROGRAM", "WezTerm"))
        return CLI_SHOW_ITERM2;
    if (is_in("TERM", "sixel") || is_in("TERM", "foot") || is_in("TERM", "mlterm") || is_in("TERM", "contour"))
        return CLI_SHOW_SIXEL;
    return CLI_SHOW_BLOCKS;
}

int cli_show_begin(cli_show *s, cli_show_how how)
{
    struct winsize size = {.ws_col = 0};
    if (!isatty(STDOUT_FILENO))
        return 0;
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    const int columns = size.ws_col > 0 ? size.ws_col : 80, rows = size.ws_row > 2 ? size.ws_row - 2 : 1;
    *s = (cli_show){.on = 1, .how = how == CLI_SHOW_AUTO ? find_how() : how, .plain = is_set("NO_COLOR")};
    s->columns = columns < MOST_COLUMNS ? columns : MOST_COLUMNS;
    s->rows = rows < MOST_ROWS ? rows : MOST_ROWS;
    s->cell_width = size.ws_xpixel > 0 ? size.ws_xpixel / columns : CELL_WIDTH;
    s->cell_height = size.ws_ypixel > 0 && size.ws_row > 0 ? size.ws_ypixel / size.ws_row : CELL_HEIGHT;
    if (s->how == CLI_SHOW_BLOCKS) { /* a cell has an upper and a lower half */
        s->cell_width = 1;
        s->cell_height = 2;
    }
    return 1;
}

/* ---- Small enough ------------------------------------------------------------ */

typedef struct small {
    int width;
    int height;
    unsigned char *rgb;
} small;

static void fit(small *out, const cli_show *s, const sal_picture *p)
{
    const double width = (double)p->width, height = (double)p->height;
    const double wide = (double)(s->columns * s->cell_width) / width;
    const double high = (double)(s->rows * s->cell_height) / height;
    double scale = wide < high ? wide : high;
    scale = scale < 1.0 ? scale : 1.0;
    out->width = (int)(width * scale + 0.5) > 0 ? (int)(width * scale + 0.5) : 1;
    out->height = (int)(height * scale + 0.5) > 0 ? (int)(height * scale + 0.5) : 1;
}

/* The mean of the pixels that one of the small ones covers. */
static void average(unsigned char *out, const sal_picture *p, const small *to, int x, int y)
{
    const unsigned char *samples = p->samples;
    const int64_t left = x * p->width / to->width, right = (x + 1) * p->width / to->width;
    const int64_t top = y * p->height / to->height, bottom = (y + 1) * p->height / to->height;
    const int64_t count = (right - left) * (bottom - top);
    for (int c = 0; c < 3; c++) {
        int64_t sum = 0;
        for (int64_t v = top; v < bottom; v++)
            for (int64_t u = left; u < right; u++)
                sum += samples[3 * (v * p->width + u) + c];
        out[c] = (unsigned char)((sum + count / 2) / count);
    }
}

/* rgb: NULL where there is no memory. */
static small shrink(const cli_show *s, const sal_picture *p)
{
    small out = {.rgb = NULL};
    fit(&out, s, p);
    out.rgb = calloc((size_t)out.width * (size_t)out.height, 3);
    for (int y = 0; out.rgb && y < out.height; y++)
        for (int x = 0; x < out.width; x++)
            average(out.rgb + 3 * ((size_t)y * (size_t)out.width + (size_t)x), p, &out, x, y);
    return out;
}

/* ---- Protocols ----------------------------------------------------------------- */

static void print_base64(const unsigned char *bytes, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const unsigned b = i + 1 < size ? bytes[i + 1] : 0, c = i + 2 < size ? bytes[i + 2] : 0;
        const unsigned all = (unsigned)bytes[i] << 16 | b << 8 | c;
        const char four[4] = {letters[all >> 18], letters[all >> 12 & 63], i + 1 < size ? letters[all >> 6 & 63] : '=',
                              i + 2 < size ? letters[all & 63] : '='};
        fwrite(four, 1, sizeof four, stdout);
    }
}

/* In pieces of 4096 letters at most, as the protocol wants them. */
static void show_kitty(const small *p)
{
    enum { PIECE = 3072 };
    const size_t size = 3 * (size_t)p->width * (size_t)p->height;
    for (size_t i = 0; i < size; i += PIECE) {
        const int more = i + PIECE < size;
        if (i == 0)
            printf("\033_Ga=T,q=2,f=24,s=%d,v=%d,m=%d;", p->width, p->height, more);
        else
            printf("\033_Gm=%d;", more);
        print_base64(p->rgb + i, more ? PIECE : size - i);
        fputs("\033\\", stdout);
    }
    fputc('\n', stdout);
}

/* The file itself. */
static void show_iterm2(const char *path, const small *p)
{
    struct piece {
        unsigned char bytes[3072];
    } piece;
    FILE *file = fopen(path, "rb");
    if (!file)
        return;
    printf("\033]1337;File=inline=1;width=%dpx;height=%dpx:", p->width, p->height);
    for (size_t n; (n = fread(piece.bytes, 1, sizeof piece.bytes, file)) > 0;)
        print_base64(piece.bytes, n);
    fputs("\a\n", stdout);
    fclose(file);
}

enum { LEVELS = 6, COLOURS = LEVELS * LEVELS * LEVELS };

static int colour_of(const unsigned char *rgb)
{
    int code = 0;
    for (int c = 0; c < 3; c++)
        code = code * LEVELS + (rgb[c] * (LEVELS - 1) + 127) / 255;
    return code;
}

static void print_palette(void)
{
    for (int k = 0; k < COLOURS; k++)
        printf("#%d;2;%d;%d;%d", k, k / LEVELS / LEVELS * 100 / (LEVELS - 1), k / LEVELS % LEVELS * 100 / (LEVELS - 1),
               k % LEVELS * 100 / (LEVELS - 1));
}

/* Six rows of pixels whose red is the number of their colour, of one colour. 0: it is not among them. */
static int print_sixels(const small *p, int top, int colour)
{
    int found = 0;
    for (int x = 0; x < p->width; x++) {
        int bits = 0;
        for (int k = 0; k < 6 && top + k < p->height; k++)
            bits |= (p->rgb[3 * ((size_t)(top + k) * (size_t)p->width + (size_t)x)] == colour) << k;
        if (bits && !found) {
            printf("#%d", colour);
            for (int blank = 0; blank < x; blank++)
                fputc('?', stdout);
        }
        found |= bits != 0;
        if (found)
            fputc('?' + bits, stdout);
    }
    return found;
}

static void show_sixels(const small *p)
{
    const size_t pixels = (size_t)p->width * (size_t)p->height;
    for (size_t i = 0; i < pixels; i++)
        p->rgb[3 * i] = (unsigned char)colour_of(p->rgb + 3 * i);
    printf("\033P0;1;0q\"1;1;%d;%d", p->width, p->height);
    print_palette();
    for (int top = 0; top < p->height; top += 6) {
        for (int colour = 0; colour < COLOURS; colour++)
            if (print_sixels(p, top, colour))
                fputc('$', stdout);
        fputc('-', stdout);
    }
    fputs("\033\\\n", stdout);
}

static void print_letter(const unsigned char *upper, const unsigned char *lower)
{
    static const char ramp[] = " .:-=+*#%@";
    const int light = 299 * (upper[0] + lower[0]) + 587 * (upper[1] + lower[1]) + 114 * (upper[2] + lower[2]);
    fputc(ramp[light * ((int)sizeof ramp - 2) / 510000], stdout);
}

static void show_blocks(const small *p, int plain)
{
    for (int y = 0; y < p->height; y += 2) {
        const unsigned char *row = p->rgb + 3 * (size_t)y * (size_t)p->width;
        for (int x = 0; x < p->width; x++) {
            const unsigned char *upper = row + 3 * (size_t)x;
            const unsigned char *lower = y + 1 < p->height ? upper + 3 * (size_t)p->width : upper;
            if (plain)
                print_letter(upper, lower);
            else
                printf("\033[38;2;%d;%d;%dm\033[48;2;%d;%d;%dm\xE2\x96\x80", upper[0], upper[1], upper[2], lower[0],
                       lower[1], lower[2]);
        }
        fputs(plain ? "\n" : "\033[0m\n", stdout);
    }
}

void cli_show_file(const cli_show *s, const char *path)
{
    sal_picture picture = {.samples = NULL};
    if (!s->on || sal_picture_read(&picture, path, NULL) != SAL_OK)
        return;
    small shown = {.rgb = NULL};
    if (picture.channels == 3 && picture.type == SAL_SAMPLE_U8)
        shown = shrink(s, &picture);
    if (shown.rgb) {
        switch (s->how) {
        case CLI_SHOW_KITTY: show_kitty(&shown); break;
        case CLI_SHOW_ITERM2: show_iterm2(path, &shown); break;
        case CLI_SHOW_SIXEL: show_sixels(&shown); break;
        case CLI_SHOW_AUTO:
        case CLI_SHOW_BLOCKS: show_blocks(&shown, s->plain); break;
        }
    }
    free(shown.rgb);
    sal_picture_clear(&picture);
}
