/* Which pictures are in flight, so that a run knows what it was doing when it was killed: a byte for each picture of
 * the list, in a file beside the results. A byte is written when a picture is begun and when it is done, to memory that
 * outlives the process; nothing waits for the disk, since after a power cut nobody is to blame. */
#ifndef SAL_RESULTS_IN_FLIGHT_H
#define SAL_RESULTS_IN_FLIGHT_H

#include "base/error.h"

#define SAL_IN_FLIGHT_ENDING "-in-flight" /* of the result file's name */

typedef struct sal_in_flight sal_in_flight;

/* Opens or makes the file; what was in flight then died once more. A file of another list counts for nothing.
 * run: the run's folder; store: name of the result file in it, which is locked until after sal_in_flight_close.
 * Errors: IO, ARGUMENT (a link is in its place), MEMORY. */
sal_status sal_in_flight_open(sal_in_flight **out, const char *run, const char *store, const char *list_sha256,
                              size_t count);
/* How often the process died with this picture in flight since it was last done. */
int sal_in_flight_deaths(const sal_in_flight *f, size_t picture);
/* From any thread, no two for one picture at once. */
void sal_in_flight_begin(sal_in_flight *f, size_t picture);
/* It has a result. */
void sal_in_flight_done(sal_in_flight *f, size_t picture);
/* It is in flight no longer, and its deaths are kept. */
void sal_in_flight_leave(sal_in_flight *f, size_t picture);
/* An end in order: nothing is in flight, deaths of pictures that are not done are kept. NULL is fine. */
void sal_in_flight_close(sal_in_flight *f);

#endif
