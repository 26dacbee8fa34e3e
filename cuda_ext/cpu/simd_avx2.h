// `simd.h` for AVX2 with FMA.
#pragma once
#include <immintrin.h>

#include "simd_quad.h"

namespace geneface {

constexpr int kLanes = 8;

struct Float { __m256 v; };
struct Int { __m256i v; };
struct Mask { __m256 v; };  // all bits of a lane set, or none

GENEFACE_INLINE Float set1(float x) { return {_mm256_set1_ps(x)}; }
GENEFACE_INLINE Int set1(int32_t x) { return {_mm256_set1_epi32(x)}; }
GENEFACE_INLINE Int iota() { return {_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)}; }

// Memory need not be aligned. With `count`: only the first lanes are read (others are 0) or written.
GENEFACE_INLINE Float load(const float* p) { return {_mm256_loadu_ps(p)}; }
GENEFACE_INLINE Int load(const int32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
GENEFACE_INLINE Int load(const uint32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
GENEFACE_INLINE void store(float* p, Float x) { _mm256_storeu_ps(p, x.v); }
GENEFACE_INLINE void store(int32_t* p, Int x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v); }
GENEFACE_INLINE void store(uint32_t* p, Int x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x.v); }
GENEFACE_INLINE Mask first_lanes(int count) {
    return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(count), iota().v))};
}
GENEFACE_INLINE Float load(const float* p, int count) {
    return {_mm256_maskload_ps(p, _mm256_castps_si256(first_lanes(count).v))};
}
GENEFACE_INLINE void store(float* p, Float x, int count) {
    _mm256_maskstore_ps(p, _mm256_castps_si256(first_lanes(count).v), x.v);
}

GENEFACE_INLINE Float operator+(Float a, Float b) { return {_mm256_add_ps(a.v, b.v)}; }
GENEFACE_INLINE Float operator-(Float a, Float b) { return {_mm256_sub_ps(a.v, b.v)}; }
GENEFACE_INLINE Float operator*(Float a, Float b) { return {_mm256_mul_ps(a.v, b.v)}; }
GENEFACE_INLINE Float operator/(Float a, Float b) { return {_mm256_div_ps(a.v, b.v)}; }
GENEFACE_INLINE Float fma(Float a, Float b, Float c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
GENEFACE_INLINE Float min(Float a, Float b) { return {_mm256_min_ps(a.v, b.v)}; }
GENEFACE_INLINE Float max(Float a, Float b) { return {_mm256_max_ps(a.v, b.v)}; }
GENEFACE_INLINE Float sqrt(Float a) { return {_mm256_sqrt_ps(a.v)}; }
GENEFACE_INLINE Float floor(Float a) { return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)}; }
GENEFACE_INLINE Float round(Float a) {  // to nearest, ties to even
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// A product that no compiler fuses into a sum.
GENEFACE_INLINE Float product(Float a, Float b) {
    __m256 out = _mm256_mul_ps(a.v, b.v);
#if defined(__GNUC__)
    __asm__("" : "+x"(out));  // as far as the compiler knows, something other than a product
#endif
    return {out};
}

GENEFACE_INLINE Int operator+(Int a, Int b) { return {_mm256_add_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int operator-(Int a, Int b) { return {_mm256_sub_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int operator*(Int a, Int b) { return {_mm256_mullo_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int operator&(Int a, Int b) { return {_mm256_and_si256(a.v, b.v)}; }
GENEFACE_INLINE Int operator|(Int a, Int b) { return {_mm256_or_si256(a.v, b.v)}; }
GENEFACE_INLINE Int operator^(Int a, Int b) { return {_mm256_xor_si256(a.v, b.v)}; }
GENEFACE_INLINE Int min(Int a, Int b) { return {_mm256_min_epi32(a.v, b.v)}; }
GENEFACE_INLINE Int max(Int a, Int b) { return {_mm256_max_epi32(a.v, b.v)}; }
template <int Bits>
GENEFACE_INLINE Int shift_left(Int a) { return {_mm256_slli_epi32(a.v, Bits)}; }
template <int Bits>
GENEFACE_INLINE Int shift_right(Int a) { return {_mm256_srli_epi32(a.v, Bits)}; }  // zeros come in
GENEFACE_INLINE Int shift_right(Int a, Int bits) { return {_mm256_srlv_epi32(a.v, bits.v)}; }

GENEFACE_INLINE Int to_int(Float a) { return {_mm256_cvttps_epi32(a.v)}; }  // towards zero
GENEFACE_INLINE Float to_float(Int a) { return {_mm256_cvtepi32_ps(a.v)}; }
GENEFACE_INLINE Int as_int(Float a) { return {_mm256_castps_si256(a.v)}; }
GENEFACE_INLINE Float as_float(Int a) { return {_mm256_castsi256_ps(a.v)}; }

GENEFACE_INLINE Mask operator<(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
GENEFACE_INLINE Mask operator<=(Float a, Float b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
GENEFACE_INLINE Mask operator>(Float a, Float b) { return b < a; }
GENEFACE_INLINE Mask operator>=(Float a, Float b) { return b <= a; }
GENEFACE_INLINE Mask operator==(Int a, Int b) { return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))}; }
GENEFACE_INLINE Mask operator<(Int a, Int b) { return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(b.v, a.v))}; }
GENEFACE_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.v, b.v)}; }
GENEFACE_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.v, b.v)}; }
GENEFACE_INLINE unsigned bits(Mask a) { return static_cast<unsigned>(_mm256_movemask_ps(a.v)); }  // lane i is bit i
GENEFACE_INLINE Float select(Mask m, Float a, Float b) { return {_mm256_blendv_ps(b.v, a.v, m.v)}; }  // m ? a : b
GENEFACE_INLINE Int select(Mask m, Int a, Int b) {
    return {_mm256_blendv_epi8(b.v, a.v, _mm256_castps_si256(m.v))};
}

