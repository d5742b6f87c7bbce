/* How the programs begin that the library starts. */
#ifndef SAL_BASE_HELPER_BEGIN_H
#define SAL_BASE_HELPER_BEGIN_H

#include "base/helper/helper.h"

/* For main(), whose words are the program's name, the process that the library is part of, and from `least` to `most`
 * more: from now on this process ends when that one does, has no descriptor but the socket, the file where one of the
 * words is SAL_HELPER_FILE_PATH, and standard streams that lead nowhere, ignores what others may send to both, and
 * crashes in silence. -1: go on; else the program's exit status, since it was started by a person, or cannot be
 * confined. */
int sal_helper_begin(const sal_helper *me, int argc, char **argv, int least, int most);

#endif
