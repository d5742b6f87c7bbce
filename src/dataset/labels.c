/* What labels say: spreadsheets write them in many ways. */
#include "dataset/dataset.h"

#include "base/plain_locale.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { LONGEST_NUMBER = 63 };

/* The bytes of a blank at the beginning of a text, or 0; a no-break space is one, too. */
static size_t blank_at(const char *text)
{
    static const char no_break[] = "\xC2\xA0";
    if (strncmp(text, no_break, 2) == 0)
        return 2;
    return *text && strchr(" \t\r\n\v\f", *text) ? 1 : 0;
}

const char *sal_label_trim(size_t *length, const char *label)
{
    size_t end = 0;
    for (size_t n; (n = blank_at(label)) > 0;)
        label += n;
    for (const char *at = label; *at;) {
        const size_t n = blank_at(at);
        at += n ? n : 1;
        if (!n)
            end = (size_t)(at - label);
    }
    *length = end;
    return label;
}

/* As R, pandas and databases write that there is nothing. */
static int stands_for_nothing(const char *text)
{
    static const char *const words[] = {"", "na", "n/a", "nan", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0)
            return 1;
    return 0;
}

/* "1,234": where fields have semicolons or tabs between them, commas are decimal; where they have commas, who wrote the
 * quotes may have meant a thousand. */
static int may_be_thousands(const char *text, const char *comma)
{
    const char *digits = text + strspn(text, "+-");
    return digits[0] != '0' && comma - digits <= 3 && strspn(comma + 1, "0123456789") == 3 && comma[4] == '\0';
}

/* Makes a point of a decimal comma; 0: the text is no number, whatever its comma means. */
static int make_point(char *text, char separator)
{
    char *comma = strchr(text, ',');
    if (!comma)
        return 1;
    if (strchr(text, '.') || strchr(comma + 1, ',') || comma == text || !isdigit((unsigned char)comma[-1]) ||
        !isdigit((unsigned char)comma[1]) || (separator == ',' && may_be_thousands(text, comma)))
        return 0;
    *comma = '.';
    return 1;
}

sal_label_text sal_label_read(double *number, const char *label, char separator)
{
    char text[LONGEST_NUMBER + 1];
    size_t length;
    *number = 0.0;
    if (!label)
        return SAL_LABEL_EMPTY;
    label = sal_label_trim(&length, label);
    if (length > LONGEST_NUMBER)
        return SAL_LABEL_WORD;
    memcpy(text, label, length);
    text[length] = '\0';
    if (stands_for_nothing(text))
        return SAL_LABEL_EMPTY;
    return make_point(text, separator) && sal_plain_number(number, text) ? SAL_LABEL_NUMBER : SAL_LABEL_WORD;
}

sal_label_text sal_dataset_read_label(double *number, const sal_dataset *d, size_t row)
{
    return sal_label_read(number, sal_dataset_label(d, row), d->separator);
}

sal_status sal_dataset_check_points(const sal_dataset *d)
{
    size_t comma = d->count, point = d->count;
    double number;
    for (size_t i = 0; i < d->count && (comma == d->count || point == d->count); i++) {
        const char *label = sal_dataset_label(d, i);
        if (!label || !strpbrk(label, ",.") || sal_dataset_read_label(&number, d, i) != SAL_LABEL_NUMBER)
            continue;
        if (strchr(label, ','))
            comma = i;
        else
            point = i;
    }
    if (comma == d->count || point == d->count)
        return SAL_OK;
    return sal_fail(SAL_ERROR_FORMAT,
                    "%s: its label '%s' has a decimal comma, and that of %s a point, '%s': write all labels alike",
                    sal_dataset_path(d, comma), sal_dataset_label(d, comma), sal_dataset_path(d, point),
                    sal_dataset_label(d, point));
}
