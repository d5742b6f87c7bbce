/* Which method explains, and its options: the same for all subcommands that explain. */
#ifndef SAL_CLI_METHOD_H
#define SAL_CLI_METHOD_H

#include "cli/cli.h"

/* A subcommand's settings hold this; cli_method_defaults before parsing. */
typedef struct cli_method {
    const char *name;
    int64_t samples;
    double noise; /* NaN: not given */
    int64_t seed; /* -1: not given, as of others 0 */
    int64_t steps;
    int quadrature; /* -1: not given */
    const char *baseline;
    const char *layer;
} cli_method;

/* Rows of an option table; field: where the subcommand's settings hold a cli_method.
 * NOLINTBEGIN(bugprone-macro-parentheses): it ends up in offsetof, which takes no parentheses. */
#define CLI_METHOD_OPTIONS(field)                                                                                      \
    CLI_HEAD("Method ('salmap methods' tells them apart)"),                                                            \
        CLI_OPTION(CLI_TEXT, 'm', "method", "NAME", field.name, "gradient (default), smoothgrad, grad-cam, ..."),      \
        CLI_NUMBER(CLI_INTEGER, 0, "samples", "N", field.samples,                                                      \
                   "noisy copies of a picture, of smoothgrad and its like (default: 25)", 1, 1 << 20),                 \
        CLI_NUMBER(CLI_REAL, 0, "noise", "SHARE", field.noise,                                                         \
                   "their standard deviation, of the picture's range (default: 0.15)", 0, 1e6),                        \
        CLI_NUMBER(CLI_INTEGER, 0, "seed", "N", field.seed, "of the noise (default: 0)", 0, 9007199254740992.0),       \
        CLI_NUMBER(CLI_INTEGER, 0, "steps", "N", field.steps, "of integrated-gradients (default: 50)", 1, 1 << 20),    \
        CLI_OPTION(CLI_CHOICE, 0, "quadrature", SAL_WORDS_QUADRATURE, field.quadrature,                                \
                   "how the steps are laid and weighted (default: gauss-legendre)"),                                   \
        CLI_OPTION(CLI_TEXT, 0, "baseline", "BASELINE", field.baseline,                                                \
                   "where they begin: zero (default), black, white, mean, blur, or a picture's file"),                 \
        CLI_OPTION(CLI_TEXT, 0, "cam-layer", "NAME", field.layer,                                                      \
                   "that a CAM maps (default: the last with more than one pixel)")
/* NOLINTEND(bugprone-macro-parentheses) */

void cli_method_defaults(cli_method *method);
/* The library's options. Returns an exit code, after a message. */
int cli_method_options(sal_method_options *out, const cli_command *command, const cli_method *method);

#endif
