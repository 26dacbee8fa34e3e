// Matrix products of networks in training, over a block of samples in row layout, [sample][feature].
//
// One tile of sums stays in registers: numbers of the left factor are spread over the lanes, the right factor
// comes in vectors. The left factor may be read along either axis, so that one tile serves layers (a step is
// an input) and gradients of weights (a step is a sample).
#pragma once
#include <memory>

#include "layers.h"

namespace geneface {

#if defined(GENEFACE_NATIVE_BF16)
// kLanes neighbouring bfloat16, rounded to nearest even.
GENEFACE_INLINE void store_bf16(uint32_t* row, int column, Float x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(reinterpret_cast<uint16_t*>(row) + column),
                        (__m256i)_mm512_cvtneps_pbh(x.v));
}
#endif

// Features rounded up to whole vectors.
constexpr int padded(int features) { return (features + kLanes - 1) / kLanes * kLanes; }

// Zeros, beginning on a cache line.
template <class T>
class Buffer {
public:
    explicit Buffer(size_t count) : memory_(new char[count * sizeof(T) + kLine]()) {
        data_ = reinterpret_cast<T*>(memory_.get() + (kLine - reinterpret_cast<uintptr_t>(memory_.get()) % kLine));
    }
    T* data() const { return data_; }

private:
    static constexpr size_t kLine = 64;
    std::unique_ptr<char[]> memory_;
    T* data_;
};

// Values [samples][width] of a block, folded along features to be a factor in products over features, and
// along samples to be one in products over samples. Where Precision does not fold, both are the same.
template <class Precision>
class Rows {
public:
    using Unit = typename Precision::Unit;
    static constexpr int kFold = Precision::kFold;

    // both: by_sample is wanted too.
    Rows(int samples, int features, bool both)
        : width(padded(features)), stride(width + kLanes), row(stride / kFold),
          by_feature_(static_cast<size_t>(samples) * row),
          by_sample_(kFold > 1 && both ? static_cast<size_t>(samples / kFold) * stride : 0),
          by_feature(by_feature_.data()), by_sample(kFold == 1 ? by_feature : both ? by_sample_.data() : nullptr) {}

    const int width;   // whole vectors
    const int stride;  // units between rows of by_sample: rows of powers of two would share few places in the cache
    const int row;     // units between rows of by_feature

private:
    Buffer<Unit> by_feature_, by_sample_;

public:
    Unit* const by_feature;  // [samples][row]
    Unit* const by_sample;   // [samples / kFold][stride] or null

    // Features column to column + kLanes - 1 of `sample` (even) and the next one.
    GENEFACE_INLINE void put(int sample, int column, Float first, Float second) const {
        Unit* target = by_feature + sample * row;
        if constexpr (kFold == 2) {
            store_bf16(target, column, first);
            store_bf16(target + row, column, second);
            if (by_sample) store(by_sample + sample / 2 * stride + column, Precision::pack(first, second));
        } else {
            store(target + column, Precision::pack(first, first));
            store(target + row + column, Precision::pack(second, second));
        }
    }

    // What `put` was given, rounded; needs by_sample.
    GENEFACE_INLINE void get(int sample, int column, Float& first, Float& second) const {
        const Unit* source = by_sample + sample / kFold * stride + column;
        if constexpr (kFold == 2) {
            const Int pair = load(source);
            first = low_bf16(pair), second = high_bf16(pair);
        } else {
            first = load(source);
            second = load(source + stride);
        }
    }
};

// Left factor: number (row, step) lies at values[row * row_stride + step * step_stride].
template <class Unit>
struct LeftFactor {
    const Unit* values;
    ptrdiff_t row_stride, step_stride;
};

// Right factor [steps][stride].
template <class Unit>
struct RightFactor {
    const Unit* values;
    ptrdiff_t stride;
};

template <class Precision, int Height, int Vectors, class Begin, class Emit>
GENEFACE_INLINE void product_tile(LeftFactor<typename Precision::Unit> left,
                                  RightFactor<typename Precision::Unit> right, int steps, int first, int column,
                                  Begin begin, Emit emit) {
    Float sums[Height][Vectors];
    GENEFACE_UNROLL
    for (int r = 0; r < Height; ++r) {
        GENEFACE_UNROLL
        for (int v = 0; v < Vectors; ++v) sums[r][v] = begin(first + r, column + v * kLanes);
    }
    const typename Precision::Unit* a = left.values + first * left.row_stride;
    const typename Precision::Unit* b = right.values + column;
    for (int step = 0; step < steps; ++step) {
        typename Precision::Vector in[Vectors];
        GENEFACE_UNROLL
        for (int v = 0; v < Vectors; ++v) in[v] = load(b + v * kLanes);
        GENEFACE_UNROLL
        for (int r = 0; r < Height; ++r) {
            const typename Precision::Vector number = Precision::spread(a + r * left.row_stride);
            GENEFACE_UNROLL
            for (int v = 0; v < Vectors; ++v) sums[r][v] = Precision::multiply_add(number, in[v], sums[r][v]);
        }
        a += left.step_stride;
        b += right.stride;
    }
    GENEFACE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
        Float lanes[Height];
        GENEFACE_UNROLL
        for (int r = 0; r < Height; ++r) lanes[r] = sums[r][v];
        emit(first, column + v * kLanes, lanes);
    }
}

template <class Precision, int Vectors, class Begin, class Emit>
GENEFACE_INLINE void product_rows(LeftFactor<typename Precision::Unit> left,
                                  RightFactor<typename Precision::Unit> right, int steps, int rows, int column,
                                  Begin begin, Emit emit) {
    int r = 0;
    for (; r + kTile <= rows; r += kTile)
        product_tile<Precision, kTile, Vectors>(left, right, steps, r, column, begin, emit);
    if (kTile > 4 && r + 4 <= rows) {
        product_tile<Precision, 4, Vectors>(left, right, steps, r, column, begin, emit);
        r += 4;
    }
    if (r + 2 <= rows) {
        product_tile<Precision, 2, Vectors>(left, right, steps, r, column, begin, emit);
        r += 2;
    }
    if (r < rows) product_tile<Precision, 1, Vectors>(left, right, steps, r, column, begin, emit);
}

// Sum over steps of left(row, step) * right(step, column), begun at begin(row, column), for columns of whole
// vectors. emit(first row, column, sums [height]) takes kLanes columns of some rows at a time.
template <class Precision, class Begin, class Emit>
GENEFACE_INLINE void product(LeftFactor<typename Precision::Unit> left, RightFactor<typename Precision::Unit> right,
                             int steps, int rows, int columns, Begin begin, Emit emit) {
    int column = 0;
    for (; column + kTileVectors * kLanes <= columns; column += kTileVectors * kLanes)
        product_rows<Precision, kTileVectors>(left, right, steps, rows, column, begin, emit);
    if (column < columns) product_rows<Precision, 1>(left, right, steps, rows, column, begin, emit);
}

}  // namespace geneface
