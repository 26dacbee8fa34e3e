// Enough of CUDA to run the kernels of cuda_ext/cuda on a processor, so that a machine without a GPU tests
// their indexing: compiled as C++ with this folder on the include path, every thread of a block is a fibre,
// and blocks run one after another. A lane that leaves while its warp waits for it is an error here.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __grid_constant__

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct uint2 {
    unsigned x, y;
};

inline dim3 blockIdx, threadIdx, blockDim, gridDim;

using cudaStream_t = void*;
using cudaError_t = int;
constexpr int cudaSuccess = 0;

namespace emulation {

constexpr int kWarp = 32;
constexpr size_t kStack = 256 * 1024;

struct Warp {
    int alive = 0, arrived = 0;
    unsigned generation = 0;
    uint64_t slots[kWarp][8];  // what each lane hands to a collective
};

// Contexts begin a fibre; jumps, which make no system call, go on with it.
struct Fibre {
    ucontext_t context;
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    bool begun = false, finished = false;
};

struct Block {
    jmp_buf scheduler;
    std::vector<Fibre> fibres;
    std::vector<Warp> warps;
    Warp all;  // of the whole block, for __syncthreads
    unsigned current = 0;
    bool progress = false;
    const std::function<void()>* body = nullptr;
};

inline Block* block = nullptr;
inline std::vector<unsigned char> dynamic_shared;

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "emulated CUDA: %s (block %u, thread %u)\n", what, blockIdx.x, threadIdx.x);
    std::abort();
}

inline void pass_on() {
    if (_setjmp(block->fibres[block->current].place) == 0) _longjmp(block->scheduler, 1);
}

inline void go_on(unsigned number) {
    Fibre& fibre = block->fibres[number];
    block->current = number, threadIdx.x = number;
    if (_setjmp(block->scheduler) != 0) return;
    if (fibre.begun) _longjmp(fibre.place, 1);
    fibre.begun = true;
    setcontext(&fibre.context);
}

inline void wait(Warp& group) {
    const unsigned generation = group.generation;
    block->progress = true;
    if (++group.arrived == group.alive) {
        group.arrived = 0;
        ++group.generation;
        return;
    }
    while (group.generation == generation) pass_on();
    block->progress = true;
}

inline Warp& warp() { return block->warps[threadIdx.x / kWarp]; }
inline int lane() { return static_cast<int>(threadIdx.x % kWarp); }

// Every lane hands over `value`; `combine(values of all lanes)` is what it gets.
template <class T, class Combine>
auto collective(const T& value, Combine combine) {
    static_assert(sizeof(T) <= sizeof(Warp::slots[0]), "");
    Warp& mine = warp();
    std::memcpy(mine.slots[lane()], &value, sizeof(T));
    wait(mine);
    T values[kWarp];
    for (int i = 0; i < kWarp; ++i) std::memcpy(&values[i], mine.slots[i], sizeof(T));
    wait(mine);
    return combine(values);
}

inline void enter() {
    (*block->body)();
    Warp& mine = warp();
    if (mine.arrived || block->all.arrived) fail("a thread left while others wait for it");
    --mine.alive, --block->all.alive;
    block->fibres[block->current].finished = true;
    block->progress = true;
    _longjmp(block->scheduler, 1);
}

// Run body() for every thread of every block.
inline void run(dim3 blocks, dim3 threads, size_t shared, const std::function<void()>& body) {
    if (blocks.y * blocks.z * threads.y * threads.z != 1) fail("only one dimension is emulated");
    Block state;
    block = &state;
    state.body = &body;
    state.fibres.resize(threads.x);
    for (Fibre& fibre : state.fibres) fibre.stack.reset(new char[kStack]);
    dynamic_shared.assign(shared + 16, 0x7f);  // not zeros: nobody may count on them
    gridDim = blocks, blockDim = threads;
    for (unsigned number = 0; number < blocks.x; ++number) {
        blockIdx.x = number;
        state.warps.assign((threads.x + kWarp - 1) / kWarp, Warp());
        state.all = Warp();
        state.all.alive = static_cast<int>(threads.x);
        for (unsigned i = 0; i < threads.x; ++i) {
            Fibre& fibre = state.fibres[i];
            ++state.warps[i / kWarp].alive;
            fibre.begun = fibre.finished = false;
            getcontext(&fibre.context);
            fibre.context.uc_stack.ss_sp = fibre.stack.get();
            fibre.context.uc_stack.ss_size = kStack;
            fibre.context.uc_link = nullptr;
            makecontext(&fibre.context, enter, 0);
        }
        for (bool running = true; running;) {
            running = state.progress = false;
            for (unsigned i = 0; i < threads.x; ++i) {
                if (state.fibres[i].finished) continue;
                running = true;
                go_on(i);
            }
            if (running && !state.progress) fail("every thread waits");
        }
    }
    block = nullptr;
}

template <class T>
T* shared_memory() {
    const auto place = reinterpret_cast<uintptr_t>(dynamic_shared.data());
    return reinterpret_cast<T*>((place + 15) / 16 * 16);
}

