// `simd.h` for AVX-512 (F, BW, DQ, VL), and BF16 where the library is built with it.
#pragma once
// GCC 12 takes the deliberately undefined values in its own header for mistakes.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "simd_quad.h"

namespace geneface {

constexpr int kLanes = 16;

struct Float { __m512 v; };
struct Int { __m512i v; };
struct Mask { __mmask16 v; };

GENEFACE_INLINE Float set1(float x) { return {_mm512_set1_ps(x)}; }
GENEFACE_INLINE Int set1(int32_t x) { return {_mm512_set1_epi32(x)}; }
GENEFACE_INLINE Int iota() { return {_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}; }

// Memory need not be aligned. With `count`: only the first lanes are read (others are 0) or written.
GENEFACE_INLINE Float load(const float* p) { return {_mm512_loadu_ps(p)}; }
GENEFACE_INLINE Int load(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
GENEFACE_INLINE Int load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
GENEFACE_INLINE void store(float* p, Float x) { _mm512_storeu_ps(p, x.v); }
GENEFACE_INLINE void store(int32_t* p, Int x) { _mm512_storeu_si512(p, x.v); }
GENEFACE_INLINE void store(uint32_t* p, Int x) { _mm512_storeu_si512(p, x.v); }
GENEFACE_INLINE Mask first_lanes(int count) {
    return {static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << count) - 1u)};
}
GENEFACE_INLINE Float load(const float* p, int count) { return {_mm512_maskz_loadu_ps(first_lanes(count).v, p)}; }
GENEFACE_INLINE void store(float* p, Float x, int count) { _mm512_mask_storeu_ps(p, first_lanes(count).v, x.v); }

