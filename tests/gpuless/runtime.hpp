/* Inside the emulator: how the libraries put work into streams and ask for faults. */
#ifndef TESTS_GPULESS_RUNTIME_HPP
#define TESTS_GPULESS_RUNTIME_HPP

#include <cuda_runtime.h>

#include <functional>
#include <mutex>

namespace emulator
{

[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Held by every call. */
std::recursive_mutex &device_lock();
typedef std::lock_guard<std::recursive_mutex> guard;
/* Runs `work` in stream order; device memory is open meanwhile. */
void enqueue(cudaStream_t stream, std::function<void()> work);
/* Whether this call of a library is the one to fail. Counts it. */
bool fails(const char *call);
/* to[k] += factor * row[k] */
void add_times(double *to, const double *row, double factor, int64_t count);
/* Memory of the current device. */
bool is_device(const void *p, size_t bytes);
/* Objects of the libraries, for the account of leaks. */
void count_object(const char *kind, int change);
/* Runs all threads of a grid. */
void run_grid(const char *name, dim3 grid, dim3 block, size_t shared, const std::function<void()> &thread);

} // namespace emulator

#endif