GENEFACE_INLINE float sum(Float a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

GENEFACE_INLINE Float gather(const float* base, Int index) { return {_mm256_i32gather_ps(base, index.v, 4)}; }
GENEFACE_INLINE Int gather(const int32_t* base, Int index) { return {_mm256_i32gather_epi32(base, index.v, 4)}; }

// kLanes neighbouring bfloat16.
GENEFACE_INLINE Float load_bf16(const uint16_t* p) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
}

// Lane I of each group of four, in all four lanes of the group.
template <int I>
GENEFACE_INLINE Float spread(Float a) { return {_mm256_permute_ps(a.v, I * 0x55)}; }

// In each group of four lanes: (a, b, c, d) as the rows of a 4x4 matrix become its columns.
GENEFACE_INLINE void transpose4(Float& a, Float& b, Float& c, Float& d) {
    const __m256 ab0 = _mm256_unpacklo_ps(a.v, b.v), ab1 = _mm256_unpackhi_ps(a.v, b.v);
    const __m256 cd0 = _mm256_unpacklo_ps(c.v, d.v), cd1 = _mm256_unpackhi_ps(c.v, d.v);
    a.v = _mm256_shuffle_ps(ab0, cd0, 0x44);
    b.v = _mm256_shuffle_ps(ab0, cd0, 0xee);
    c.v = _mm256_shuffle_ps(ab1, cd1, 0x44);
    d.v = _mm256_shuffle_ps(ab1, cd1, 0xee);
}

// Of each group of four lanes: 0 2 (or 1 3) of a, then of b.
GENEFACE_INLINE Float evens(Float a, Float b) { return {_mm256_shuffle_ps(a.v, b.v, 0x88)}; }
GENEFACE_INLINE Float odds(Float a, Float b) { return {_mm256_shuffle_ps(a.v, b.v, 0xdd)}; }

// One group of four lanes from each quad.
GENEFACE_INLINE Float join(const Quad (&q)[2]) {
    return {_mm256_insertf128_ps(_mm256_castps128_ps256(q[0].v), q[1].v, 1)};
}

GENEFACE_INLINE void split(Float a, Quad (&q)[2]) {  // what `join` joins
    q[0].v = _mm256_castps256_ps128(a.v);
    q[1].v = _mm256_extractf128_ps(a.v, 1);
}

// Of each group of four lanes: 0 of a, 0 of b, 1 of a, 1 of b; or the same of 2 and 3.
GENEFACE_INLINE Float interleave_low(Float a, Float b) { return {_mm256_unpacklo_ps(a.v, b.v)}; }
GENEFACE_INLINE Float interleave_high(Float a, Float b) { return {_mm256_unpackhi_ps(a.v, b.v)}; }

}  // namespace geneface
