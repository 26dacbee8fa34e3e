// Fully connected layers over a packet of 32 samples in lane layout, [feature][kPacket], in float or bfloat16.
//
// Weights are packed once a call (`pack_layer`): blocks of kBlock outputs, of which one input's weights lie
// side by side. A tile of outputs then stays in registers over all inputs: a weight is spread over the lanes
// and multiplied with the input's vectors.
#pragma once
#include <cstddef>
#include <cstdint>

#include "simd.h"

#if defined(__clang__)
#define GENEFACE_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define GENEFACE_UNROLL _Pragma("GCC unroll 16")
#else
#define GENEFACE_UNROLL
#endif

namespace geneface {

// Numbers of a network. `Unit` holds kFold features of a sample, or that many inputs of a weight row.
struct Float32 {
    using Unit = float;
    using Vector = Float;
    static constexpr int kFold = 1;
    static GENEFACE_INLINE Vector pack(Float even, Float) { return even; }
    static GENEFACE_INLINE Unit unit(float even, float) { return even; }
    static GENEFACE_INLINE Vector spread(const Unit* p) { return set1(*p); }
    static GENEFACE_INLINE Float multiply_add(Vector a, Vector b, Float sum) { return fma(a, b, sum); }
};

#if defined(GENEFACE_NATIVE_BF16)
// Two features a unit, even one in the low half; products are summed in float.
struct BFloat16 {
    using Unit = uint32_t;
    using Vector = Int;
    static constexpr int kFold = 2;
    static GENEFACE_INLINE Vector pack(Float even, Float odd) { return pack_bf16(even, odd); }
    static GENEFACE_INLINE Unit unit(float even, float odd) {
        return to_bf16(even) | static_cast<uint32_t>(to_bf16(odd)) << 16;
    }
    static GENEFACE_INLINE Vector spread(const Unit* p) { return set1(static_cast<int32_t>(*p)); }
    static GENEFACE_INLINE Float multiply_add(Vector a, Vector b, Float sum) { return dot_bf16(sum, a, b); }
};
#else
// Without instructions for bfloat16 products, floats that are rounded to it: the same function at float's speed.
struct BFloat16 : Float32 {
    static GENEFACE_INLINE Vector pack(Float even, Float) {
        return as_float(round_bf16(even) & set1(static_cast<int32_t>(0xffff0000u)));
    }
    static GENEFACE_INLINE Unit unit(float even, float) { return from_bf16(to_bf16(even)); }
};
#endif

// Outputs of a packed block, and those whose sums a tile keeps in registers over kTileVectors vectors of lanes.
constexpr int kBlock = 8;
#if defined(__AVX512F__)
constexpr int kTile = 8, kTileVectors = 2;
#elif defined(__AVX2__)
constexpr int kTile = 4, kTileVectors = 2;
#else
constexpr int kTile = 4, kTileVectors = 1;
#endif
static_assert(kBlock % kTile == 0 && kPacketVectors % kTileVectors == 0, "tiles fill blocks and packets");

// Units that hold `features` numbers; of an odd count the last unit's second half must be 0.
template <class Precision>
constexpr int64_t units(int64_t features) {
    return (features + Precision::kFold - 1) / Precision::kFold;
}

// Units of a packed layer.
template <class Precision>
constexpr int64_t packed_size(int64_t inputs, int64_t outputs) {
    return (outputs + kBlock - 1) / kBlock * kBlock * units<Precision>(inputs);
}

// weight(o, k) = weight[o * output_stride + k * input_stride] -> packed [packed_size]. Swapped strides and sizes
// pack the transposed layer.
template <class Precision>
void pack_layer(const float* weight, int64_t output_stride, int64_t input_stride, int inputs, int outputs,
                typename Precision::Unit* packed) {
    constexpr int kFold = Precision::kFold;
    const auto at = [&](int o, int k) {
        return o < outputs && k < inputs ? weight[o * output_stride + k * input_stride] : 0.f;
    };
    for (int first = 0; first < outputs; first += kBlock)
        for (int k = 0; k < inputs; k += kFold)
            for (int o = first; o < first + kBlock; ++o) *packed++ = Precision::unit(at(o, k), at(o, k + kFold - 1));
}

// Store features `feature` (even) and the next one, kLanes samples of them from `lane` on, as inputs of a layer.
template <class Precision>
GENEFACE_INLINE void store_pair(typename Precision::Unit* x, int feature, int lane, Float even, Float odd) {
    if constexpr (Precision::kFold == 2) {
        store(x + feature / 2 * kPacket + lane, Precision::pack(even, odd));
    } else {
        store(x + feature * kPacket + lane, Precision::pack(even, even));
        store(x + (feature + 1) * kPacket + lane, Precision::pack(odd, odd));
    }
}

// Where the sums of a layer begin: at zero, at one number per output, or at [outputs][kPacket].
struct NoBias {
    GENEFACE_INLINE Float operator()(int, int) const { return zero(); }
};
struct OutputBias {
    const float* values;
    GENEFACE_INLINE Float operator()(int output, int) const { return set1(values[output]); }
};
struct LaneBias {
    const float* values;
    GENEFACE_INLINE Float operator()(int output, int lane) const { return load(values + output * kPacket + lane); }
};

// Outputs first to first + Rows - 1 of all lanes; emit(output, lane, sums [Rows]) takes them, kLanes at a time.
template <class Precision, int Rows, class Bias, class Emit>
GENEFACE_INLINE void layer_tile(const typename Precision::Unit* packed, int input_units, int first,
                                const typename Precision::Unit* x, Bias bias, Emit emit) {
    const typename Precision::Unit* weights =
        packed + static_cast<size_t>(first / kBlock) * kBlock * input_units + first % kBlock;
    for (int lane = 0; lane < kPacket; lane += kTileVectors * kLanes) {
        Float sums[kTileVectors][Rows];
        GENEFACE_UNROLL
        for (int v = 0; v < kTileVectors; ++v) {
            GENEFACE_UNROLL
            for (int r = 0; r < Rows; ++r) sums[v][r] = bias(first + r, lane + v * kLanes);
        }
        for (int k = 0; k < input_units; ++k) {
            typename Precision::Vector in[kTileVectors];
            GENEFACE_UNROLL
            for (int v = 0; v < kTileVectors; ++v) in[v] = load(x + k * kPacket + lane + v * kLanes);
            GENEFACE_UNROLL
            for (int r = 0; r < Rows; ++r) {
                const typename Precision::Vector weight = Precision::spread(weights + k * kBlock + r);
                GENEFACE_UNROLL
                for (int v = 0; v < kTileVectors; ++v)
                    sums[v][r] = Precision::multiply_add(weight, in[v], sums[v][r]);
            }
        }
        GENEFACE_UNROLL
        for (int v = 0; v < kTileVectors; ++v) emit(first, lane + v * kLanes, sums[v]);
    }
}

template <class Precision, class Bias, class Emit>
GENEFACE_INLINE void layer_tiles(const typename Precision::Unit* packed, int inputs, int outputs,
                                 const typename Precision::Unit* x, Bias bias, Emit emit) {
    const int input_units = static_cast<int>(units<Precision>(inputs));
    int o = 0;
    for (; o + kTile <= outputs; o += kTile) layer_tile<Precision, kTile>(packed, input_units, o, x, bias, emit);
    if (kTile > 4 && o + 4 <= outputs) layer_tile<Precision, 4>(packed, input_units, o, x, bias, emit), o += 4;
    if (o + 2 <= outputs) layer_tile<Precision, 2>(packed, input_units, o, x, bias, emit), o += 2;
    if (o < outputs) layer_tile<Precision, 1>(packed, input_units, o, x, bias, emit);
}

// x [units(inputs)][kPacket] -> y = bias + weight x, [outputs][kPacket] floats.
template <class Precision, class Bias>
GENEFACE_INLINE void output_layer(const typename Precision::Unit* packed, int inputs, int outputs,
                                  const typename Precision::Unit* x, Bias bias, float* y) {
    layer_tiles<Precision>(packed, inputs, outputs, x, bias, [&](int first, int lane, auto& sums) {
        constexpr int kRows = sizeof(sums) / sizeof(sums[0]);
        GENEFACE_UNROLL
        for (int r = 0; r < kRows; ++r) store(y + (first + r) * kPacket + lane, sums[r]);
    });
}

// x [units(inputs)][kPacket] -> y = max(0, bias + weight x), [units(outputs)][kPacket]: inputs of the next layer.
// With zero first, max hands on what is not a number.
template <class Precision, class Bias>
GENEFACE_INLINE void hidden_layer(const typename Precision::Unit* packed, int inputs, int outputs,
                                  const typename Precision::Unit* x, Bias bias, typename Precision::Unit* y) {
    layer_tiles<Precision>(packed, inputs, outputs, x, bias, [&](int first, int lane, auto& sums) {
        constexpr int kRows = sizeof(sums) / sizeof(sums[0]), kFold = Precision::kFold;
        GENEFACE_UNROLL
        for (int r = 0; r < kRows; r += kFold) {
            const Float even = max(zero(), sums[r]);
            Float odd = zero();
            if (r + 1 < kRows) odd = max(odd, sums[r + 1]);
            store(y + (first + r) / kFold * kPacket + lane, Precision::pack(even, odd));
        }
    });
}

}  // namespace geneface
