/* What this salmap is. */
#ifndef SAL_CLI_VERSION_H
#define SAL_CLI_VERSION_H

/* The commit that it was built from, as "204c344fa05e", or "204c344fa05e, with changes"; NULL: it was not built in a
 * checkout of git. The build writes it (src/cmake/commit.cmake). */
extern const char *const cli_commit;

#endif