// 16-bit floats: nearest, ties to even.
inline uint16_t half_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u;
    const float size = std::fabs(value);
    if (size >= 65520.f) return static_cast<uint16_t>(sign | 0x7c00u);
    if (!(size == size)) return static_cast<uint16_t>(sign | 0x7e00u);
    if (size < 6.103515625e-05f)  // below 2^-14: units of 2^-24
        return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(size * 16777216.f)));
    const uint32_t rounded = (bits & 0x7fffffffu) + 0xfffu + (bits >> 13 & 1u);
    return static_cast<uint16_t>(sign | (rounded - 0x38000000u) >> 13);
}

inline float decode_half(uint32_t bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    const float size = exponent == 0    ? std::ldexp(static_cast<float>(fraction), -24)
                       : exponent == 31 ? (fraction ? NAN : INFINITY)
                                        : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    return bits & 0x8000u ? -size : size;
}

inline float half_value(uint32_t bits) {
    static const std::vector<float> values = [] {
        std::vector<float> all(65536);
        for (uint32_t i = 0; i < all.size(); ++i) all[i] = decode_half(i);
        return all;
    }();
    return values[bits];
}

// mma.sync m16n8k16, fragments as in the PTX manual ("Matrix Fragments for mma.m16n8k16", 16-bit floats).
inline void multiply_tiles(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    struct Share {
        uint32_t a[4], b[2];
    } share;
    std::memcpy(share.a, a, sizeof share.a);
    std::memcpy(share.b, b, sizeof share.b);
    const int own = lane();
    collective(share, [&](const Share* all) {
        for (int i = 0; i < 4; ++i) {
            const int row = (own >> 2) + (i < 2 ? 0 : 8), column = (own & 3) * 2 + (i & 1);
            for (int k = 0; k < 16; ++k) {
                const int pair = (k & 7) >> 1, shift = 16 * (k & 1), upper = k >> 3;
                const uint32_t left = all[(row & 7) * 4 + pair].a[2 * upper + (row >> 3)];
                const uint32_t right = all[column * 4 + pair].b[upper];
                c[i] += half_value(left >> shift & 0xffffu) * half_value(right >> shift & 0xffffu);
            }
        }
        return 0;
    });
}

}  // namespace emulation

inline void __syncthreads() { emulation::wait(emulation::block->all); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulation::wait(emulation::warp()); }

inline unsigned __ballot_sync(unsigned, bool mine) {
    return emulation::collective(mine, [](const bool* all) {
        unsigned bits = 0;
        for (int i = 0; i < emulation::kWarp; ++i) bits |= static_cast<unsigned>(all[i]) << i;
        return bits;
    });
}

inline bool __any_sync(unsigned mask, bool mine) { return __ballot_sync(mask, mine) != 0; }

template <class T>
T __shfl_sync(unsigned, T value, int source) {
    return emulation::collective(value, [&](const T* all) { return all[source % emulation::kWarp]; });
}

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    const int source = emulation::lane() ^ mask;
    return emulation::collective(value, [&](const T* all) { return all[source]; });
}

template <class T>
T __shfl_down_sync(unsigned, T value, int distance) {
    const int source = emulation::lane() + distance;
    return emulation::collective(value, [&](const T* all) { return source < emulation::kWarp ? all[source] : value; });
}

template <class T>
T __ldg(const T* place) {
    return *place;
}

template <class T>
T atomicAdd(T* place, T value) {
    const T before = *place;
    *place += value;
    return before;
}
template <class T>
T atomicMax(T* place, T value) {
    const T before = *place;
    if (value > before) *place = value;
    return before;
}
template <class T>
T atomicMin(T* place, T value) {
    const T before = *place;
    if (value < before) *place = value;
    return before;
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(unsigned bits) { return __builtin_ffs(static_cast<int>(bits)); }

inline uint32_t __float_as_uint(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}
inline float __uint_as_float(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
inline int __float_as_int(float value) { return static_cast<int>(__float_as_uint(value)); }
inline long long __double2ll_rn(double value) { return std::llrint(value); }

inline int cudaGetLastError() { return cudaSuccess; }
inline int cudaMemsetAsync(void* place, int value, size_t bytes, cudaStream_t) {
    std::memset(place, value, bytes);
    return cudaSuccess;
}

// A small GPU of two multiprocessors, so that blocks meet more work than they hold.
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount, cudaDevAttrMaxSharedMemoryPerBlockOptin };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
inline int cudaGetDevice(int* device) {
    *device = 0;
    return cudaSuccess;
}
inline int cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrMultiProcessorCount ? 2 : 65536;
    return cudaSuccess;
}
template <class Kernel>
int cudaFuncSetAttribute(Kernel, cudaFuncAttribute, int) {
    return cudaSuccess;
}
template <class Kernel>
int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Kernel, int threads, size_t) {
    *blocks = threads <= 64 ? 1 : 0;
    return cudaSuccess;
}
