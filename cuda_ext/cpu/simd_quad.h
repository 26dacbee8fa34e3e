// Four lanes with SSE: what scattered loads of 4, 8 or 16 neighbouring bytes are put together from. On the
// processors measured (Zen 4) this is half as fast again as the gather instructions.
#pragma once
#include <immintrin.h>

namespace geneface {

struct Quad { __m128 v; };

// 8 bytes into the low half, zeros above. Intrinsics that take a double pointer want it aligned; rows are not always.
GENEFACE_INLINE __m128 load_half(const void* p) {
    return _mm_castsi128_ps(_mm_loadl_epi64(static_cast<const __m128i*>(p)));
}

GENEFACE_INLINE Quad load_quad(const void* p) { return {_mm_loadu_ps(static_cast<const float*>(p))}; }
GENEFACE_INLINE Quad load_halves(const void* a, const void* b) {
    return {_mm_loadh_pi(load_half(a), static_cast<const __m64*>(b))};
}
GENEFACE_INLINE Quad load_quarters(const void* a, const void* b, const void* c, const void* d) {
    const auto at = [](const void* p) {
        int value;
        std::memcpy(&value, p, sizeof value);
        return value;
    };
    __m128i out = _mm_cvtsi32_si128(at(a));
    out = _mm_insert_epi32(out, at(b), 1);
    out = _mm_insert_epi32(out, at(c), 2);
    return {_mm_castsi128_ps(_mm_insert_epi32(out, at(d), 3))};
}

GENEFACE_INLINE void store_quad(void* p, Quad a) { _mm_storeu_ps(static_cast<float*>(p), a.v); }
GENEFACE_INLINE void store_halves(void* a, void* b, Quad x) {
    _mm_storel_pi(static_cast<__m64*>(a), x.v);
    _mm_storeh_pi(static_cast<__m64*>(b), x.v);
}
GENEFACE_INLINE Quad operator+(Quad a, Quad b) { return {_mm_add_ps(a.v, b.v)}; }
GENEFACE_INLINE Quad operator*(Quad a, Quad b) { return {_mm_mul_ps(a.v, b.v)}; }
GENEFACE_INLINE Quad fma(Quad a, Quad b, Quad c) { return {_mm_fmadd_ps(a.v, b.v, c.v)}; }
GENEFACE_INLINE Quad spread_quad(float x) { return {_mm_set1_ps(x)}; }
GENEFACE_INLINE Quad repeat_pair(const float* p) {  // 0 1 0 1
    return {_mm_castpd_ps(_mm_movedup_pd(_mm_castps_pd(load_half(p))))};
}
GENEFACE_INLINE Quad double_pair(float a, float b) { return {_mm_shuffle_ps(_mm_set_ss(a), _mm_set_ss(b), 0)}; }

}  // namespace geneface
