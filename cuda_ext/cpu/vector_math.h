// Exponentials of vectors, within a few units of the last place of 1 (or of the result, where that is larger).
#pragma once
#include "simd.h"

namespace geneface {

namespace vector_math_detail {

// (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2: the polynomial of Cephes' expf (S. Moshier, netlib.org/cephes).
GENEFACE_INLINE Float exp_tail(Float r) {
    Float p = set1(1.9875691500e-4f);
    p = fma(p, r, set1(1.3981999507e-3f));
    p = fma(p, r, set1(8.3334519073e-3f));
    p = fma(p, r, set1(4.1665795894e-2f));
    p = fma(p, r, set1(1.6666665459e-1f));
    return fma(p, r, set1(5.0000001201e-1f));
}

}  // namespace vector_math_detail

// exp(x); x is held within what a normal float can show.
GENEFACE_INLINE Float exp(Float x) {
    x = clamp(x, -87.f, 88.f);
    const Float power = round(x * set1(1.44269504f));
    // log(2) in two parts, of which the first has so few bits that its product is exact.
    const Float r = fma(power, set1(2.12194440e-4f), fma(power, set1(-0.693359375f), x));
    const Float mantissa = fma(vector_math_detail::exp_tail(r), r * r, r) + set1(1.f);
    return mantissa * as_float(shift_left<23>(to_int(power) + set1(127)));
}

// 1 - exp(-x) for x >= 0, exact to the last places for small x too.
GENEFACE_INLINE Float opacity(Float x) {
    const Float small = x - vector_math_detail::exp_tail(zero() - x) * x * x;
    return select(x < set1(0.3f), small, set1(1.f) - exp(zero() - x));
}

GENEFACE_INLINE Float sigmoid(Float x) { return set1(1.f) / (set1(1.f) + exp(zero() - x)); }

GENEFACE_INLINE Float tanh(Float x) { return set1(1.f) - set1(2.f) / (exp(x + x) + set1(1.f)); }

}  // namespace geneface
