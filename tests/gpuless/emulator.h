/* What a .cu file, once rewritten (rewrite.py), needs to be C++: included before everything else. Each
 * block of threads runs as fibers on one CPU thread, so that shared memory is plain static memory. */
#ifndef TESTS_GPULESS_EMULATOR_H
#define TESTS_GPULESS_EMULATOR_H

#include <cuda_runtime.h>

#undef __shared__
#undef __launch_bounds__
#define __shared__ static
#define __launch_bounds__(...)

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace emulator
{

/* The thread that runs. */
struct thread_place {
    uint3 thread, block;
    dim3 block_size, grid_size;
};
extern thread_place *here;

void sync_threads();
/* Every lane of `mask` hands in a value; returns all 32 of them. orders: what they wrote before is seen after, which
 * shuffles and votes do not promise. */
const uint64_t *exchange(unsigned mask, uint64_t value, bool orders = false);
unsigned lane();
void *dynamic_shared();

void check_pointer(const void *p, const char *kernel, int argument);
void enqueue_kernel(const char *name, dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                    std::function<void()> thread);

template <class T> T from_bits(uint64_t bits)
{
    T v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

template <class T> uint64_t to_bits(T v)
{
    static_assert(sizeof v <= sizeof(uint64_t), "shuffles take at most 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof v);
    return bits;
}

/* kernel<<<grid, block, shared, stream>>>(arguments) */
template <auto Kernel> struct kernel_launch {
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;

    template <class... Given> void operator()(Given &&...given) const
    {
        call(Kernel, std::forward<Given>(given)...);
    }

  private:
    template <class T> static void check(const T &value, int argument)
    {
        if constexpr (std::is_pointer_v<T>)
            check_pointer((const void *)value, __PRETTY_FUNCTION__, argument);
        (void)value;
        (void)argument;
    }

    template <class... Wanted, class... Given> void call(void (*)(Wanted...), Given &&...given) const
    {
        const std::tuple<Wanted...> arguments(static_cast<Wanted>(given)...);
        int k = 0;
        std::apply([&](const auto &...a) { (check(a, k++), ...); }, arguments);
        enqueue_kernel(__PRETTY_FUNCTION__, grid, block, shared, stream,
                       [arguments] { std::apply(Kernel, arguments); });
    }
};

template <class T> T shuffle(unsigned mask, T v, int from, bool inside)
{
    const uint64_t *all = exchange(mask, to_bits(v));
    return inside ? from_bits<T>(all[from]) : v;
}

} // namespace emulator

#define threadIdx (emulator::here->thread)
#define blockIdx (emulator::here->block)
#define blockDim (emulator::here->block_size)
#define gridDim (emulator::here->grid_size)

inline void __syncthreads()
{
    emulator::sync_threads();
}

inline void __syncwarp(unsigned mask = 0xffffffffu)
{
    emulator::exchange(mask, 0, true);
}

template <class T> T __shfl_sync(unsigned mask, T v, int from, int width = 32)
{
    const int first = (int)emulator::lane() & ~(width - 1);
    return emulator::shuffle(mask, v, first + (from & (width - 1)), true);
}

template <class T> T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32)
{
    const int from = (int)(emulator::lane() + by);
    return emulator::shuffle(mask, v, from, from < ((int)emulator::lane() & ~(width - 1)) + width);
}

template <class T> T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32)
{
    const int from = (int)(emulator::lane() - by);
    return emulator::shuffle(mask, v, from, from >= ((int)emulator::lane() & ~(width - 1)));
}

template <class T> T __shfl_xor_sync(unsigned mask, T v, int with, int width = 32)
{
    const int from = (int)emulator::lane() ^ with;
    return emulator::shuffle(mask, v, from, from < ((int)emulator::lane() & ~(width - 1)) + width);
}

inline unsigned __ballot_sync(unsigned mask, int set)
{
    const uint64_t *all = emulator::exchange(mask, set != 0);
    unsigned bits = 0;
    for (int k = 0; k < 32; k++)
        if (mask >> k & 1 && all[k])
            bits |= 1u << k;
    return bits;
}

inline int __any_sync(unsigned mask, int set)
{
    return __ballot_sync(mask, set) != 0;
}

inline int __all_sync(unsigned mask, int set)
{
    return __ballot_sync(mask, !set) == 0;
}

/* Blocks run one after the other, threads by turns: only ThreadSanitizer needs to be told what is atomic. */
template <class T, class F> T atomically(T *p, F changed)
{
    T old, next;
    __atomic_load(p, &old, __ATOMIC_RELAXED);
    do
        next = changed(old);
    while (!__atomic_compare_exchange(p, &old, &next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return old;
}

template <class T> T atomicOr(T *p, T v)
{
    return atomically(p, [v](T old) { return old | v; });
}

template <class T> T atomicAdd(T *p, T v)
{
    return atomically(p, [v](T old) { return old + v; });
}

template <class T> T atomicMax(T *p, T v)
{
    return atomically(p, [v](T old) { return old < v ? v : old; });
}

template <class T> T atomicMin(T *p, T v)
{
    return atomically(p, [v](T old) { return v < old ? v : old; });
}

template <class T> T __ldg(const T *p)
{
    return *p;
}

inline int __popc(unsigned bits)
{
    return __builtin_popcount(bits);
}

inline int __float_as_int(float v)
{
    return emulator::from_bits<int>(emulator::to_bits(v));
}

inline float __int_as_float(int v)
{
    return emulator::from_bits<float>((uint32_t)v);
}

inline unsigned __float_as_uint(float v)
{
    return emulator::from_bits<unsigned>(emulator::to_bits(v));
}

inline float __uint_as_float(unsigned v)
{
    return emulator::from_bits<float>(v);
}

#endif
