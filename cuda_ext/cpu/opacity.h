// Opacity of many samples at once.
#pragma once
#include "simd.h"

namespace geneface {

// 1 - exp(-optical), to the last bits however faint: as `opacity` in volume.h. NaN stays NaN (the order of
// the operands of min and max sees to it).
GENEFACE_INLINE Float opacity(Float optical) {
    const Float x = min(set1(87.f), max(set1(-87.f), zero() - optical));
    // exp(x) = 2^n exp(r), |r| <= ln(2) / 2; ln(2) in two parts so that r is exact.
    const Float n = round(x * set1(1.44269504f));
    const Float r = fma(n, set1(-1.42860677e-6f), fma(n, set1(-0.693145752f), x));
    // Taylor series of exp(r) - 1: what is left out is below 2e-8 of it.
    Float p = set1(1.f / 5040.f);
    p = fma(p, r, set1(1.f / 720.f));
    p = fma(p, r, set1(1.f / 120.f));
    p = fma(p, r, set1(1.f / 24.f));
    p = fma(p, r, set1(1.f / 6.f));
    p = fma(p, r, set1(0.5f));
    p = fma(p, r * r, r);
    const Float scale = as_float(shift_left<23>(to_int(n) + set1(127)));
    return (set1(1.f) - scale) - scale * p;
}

}  // namespace geneface
