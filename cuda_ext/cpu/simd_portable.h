// `simd.h` without intrinsics: arrays and loops, which compilers turn into what vectors there are.
#pragma once
#include <cmath>

namespace geneface {

constexpr int kLanes = 8;

struct Float { float v[kLanes]; };
struct Int { int32_t v[kLanes]; };
struct Mask { uint8_t v[kLanes]; };  // 0 or 1

namespace lanes {

// A vector whose lane i is f(i).
template <class Vector, class F>
GENEFACE_INLINE Vector make(F f) {
    Vector out;
    for (int i = 0; i < kLanes; ++i) out.v[i] = f(i);
    return out;
}

// Unsigned arithmetic wraps around, as vector instructions do.
GENEFACE_INLINE uint32_t u(int32_t x) { return static_cast<uint32_t>(x); }
GENEFACE_INLINE int32_t s(uint32_t x) { return static_cast<int32_t>(x); }

}  // namespace lanes

GENEFACE_INLINE Float set1(float x) { return lanes::make<Float>([=](int) { return x; }); }
GENEFACE_INLINE Int set1(int32_t x) { return lanes::make<Int>([=](int) { return x; }); }
GENEFACE_INLINE Int iota() { return lanes::make<Int>([](int i) { return i; }); }

// Memory need not be aligned. With `count`: only the first lanes are read (others are 0) or written.
GENEFACE_INLINE Float load(const float* p) { return lanes::make<Float>([=](int i) { return p[i]; }); }
GENEFACE_INLINE Int load(const int32_t* p) { return lanes::make<Int>([=](int i) { return p[i]; }); }
GENEFACE_INLINE Int load(const uint32_t* p) { return lanes::make<Int>([=](int i) { return lanes::s(p[i]); }); }
GENEFACE_INLINE void store(float* p, Float x) { for (int i = 0; i < kLanes; ++i) p[i] = x.v[i]; }
GENEFACE_INLINE void store(int32_t* p, Int x) { for (int i = 0; i < kLanes; ++i) p[i] = x.v[i]; }
GENEFACE_INLINE void store(uint32_t* p, Int x) { for (int i = 0; i < kLanes; ++i) p[i] = lanes::u(x.v[i]); }
GENEFACE_INLINE Mask first_lanes(int count) {
    return lanes::make<Mask>([=](int i) { return static_cast<uint8_t>(i < count); });
}
GENEFACE_INLINE Float load(const float* p, int count) {
    return lanes::make<Float>([=](int i) { return i < count ? p[i] : 0.f; });
}
GENEFACE_INLINE void store(float* p, Float x, int count) {
    for (int i = 0; i < kLanes && i < count; ++i) p[i] = x.v[i];
}

#define GENEFACE_LANEWISE(Result, name, Operand, expression)         \
    GENEFACE_INLINE Result name(Operand left, Operand right) {       \
        return lanes::make<Result>([&](int i) {                      \
            const auto a = left.v[i];                                \
            const auto b = right.v[i];                               \
            return static_cast<decltype(Result().v[0] + 0)>(expression); \
        });                                                          \
    }
GENEFACE_LANEWISE(Float, operator+, Float, a + b)
GENEFACE_LANEWISE(Float, operator-, Float, a - b)
GENEFACE_LANEWISE(Float, operator*, Float, a * b)
GENEFACE_LANEWISE(Float, operator/, Float, a / b)
GENEFACE_LANEWISE(Float, min, Float, a < b ? a : b)
GENEFACE_LANEWISE(Float, max, Float, a > b ? a : b)
GENEFACE_LANEWISE(Int, operator+, Int, lanes::s(lanes::u(a) + lanes::u(b)))
GENEFACE_LANEWISE(Int, operator-, Int, lanes::s(lanes::u(a) - lanes::u(b)))
GENEFACE_LANEWISE(Int, operator*, Int, lanes::s(lanes::u(a) * lanes::u(b)))
GENEFACE_LANEWISE(Int, operator&, Int, a & b)
GENEFACE_LANEWISE(Int, operator|, Int, a | b)
GENEFACE_LANEWISE(Int, operator^, Int, a ^ b)
GENEFACE_LANEWISE(Int, min, Int, a < b ? a : b)
GENEFACE_LANEWISE(Int, max, Int, a > b ? a : b)
GENEFACE_LANEWISE(Mask, operator<, Float, a < b)
GENEFACE_LANEWISE(Mask, operator<=, Float, a <= b)
GENEFACE_LANEWISE(Mask, operator==, Int, a == b)
GENEFACE_LANEWISE(Mask, operator<, Int, a < b)
GENEFACE_LANEWISE(Mask, operator&, Mask, a & b)
GENEFACE_LANEWISE(Mask, operator|, Mask, a | b)
#undef GENEFACE_LANEWISE

GENEFACE_INLINE Mask operator>(Float a, Float b) { return b < a; }
GENEFACE_INLINE Mask operator>=(Float a, Float b) { return b <= a; }

GENEFACE_INLINE Float fma(Float a, Float b, Float c) {  // rounded once or twice, as the machine likes
    return lanes::make<Float>([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
GENEFACE_INLINE Float sqrt(Float a) { return lanes::make<Float>([&](int i) { return std::sqrt(a.v[i]); }); }
GENEFACE_INLINE Float floor(Float a) { return lanes::make<Float>([&](int i) { return std::floor(a.v[i]); }); }
GENEFACE_INLINE Float round(Float a) {  // to nearest, ties to even
    return lanes::make<Float>([&](int i) { return std::nearbyint(a.v[i]); });
}
// A product that no compiler fuses into a sum.
GENEFACE_INLINE Float product(Float a, Float b) {
    Float out = a * b;
#if defined(__GNUC__)
    __asm__("" : "+m"(out));  // as far as the compiler knows, something other than a product
#endif
    return out;
}

template <int Bits>
GENEFACE_INLINE Int shift_left(Int a) {
    return lanes::make<Int>([&](int i) { return lanes::s(lanes::u(a.v[i]) << Bits); });
}
template <int Bits>
GENEFACE_INLINE Int shift_right(Int a) {  // zeros come in
    return lanes::make<Int>([&](int i) { return lanes::s(lanes::u(a.v[i]) >> Bits); });
}
GENEFACE_INLINE Int shift_right(Int a, Int bits) {
    return lanes::make<Int>([&](int i) { return lanes::s(lanes::u(a.v[i]) >> bits.v[i]); });
}

GENEFACE_INLINE Int to_int(Float a) {  // towards zero
    return lanes::make<Int>([&](int i) { return static_cast<int32_t>(a.v[i]); });
}
GENEFACE_INLINE Float to_float(Int a) {
    return lanes::make<Float>([&](int i) { return static_cast<float>(a.v[i]); });
}
GENEFACE_INLINE Int as_int(Float a) {
    Int out;
    std::memcpy(&out, &a, sizeof out);
    return out;
}
GENEFACE_INLINE Float as_float(Int a) {
    Float out;
    std::memcpy(&out, &a, sizeof out);
    return out;
}

GENEFACE_INLINE unsigned bits(Mask a) {  // lane i is bit i
    unsigned out = 0;
    for (int i = 0; i < kLanes; ++i) out |= static_cast<unsigned>(a.v[i]) << i;
    return out;
}
GENEFACE_INLINE Float select(Mask m, Float a, Float b) {  // m ? a : b
    return lanes::make<Float>([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
}
GENEFACE_INLINE Int select(Mask m, Int a, Int b) {
    return lanes::make<Int>([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
}

GENEFACE_INLINE float sum(Float a) {
    float out = 0.f;
    for (int i = 0; i < kLanes; ++i) out += a.v[i];
    return out;
}

GENEFACE_INLINE Float gather(const float* base, Int index) {
    return lanes::make<Float>([&](int i) { return base[index.v[i]]; });
}
GENEFACE_INLINE Int gather(const int32_t* base, Int index) {
    return lanes::make<Int>([&](int i) { return base[index.v[i]]; });
}

// kLanes neighbouring bfloat16.
GENEFACE_INLINE Float load_bf16(const uint16_t* p) {
    return as_float(lanes::make<Int>([=](int i) { return lanes::s(static_cast<uint32_t>(p[i]) << 16); }));
}

// Lane I of each group of four, in all four lanes of the group.
template <int I>
GENEFACE_INLINE Float spread(Float a) { return lanes::make<Float>([&](int i) { return a.v[i / 4 * 4 + I]; }); }

// In each group of four lanes: (a, b, c, d) as the rows of a 4x4 matrix become its columns.
GENEFACE_INLINE void transpose4(Float& a, Float& b, Float& c, Float& d) {
    const Float rows[4] = {a, b, c, d};
    Float* const columns[4] = {&a, &b, &c, &d};
    for (int column = 0; column < 4; ++column)
        for (int i = 0; i < kLanes; ++i) columns[column]->v[i] = rows[i % 4].v[i / 4 * 4 + column];
}

// Of each group of four lanes: 0 2 (or 1 3) of a, then of b.
GENEFACE_INLINE Float evens(Float a, Float b) {
    return lanes::make<Float>([&](int i) { return (i % 4 < 2 ? a : b).v[i / 4 * 4 + i % 2 * 2]; });
}
GENEFACE_INLINE Float odds(Float a, Float b) {
    return lanes::make<Float>([&](int i) { return (i % 4 < 2 ? a : b).v[i / 4 * 4 + i % 2 * 2 + 1]; });
}

// Four lanes, and scattered loads of 16, 8 or 4 neighbouring bytes.
struct Quad { float v[4]; };

GENEFACE_INLINE Quad load_quad(const void* p) {
    Quad out;
    std::memcpy(out.v, p, 16);
    return out;
}
GENEFACE_INLINE Quad load_halves(const void* a, const void* b) {
    Quad out;
    std::memcpy(out.v, a, 8);
    std::memcpy(out.v + 2, b, 8);
    return out;
}
GENEFACE_INLINE Quad load_quarters(const void* a, const void* b, const void* c, const void* d) {
    Quad out;
    std::memcpy(out.v, a, 4);
    std::memcpy(out.v + 1, b, 4);
    std::memcpy(out.v + 2, c, 4);
    std::memcpy(out.v + 3, d, 4);
    return out;
}

GENEFACE_INLINE void store_quad(void* p, Quad a) { std::memcpy(p, a.v, 16); }
GENEFACE_INLINE void store_halves(void* a, void* b, Quad x) {
    std::memcpy(a, x.v, 8);
    std::memcpy(b, x.v + 2, 8);
}
GENEFACE_INLINE Quad operator+(Quad a, Quad b) {
    Quad out;
    for (int i = 0; i < 4; ++i) out.v[i] = a.v[i] + b.v[i];
    return out;
}
GENEFACE_INLINE Quad operator*(Quad a, Quad b) {
    Quad out;
    for (int i = 0; i < 4; ++i) out.v[i] = a.v[i] * b.v[i];
    return out;
}
GENEFACE_INLINE Quad fma(Quad a, Quad b, Quad c) { return a * b + c; }
GENEFACE_INLINE Quad spread_quad(float x) { return {{x, x, x, x}}; }
GENEFACE_INLINE Quad repeat_pair(const float* p) { return {{p[0], p[1], p[0], p[1]}}; }  // 0 1 0 1
GENEFACE_INLINE Quad double_pair(float a, float b) { return {{a, a, b, b}}; }

// One group of four lanes from each quad.
GENEFACE_INLINE Float join(const Quad (&q)[2]) {
    return lanes::make<Float>([&](int i) { return q[i / 4].v[i % 4]; });
}

GENEFACE_INLINE void split(Float a, Quad (&q)[2]) {  // what `join` joins
    for (int i = 0; i < kLanes; ++i) q[i / 4].v[i % 4] = a.v[i];
}

// Of each group of four lanes: 0 of a, 0 of b, 1 of a, 1 of b; or the same of 2 and 3.
GENEFACE_INLINE Float interleave_low(Float a, Float b) {
    return lanes::make<Float>([&](int i) { return (i % 2 ? b : a).v[i / 4 * 4 + i % 4 / 2]; });
}
GENEFACE_INLINE Float interleave_high(Float a, Float b) {
    return lanes::make<Float>([&](int i) { return (i % 2 ? b : a).v[i / 4 * 4 + 2 + i % 4 / 2]; });
}

}  // namespace geneface
