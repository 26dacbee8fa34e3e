// Vectors of the CPU kernels: `Float`, `Int` and `Mask` of kLanes lanes, the same names for every
// instruction set, so that a kernel is written once and compiled once per library.
//
// What a set lacks is made of what it has. A Float may also be seen as kLanes / 4 groups of four lanes:
// `spread`, `transpose4` and `load_groups` work within groups, where shuffles are cheapest.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(_MSC_VER)
#define GENEFACE_INLINE __forceinline
#else
#define GENEFACE_INLINE inline __attribute__((always_inline))
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "simd_avx2.h"
#else
#include "simd_portable.h"
#endif

namespace geneface {

// Samples that kernels take together; lane layout of a packet's values is [feature][kPacket].
constexpr int kPacket = 32;
constexpr int kPacketVectors = kPacket / kLanes;
static_assert(kPacket % kLanes == 0, "a packet is whole vectors");

GENEFACE_INLINE Float zero() { return set1(0.f); }
GENEFACE_INLINE Float& operator+=(Float& a, Float b) { return a = a + b; }
GENEFACE_INLINE Float& operator*=(Float& a, Float b) { return a = a * b; }
GENEFACE_INLINE Int& operator+=(Int& a, Int b) { return a = a + b; }

// a + weight * (b - a).
GENEFACE_INLINE Float lerp(Float a, Float b, Float weight) { return fma(weight, b - a, a); }

GENEFACE_INLINE Float clamp(Float x, float low, float high) { return min(max(x, set1(low)), set1(high)); }

// A lane of two bfloat16: the first number in the low half, as two neighbours in memory.
GENEFACE_INLINE Float low_bf16(Int pair) { return as_float(shift_left<16>(pair)); }
GENEFACE_INLINE Float high_bf16(Int pair) { return as_float(pair & set1(static_cast<int32_t>(0xffff0000u))); }

#if !defined(GENEFACE_NATIVE_BF16)
// Round to bfloat16, to the nearest and ties to even, in the upper half of each lane; the lower half is rubbish.
// Not for NaN: its payload may overflow.
GENEFACE_INLINE Int round_bf16(Float x) {
    const Int bits = as_int(x);
    return bits + set1(0x7fff) + (shift_right<16>(bits) & set1(1));
}

GENEFACE_INLINE Int pack_bf16(Float low, Float high) {
    return shift_right<16>(round_bf16(low)) | (round_bf16(high) & set1(static_cast<int32_t>(0xffff0000u)));
}

// sum + a.low * b.low + a.high * b.high, in float.
GENEFACE_INLINE Float dot_bf16(Float sum, Int a, Int b) {
    return fma(high_bf16(a), high_bf16(b), fma(low_bf16(a), low_bf16(b), sum));
}
#endif

// One number, to bfloat16 and back.
GENEFACE_INLINE uint16_t to_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

GENEFACE_INLINE float from_bf16(uint16_t x) {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

}  // namespace geneface
