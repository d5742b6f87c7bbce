/* What a process gives up before it reads a file that may be made to deceive: for helper processes, on themselves.
 *
 * Each call takes what the kernel offers and says whether that was all of it: resource limits are everywhere, Landlock
 * and seccomp are not (old kernels, containers that forbid them). Nothing is done under the address and thread
 * sanitizers but for processor time and core files: they reserve terabytes of addresses, and read /proc for a report.
 */
#ifndef SAL_BASE_CONFINE_H
#define SAL_BASE_CONFINE_H

#include <stdint.h>

/* Bytes of addresses that the process has now; 0: not known. */
uint64_t sal_own_memory(void);
/* Bytes of addresses that it may have; may be called again, for more or less. */
void sal_confine_memory(uint64_t bytes);
/* The same, counted from sal_own_memory(): where that was not known there is no limit. */
void sal_confine_memory_above(uint64_t own, uint64_t bytes);
/* SIGXCPU after so many seconds of processor time; no core file, no writing to files. */
void sal_confine_time(uint64_t seconds);
/* Closes every descriptor from 3 on but those from the first to the last. */
void sal_confine_descriptors(int first, int last);
/* From now on: the standard streams lead nowhere, but for what a sanitizer or valgrind reports. 0: they cannot. */
int sal_confine_streams(void);
/* From now on: nothing is opened but this file, for reading; no sockets, no processes. 1: the kernel sees to it. */
int sal_confine_to_file(const char *path);
/* From now on: nothing is opened at all. 1: the kernel sees to it; 0: but for the limit on descriptors, it does not. */
int sal_confine_to_open(void);

#endif
