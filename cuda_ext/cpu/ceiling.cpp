// What this processor can do at best, for `geneface bench` to hold the kernels against: loops of nothing but
// multiply-adds, copies or random reads, on the kernels' own threads and built with the kernels' own flags.
#include <cstring>

#include "../include/geneface_ops.h"
#include "parallel.h"
#include "simd.h"

#if defined(__clang__)
#define GENEFACE_UNROLL_ALL _Pragma("unroll")
#elif defined(__GNUC__)
#define GENEFACE_UNROLL_ALL _Pragma("GCC unroll 16")
#else
#define GENEFACE_UNROLL_ALL
#endif

// `rounds` rounds in each of kTasks tasks a thread. operations: floating-point operations done, a multiply-add counted as two; 0
// where the processor (as far as this library may use it) has no such instruction.
GENEFACE_API int geneface_ceiling_multiply_add(int64_t rounds, double* operations, intptr_t context);
GENEFACE_API int geneface_ceiling_dot_bf16(int64_t rounds, double* operations, intptr_t context);

// from [n] -> to [n] bytes
GENEFACE_API int geneface_ceiling_copy(int64_t n, const uint8_t* from, uint8_t* to, intptr_t context);

// `reads` reads in each of kTasks tasks a thread of rows [2^log2_rows] in random order. done: all reads.
GENEFACE_API int geneface_ceiling_gather(int64_t reads, int32_t log2_rows, const uint64_t* rows, double* done,
                                         intptr_t context);

namespace geneface {
namespace {

// Several tasks a thread, as kernels have: one that wakes late finds less left to do.
constexpr int kTasks = 8;

// Independent sums, so that each instruction finds its input ready: as many as registers hold beside the factors.
#if defined(__AVX2__)
constexpr int kSums = 12;
#else
constexpr int kSums = 6;  // a vector of kLanes floats takes two of SSE's 16 registers
#endif

// One multiply_add(sum) on each of kSums sums, `rounds` times. The sums tend to a finite, ordinary number.
template <class MultiplyAdd>
void repeat(int64_t rounds, MultiplyAdd multiply_add) {
    Float sums[kSums];
    for (int i = 0; i < kSums; ++i) sums[i] = set1(0.1f * static_cast<float>(i));
    for (int64_t round = 0; round < rounds; ++round) {
        GENEFACE_UNROLL_ALL
        for (int i = 0; i < kSums; ++i) sums[i] = multiply_add(sums[i]);
    }
    Float total = zero();
    for (int i = 0; i < kSums; ++i) total += sums[i];
    volatile float used = sum(total);  // else the compiler leaves the loop out
    static_cast<void>(used);
}

// George Marsaglia's xorshift generator (2003), which passes through every number but 0.
#if defined(__AVX2__)
GENEFACE_INLINE Int next_random(Int state) {
    state = state ^ shift_left<13>(state);
    state = state ^ shift_right<17>(state);
    return state ^ shift_left<5>(state);
}
#endif

// Sum of rows in its order.
#if defined(__AVX512F__)
uint64_t read_rows(int64_t reads, uint32_t mask, const uint64_t* rows, uint32_t seed) {
    Int state = set1(static_cast<int32_t>(seed)) + iota();
    __m512i even = _mm512_setzero_si512(), odd = even;
    for (int64_t i = 0; i < reads; i += kLanes) {
        state = next_random(state);
        const __m512i index = (state & set1(static_cast<int32_t>(mask))).v;
        even = _mm512_add_epi64(even, _mm512_i32gather_epi64(_mm512_castsi512_si256(index), rows, 8));
        odd = _mm512_add_epi64(odd, _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(index, 1), rows, 8));
    }
    return static_cast<uint64_t>(_mm512_reduce_add_epi64(_mm512_add_epi64(even, odd)));
}
#elif defined(__AVX2__)
uint64_t read_rows(int64_t reads, uint32_t mask, const uint64_t* rows, uint32_t seed) {
    const long long* base = reinterpret_cast<const long long*>(rows);
    Int state = set1(static_cast<int32_t>(seed)) + iota();
    __m256i even = _mm256_setzero_si256(), odd = even;
    for (int64_t i = 0; i < reads; i += kLanes) {
        state = next_random(state);
        const __m256i index = (state & set1(static_cast<int32_t>(mask))).v;
        even = _mm256_add_epi64(even, _mm256_i32gather_epi64(base, _mm256_castsi256_si128(index), 8));
        odd = _mm256_add_epi64(odd, _mm256_i32gather_epi64(base, _mm256_extracti128_si256(index, 1), 8));
    }
    alignas(32) uint64_t sums[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(sums), _mm256_add_epi64(even, odd));
    return sums[0] + sums[1] + sums[2] + sums[3];
}
#else
struct Random {
    uint32_t state;
    uint32_t next() {
        state ^= state << 13;
        state ^= state >> 17;
        return state ^= state << 5;
    }
};

uint64_t read_rows(int64_t reads, uint32_t mask, const uint64_t* rows, uint32_t seed) {
    Random random[4] = {{seed}, {seed + 1}, {seed + 2}, {seed + 3}};
    uint64_t sums[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < reads; i += 4) {
        for (int k = 0; k < 4; ++k) sums[k] += rows[random[k].next() & mask];
    }
    return sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
}
#endif

}  // namespace
}  // namespace geneface

int geneface_ceiling_multiply_add(int64_t rounds, double* operations, intptr_t context) {
    using namespace geneface;
    const int threads = static_cast<int>(context);
    const Float factor = set1(0.999f), addend = set1(0.001f);
    parallel_for(kTasks * threads, threads, [&](int64_t) {
        repeat(rounds, [=](Float sum) { return fma(sum, factor, addend); });
    });
    *operations = 2.0 * kSums * kLanes * kTasks * threads * static_cast<double>(rounds);
    return 0;
}

int geneface_ceiling_dot_bf16(int64_t rounds, double* operations, intptr_t context) {
#if defined(GENEFACE_NATIVE_BF16)
    using namespace geneface;
    const int threads = static_cast<int>(context);
    const Float no = zero(), tiny = set1(1e-6f);
    const Int a = pack_bf16(tiny, no), b = pack_bf16(tiny, tiny);
    parallel_for(kTasks * threads, threads, [&](int64_t) {
        repeat(rounds, [=](Float sum) { return dot_bf16(sum, a, b); });
    });
    *operations = 4.0 * kSums * kLanes * kTasks * threads * static_cast<double>(rounds);
#else
    static_cast<void>(rounds);
    static_cast<void>(context);
    *operations = 0;
#endif
    return 0;
}

int geneface_ceiling_copy(int64_t n, const uint8_t* from, uint8_t* to, intptr_t context) {
    geneface::parallel_ranges(n, int64_t{1} << 20, static_cast<int>(context), [&](int64_t begin, int64_t end) {
        std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
    });
    return 0;
}

int geneface_ceiling_gather(int64_t reads, int32_t log2_rows, const uint64_t* rows, double* done, intptr_t context) {
    using namespace geneface;
    const int threads = static_cast<int>(context);
    const uint32_t mask = (1u << log2_rows) - 1u;
    reads = (reads + kPacket - 1) / kPacket * kPacket;
    parallel_for(kTasks * threads, threads, [&](int64_t i) {
        const uint32_t seed = 1u + 977u * static_cast<uint32_t>(i);
        volatile uint64_t used = read_rows(reads, mask, rows, seed);
        static_cast<void>(used);
    });
    *done = kTasks * threads * static_cast<double>(reads);
    return 0;
}