GENEFACE_INLINE Float operator+(Float a, Float b) { return {_mm512_add_ps(a.v, b.v)}; }
GENEFACE_INLINE Float operator-(Float a, Float b) { return {_mm512_sub_ps(a.v, b.v)}; }
GENEFACE_INLINE Float operator*(Float a, Float b) { return {_mm512_mul_ps(a.v, b.v)}; }
GENEFACE_INLINE Float operator/(Float a, Float b) { return {_mm512_div_ps(a.v, b.v)}; }
GENEFACE_INLINE Float fma(Float a, Float b, Float c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
GENEFACE_INLINE Float min(Float a, Float b) { return {_mm512_min_ps(a.v, b.v)}; }
GENEFACE_INLINE Float max(Float a, Float b) { return {_mm512_max_ps(a.v, b.v)}; }
GENEFACE_INLINE Float sqrt(Float a) { return {_mm512_sqrt_ps(a.v)}; }
GENEFACE_INLINE Float floor(Float a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)};
}
GENEFACE_INLINE Float round(Float a) {  // to nearest, ties to even
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// A product that no compiler fuses into a sum.
GENEFACE_INLINE Float product(Float a, Float b) {
    return {_mm512_mul_round_ps(a.v, b.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

GENEFACE_INLINE Int operator+(Int a, Int b) { return {_mm512_add_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int operator-(Int a, Int b) { return {_mm512_sub_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int operator*(Int a, Int b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int operator&(Int a, Int b) { return {_mm512_and_si512(a.v, b.v)}; }
GENEFACE_INLINE Int operator|(Int a, Int b) { return {_mm512_or_si512(a.v, b.v)}; }
GENEFACE_INLINE Int operator^(Int a, Int b) { return {_mm512_xor_si512(a.v, b.v)}; }
GENEFACE_INLINE Int min(Int a, Int b) { return {_mm512_min_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int max(Int a, Int b) { return {_mm512_max_epi32(a.v, b.v)}; }
template <int Bits>
GENEFACE_INLINE Int shift_left(Int a) { return {_mm512_slli_epi32(a.v, Bits)}; }
template <int Bits>
GENEFACE_INLINE Int shift_right(Int a) { return {_mm512_srli_epi32(a.v, Bits)}; }  // zeros come in
GENEFACE_INLINE Int shift_right(Int a, Int bits) { return {_mm512_srlv_epi32(a.v, bits.v)}; }

GENEFACE_INLINE Int to_int(Float a) { return {_mm512_cvttps_epi32(a.v)}; }  // towards zero
GENEFACE_INLINE Float to_float(Int a) { return {_mm512_cvtepi32_ps(a.v)}; }
GENEFACE_INLINE Int as_int(Float a) { return {_mm512_castps_si512(a.v)}; }
GENEFACE_INLINE Float as_float(Int a) { return {_mm512_castsi512_ps(a.v)}; }

GENEFACE_INLINE Mask operator<(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
GENEFACE_INLINE Mask operator<=(Float a, Float b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
GENEFACE_INLINE Mask operator>(Float a, Float b) { return b < a; }
GENEFACE_INLINE Mask operator>=(Float a, Float b) { return b <= a; }
GENEFACE_INLINE Mask operator==(Int a, Int b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }
GENEFACE_INLINE Mask operator<(Int a, Int b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
GENEFACE_INLINE Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.v & b.v)}; }
GENEFACE_INLINE Mask operator|(Mask a, Mask b) { return {static_cast<__mmask16>(a.v | b.v)}; }
GENEFACE_INLINE unsigned bits(Mask a) { return a.v; }  // lane i is bit i
GENEFACE_INLINE Float select(Mask m, Float a, Float b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }  // m ? a : b
GENEFACE_INLINE Int select(Mask m, Int a, Int b) { return {_mm512_mask_blend_epi32(m.v, b.v, a.v)}; }

GENEFACE_INLINE float sum(Float a) { return _mm512_reduce_add_ps(a.v); }

GENEFACE_INLINE Float gather(const float* base, Int index) { return {_mm512_i32gather_ps(index.v, base, 4)}; }
GENEFACE_INLINE Int gather(const int32_t* base, Int index) { return {_mm512_i32gather_epi32(index.v, base, 4)}; }

// kLanes neighbouring bfloat16.
GENEFACE_INLINE Float load_bf16(const uint16_t* p) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}

// Lane I of each group of four, in all four lanes of the group.
template <int I>
GENEFACE_INLINE Float spread(Float a) { return {_mm512_permute_ps(a.v, I * 0x55)}; }

// In each group of four lanes: (a, b, c, d) as the rows of a 4x4 matrix become its columns.
GENEFACE_INLINE void transpose4(Float& a, Float& b, Float& c, Float& d) {
    const __m512 ab0 = _mm512_unpacklo_ps(a.v, b.v), ab1 = _mm512_unpackhi_ps(a.v, b.v);
    const __m512 cd0 = _mm512_unpacklo_ps(c.v, d.v), cd1 = _mm512_unpackhi_ps(c.v, d.v);
    a.v = _mm512_shuffle_ps(ab0, cd0, 0x44);
    b.v = _mm512_shuffle_ps(ab0, cd0, 0xee);
    c.v = _mm512_shuffle_ps(ab1, cd1, 0x44);
    d.v = _mm512_shuffle_ps(ab1, cd1, 0xee);
}

// Of each group of four lanes: 0 2 (or 1 3) of a, then of b.
GENEFACE_INLINE Float evens(Float a, Float b) { return {_mm512_shuffle_ps(a.v, b.v, 0x88)}; }
GENEFACE_INLINE Float odds(Float a, Float b) { return {_mm512_shuffle_ps(a.v, b.v, 0xdd)}; }

// One group of four lanes from each quad.
GENEFACE_INLINE Float join(const Quad (&q)[4]) {
    const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(q[0].v), q[1].v, 1);
    const __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256(q[2].v), q[3].v, 1);
    return {_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1)};
}

GENEFACE_INLINE void split(Float a, Quad (&q)[4]) {  // what `join` joins
    q[0].v = _mm512_castps512_ps128(a.v);
    q[1].v = _mm512_extractf32x4_ps(a.v, 1);
    q[2].v = _mm512_extractf32x4_ps(a.v, 2);
    q[3].v = _mm512_extractf32x4_ps(a.v, 3);
}

// Of each group of four lanes: 0 of a, 0 of b, 1 of a, 1 of b; or the same of 2 and 3.
GENEFACE_INLINE Float interleave_low(Float a, Float b) { return {_mm512_unpacklo_ps(a.v, b.v)}; }
GENEFACE_INLINE Float interleave_high(Float a, Float b) { return {_mm512_unpackhi_ps(a.v, b.v)}; }

#if defined(__AVX512BF16__)
#define GENEFACE_NATIVE_BF16

// Two numbers a lane, rounded to nearest even.
GENEFACE_INLINE Int pack_bf16(Float low, Float high) {
    const __m512i halves = (__m512i)_mm512_cvtne2ps_pbh(high.v, low.v);  // low's 16 numbers, then high's
    const __m512i order = _mm512_setr_epi32(0x00100000, 0x00110001, 0x00120002, 0x00130003, 0x00140004, 0x00150005,
                                            0x00160006, 0x00170007, 0x00180008, 0x00190009, 0x001a000a, 0x001b000b,
                                            0x001c000c, 0x001d000d, 0x001e000e, 0x001f000f);
    return {_mm512_permutexvar_epi16(order, halves)};
}

// sum + a.low * b.low + a.high * b.high, in float (denormals count as zero).
GENEFACE_INLINE Float dot_bf16(Float sum, Int a, Int b) {
    return {_mm512_dpbf16_ps(sum.v, (__m512bh)a.v, (__m512bh)b.v)};
}
#endif

}  // namespace geneface
