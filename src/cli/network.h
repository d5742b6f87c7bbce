/* Which part of a model file a subcommand means: the same options for all that read one. */
#ifndef SAL_CLI_NETWORK_H
#define SAL_CLI_NETWORK_H

#include "cli/cli.h"

typedef struct cli_network {
    const char *output;
    const char *layer;
    const char *at;
    const char *coral;
    const char *input_size;
} cli_network;

/* Rows of an option table; field: where the subcommand's settings hold a cli_network.
 * NOLINTBEGIN(bugprone-macro-parentheses): it ends up in offsetof, which takes no parentheses. */
#define CLI_NETWORK_OPTIONS(field)                                                                                     \
    CLI_OPTION(CLI_TEXT, 0, "output", "NAME", field.output, "of a network with several outputs (default: the first)"), \
        CLI_OPTION(CLI_TEXT, 0, "layer", "NAME", field.layer,                                                          \
                   "dense or convolution layer that makes the scores (default: the last)"),                            \
        CLI_OPTION(CLI_TEXT, 0, "at", "INDICES", field.at,                                                             \
                   "one element of a map as output, or the sum of several: 3,10:20,10:20"),                            \
        CLI_OPTION(CLI_TEXT, 0, "coral", "AGE", field.coral,                                                           \
                   "the outputs are CORAL's logits: the age is AGE, of the first class, plus their sigmoids"),         \
        CLI_OPTION(CLI_TEXT, 0, "input-size", "HEIGHTxWIDTH", field.input_size,                                        \
                   "of a network that was saved without one")
/* NOLINTEND(bugprone-macro-parentheses) */

/* Opens the model. limits may be NULL. Returns an exit code, after a message. */
int cli_network_open(sal_model **out, const cli_command *command, const cli_network *network, const char *path,
                     const sal_limits *limits);

#endif
