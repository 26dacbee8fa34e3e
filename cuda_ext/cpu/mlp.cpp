// Fully connected networks on the CPU, forward and backward.
//
// Samples are taken in blocks whose activations stay in cache; the backward pass computes hidden layers again
// instead of reading them back. Gradients that are sums over samples are summed within chunks of samples and
// then over the chunks in order. Chunks depend on the number of samples only, so results do not depend on the
// number of threads.
#include <algorithm>
#include <vector>

#include "../include/geneface_ops.h"
#include "parallel.h"
#include "products.h"

namespace geneface {
namespace {

// Samples of a block: activations stay in the first cache going forward; going backward, sums over more samples
// are stored less often.
constexpr int kForward = 32, kBackward = 128;
constexpr int64_t kChunk = 1024, kMostChunks = 128;

// Samples of a task.
int64_t chunk_size(int64_t samples) {
    const int64_t least = (samples + kMostChunks - 1) / kMostChunks;
    return std::max(kChunk, (least + kBackward - 1) / kBackward * kBackward);
}

// Weights as right factors.
template <class Precision>
class RightWeights {
public:
    using Unit = typename Precision::Unit;

    // weight(step, column) = weight[step * step_stride + column * column_stride].
    RightWeights(const float* weight, ptrdiff_t step_stride, ptrdiff_t column_stride, int steps, int columns)
        : steps_(static_cast<int>(units<Precision>(steps))), columns_(padded(columns)),
          values_(static_cast<size_t>(steps_) * columns_) {
        Unit* next = values_.data();
        for (int step = 0; step < steps; step += Precision::kFold, next += columns_)
            for (int column = 0; column < columns; ++column) {
                const float* at = weight + step * step_stride + column * column_stride;
                const int odd = Precision::kFold - 1;
                next[column] = Precision::unit(*at, step + odd < steps ? at[odd * step_stride] : 0.f);
            }
    }
    RightFactor<Unit> factor() const { return {values_.data(), columns_}; }
    int steps() const { return steps_; }
    int columns() const { return columns_; }

private:
    int steps_, columns_;
    Buffer<Unit> values_;
};

struct Call {
    const geneface_mlp& net;
    int64_t samples;
    const float* const* inputs;
    const float* offsets;
    const int64_t* index;

    int width(int layer) const { return net.widths[layer]; }
    int64_t offset_row(int64_t sample) const { return index ? index[sample] : 0; }
};

GENEFACE_INLINE Float load_some(const float* p, int count) { return count >= kLanes ? load(p) : load(p, count); }
GENEFACE_INLINE void store_some(float* p, Float x, int count) {
    if (count >= kLanes)
        store(p, x);
    else if (count > 0)
        store(p, x, count);
}

// Samples begin to begin + count - 1 of the inputs, side by side; zeros up to a whole block.
// staging: [2][width and a vector], zeros beyond the inputs.
template <int Samples, class Precision>
void read_inputs(const Call& call, int64_t begin, int count, const Rows<Precision>& rows,
                 const Buffer<float>& staging) {
    const int stride = rows.width + kLanes;
    for (int s = 0; s < Samples; s += 2) {
        for (int i = 0; i < 2; ++i) {
            float* target = staging.data() + i * stride;
            if (s + i >= count) {
                std::fill(target, target + rows.width, 0.f);
                continue;
            }
            for (int n = 0; n < call.net.inputs; ++n) {
                const int width = call.net.input_widths[n];
                const float* source = call.inputs[n] + (begin + s + i) * width;
                for (int c = 0; c < width; c += kLanes) store(target + c, load_some(source + c, width - c));
                target += width;
            }
        }
        for (int c = 0; c < rows.width; c += kLanes)
            rows.put(s, c, load(staging.data() + c), load(staging.data() + stride + c));
    }
}

// [count][width] floats into a block, zeros beyond.
template <int Samples, class Precision>
void read_rows(const float* source, int width, int count, const Rows<Precision>& rows) {
    for (int s = 0; s < Samples; s += 2)
        for (int c = 0; c < rows.width; c += kLanes) {
            const auto at = [&](int sample) {
                return sample < count ? load_some(source + sample * width + c, width - c) : zero();
            };
            rows.put(s, c, at(s), at(s + 1));
        }
}

// What the sums of a block's layer begin at: the sample's row of the offsets for the first layer.
template <int Samples>
class Begin {
public:
    Begin(const Call& call, int layer, int64_t begin, int count)
        : width_(call.width(1)), any_(layer == 0 && call.offsets) {
        if (!any_) return;
        for (int s = 0; s < Samples; ++s)
            rows_[s] = call.offsets + call.offset_row(begin + std::min(s, count - 1)) * width_;
    }
    GENEFACE_INLINE Float operator()(int sample, int column) const {
        return any_ ? load_some(rows_[sample] + column, width_ - column) : zero();
    }

private:
    int width_;
    bool any_;
    const float* rows_[Samples];
};

// One layer of a block.
template <int Samples, class Precision, class Emit>
GENEFACE_INLINE void apply(const Rows<Precision>& in, const RightWeights<Precision>& weights,
                           const Begin<Samples>& begin, Emit emit) {
    const LeftFactor<typename Precision::Unit> left{in.by_feature, in.row, 1};
    product<Precision>(left, weights.factor(), weights.steps(), Samples, weights.columns(), begin, emit);
}

template <int Samples, class Precision>
void apply_hidden(const Rows<Precision>& in, const RightWeights<Precision>& weights, const Begin<Samples>& begin,
                  const Rows<Precision>& out) {
    apply(in, weights, begin, [&](int first, int column, auto& sums) {
        constexpr int kHeight = sizeof(sums) / sizeof(sums[0]);
        GENEFACE_UNROLL  // with zero first, max hands on what is not a number
        for (int r = 0; r + 1 < kHeight; r += 2)
            out.put(first + r, column, max(zero(), sums[r]), max(zero(), sums[r + 1]));
    });
}

template <class Precision>
std::vector<RightWeights<Precision>> layer_weights(const Call& call, const float* const* weights) {
    std::vector<RightWeights<Precision>> out;
    for (int l = 0; l < call.net.layers; ++l)
        out.emplace_back(weights[l], 1, call.width(l), call.width(l), call.width(l + 1));
    return out;
}

template <class Precision>
std::vector<Rows<Precision>> layer_inputs(const Call& call, int samples, bool both) {
    std::vector<Rows<Precision>> out;
    out.reserve(call.net.layers);
    for (int l = 0; l < call.net.layers; ++l) out.emplace_back(samples, call.width(l), both);
    return out;
}

template <class Precision>
void forward(const Call& call, const float* const* weights, float* out, int threads) {
    const int layers = call.net.layers, outputs = call.width(layers);
    const auto factors = layer_weights<Precision>(call, weights);
    parallel_ranges(call.samples, chunk_size(call.samples), threads, [&](int64_t begin, int64_t end) {
        const auto values = layer_inputs<Precision>(call, kForward, false);
        const Buffer<float> staging(2 * (values[0].width + kLanes));
        for (int64_t block = begin; block < end; block += kForward) {
            const int count = static_cast<int>(std::min<int64_t>(kForward, end - block));
            read_inputs<kForward>(call, block, count, values[0], staging);
            for (int l = 0; l + 1 < layers; ++l)
                apply_hidden(values[l], factors[l], Begin<kForward>(call, l, block, count), values[l + 1]);
            float* target = out + block * outputs;
            const auto emit = [&](int first, int column, auto& sums) {
                constexpr int kHeight = sizeof(sums) / sizeof(sums[0]);
                GENEFACE_UNROLL
                for (int r = 0; r < kHeight; ++r)
                    if (first + r < count)
                        store_some(target + (first + r) * outputs + column, sums[r], outputs - column);
            };
            apply(values[layers - 1], factors[layers - 1], Begin<kForward>(call, layers - 1, block, count), emit);
        }
    });
}

// Sums of the first layer's gradient over neighbouring samples that share a row of the offsets.
struct Runs {
    std::vector<int64_t> rows;
    std::vector<float> sums;  // [rows][padded width]

    void add(const Call& call, int64_t begin, int count, const float* gradient, int width) {
        for (int s = 0; s < count; ++s) {
            const int64_t row = call.offset_row(begin + s);
            if (rows.empty() || rows.back() != row) {
                rows.push_back(row);
                sums.resize(sums.size() + width, 0.f);
            }
            float* target = sums.data() + sums.size() - width;
            for (int c = 0; c < width; c += kLanes)
                store(target + c, load(target + c) + load(gradient + s * width + c));
        }
    }
};

// Sums of a chunk of samples: gradients of the weights, [outputs][padded inputs] of each layer, and of the offsets.
struct ChunkSums {
    std::vector<Buffer<float>> weights;
    Runs runs;
};

template <class Precision>
struct Backward {
    const Call& call;
    const float* grad_out;
    float* const* grad_inputs;  // null where not needed
    bool need_inputs, need_weights, need_offsets;
    std::vector<RightWeights<Precision>> layer, transposed;

    Backward(const Call& the_call, const float* const* weights, const float* the_grad_out,
             float* const* the_grad_inputs, bool the_need_weights, bool the_need_offsets)
        : call(the_call), grad_out(the_grad_out), grad_inputs(the_grad_inputs), need_inputs(false),
          need_weights(the_need_weights), need_offsets(the_need_offsets),
          layer(layer_weights<Precision>(call, weights)) {
        for (int n = 0; n < call.net.inputs; ++n) need_inputs = need_inputs || grad_inputs[n];
        for (int l = 0; l < call.net.layers; ++l)
            transposed.emplace_back(weights[l], call.width(l), 1, call.width(l + 1), call.width(l));
    }

    void chunk(int64_t begin, int64_t end, ChunkSums& sums) const {
        const int layers = call.net.layers;
        const auto values = layer_inputs<Precision>(call, kBackward, true);
        std::vector<Rows<Precision>> gradients;  // of the sums of each layer
        gradients.reserve(layers);
        for (int l = 0; l < layers; ++l) gradients.emplace_back(kBackward, call.width(l + 1), true);
        const Buffer<float> staging(2 * (values[0].width + kLanes));
        const Buffer<float> first_gradient(need_offsets ? static_cast<size_t>(kBackward) * gradients[0].width : 0);
        const Buffer<float> input_gradient(need_inputs ? static_cast<size_t>(kBackward) * values[0].width : 0);
        if (need_weights)
            for (int l = 0; l < layers; ++l)
                sums.weights.emplace_back(static_cast<size_t>(call.width(l + 1)) * values[l].width);

        for (int64_t block = begin; block < end; block += kBackward) {
            const int count = static_cast<int>(std::min<int64_t>(kBackward, end - block)), outputs = call.width(layers);
            read_inputs<kBackward>(call, block, count, values[0], staging);
            for (int l = 0; l + 1 < layers; ++l)
                apply_hidden(values[l], layer[l], Begin<kBackward>(call, l, block, count), values[l + 1]);
            read_rows<kBackward>(grad_out + block * outputs, outputs, count, gradients[layers - 1]);
            for (int l = layers - 1; l >= 0; --l) {
                if (need_weights)
                    add_weight_gradient(gradients[l], call.width(l + 1), values[l], sums.weights[l].data());
                if (l > 0) through_hidden(l, values[l], gradients[l], gradients[l - 1], first_gradient.data());
            }
            if (need_offsets) {
                if (layers == 1)
                    widen(grad_out + block * outputs, outputs, count, gradients[0].width, first_gradient.data());
                sums.runs.add(call, block, count, first_gradient.data(), gradients[0].width);
            }
            if (need_inputs) write_input_gradient(block, count, gradients[0], input_gradient.data());
        }
    }

    // sum over samples of gradient(sample, output) * in(sample, input), added to total [outputs][padded inputs].
    static void add_weight_gradient(const Rows<Precision>& gradient, int outputs, const Rows<Precision>& in,
                                    float* total) {
        const LeftFactor<typename Precision::Unit> left{gradient.by_sample, 1, gradient.stride};
        const RightFactor<typename Precision::Unit> right{in.by_sample, in.stride};
        const auto begin = [&](int output, int column) { return load(total + output * in.width + column); };
        const auto emit = [&](int first, int column, auto& sums) {
            constexpr int kHeight = sizeof(sums) / sizeof(sums[0]);
            GENEFACE_UNROLL
            for (int r = 0; r < kHeight; ++r) store(total + (first + r) * in.width + column, sums[r]);
        };
        product<Precision>(left, right, kBackward / Precision::kFold, outputs, in.width, begin, emit);
    }

    // Gradient of the sums of layer l - 1 from that of layer l; value is what lies between them.
    void through_hidden(int l, const Rows<Precision>& value, const Rows<Precision>& gradient,
                        const Rows<Precision>& below, float* first_gradient) const {
        const bool keep = need_offsets && l == 1;
        const auto emit = [&](int first, int column, auto& sums) {
            constexpr int kHeight = sizeof(sums) / sizeof(sums[0]);
            GENEFACE_UNROLL
            for (int r = 0; r + 1 < kHeight; r += 2) {
                Float even, odd;
                value.get(first + r, column, even, odd);
                even = select(even > zero(), sums[r], zero());
                odd = select(odd > zero(), sums[r + 1], zero());
                below.put(first + r, column, even, odd);
                if (keep) {
                    store(first_gradient + (first + r) * below.width + column, even);
                    store(first_gradient + (first + r + 1) * below.width + column, odd);
                }
            }
        };
        const LeftFactor<typename Precision::Unit> left{gradient.by_feature, gradient.row, 1};
        product<Precision>(left, transposed[l].factor(), transposed[l].steps(), kBackward, transposed[l].columns(),
                           [](int, int) { return zero(); }, emit);
    }

    static void widen(const float* source, int width, int count, int wide, float* target) {
        for (int s = 0; s < count; ++s) std::copy_n(source + s * width, width, target + s * wide);
    }

    void write_input_gradient(int64_t block, int count, const Rows<Precision>& gradient, float* scratch) const {
        const RightWeights<Precision>& weights = transposed[0];
        const auto emit = [&](int first, int column, auto& sums) {
            constexpr int kHeight = sizeof(sums) / sizeof(sums[0]);
            GENEFACE_UNROLL
            for (int r = 0; r < kHeight; ++r) store(scratch + (first + r) * weights.columns() + column, sums[r]);
        };
        const LeftFactor<typename Precision::Unit> left{gradient.by_feature, gradient.row, 1};
        product<Precision>(left, weights.factor(), weights.steps(), kBackward, weights.columns(),
                           [](int, int) { return zero(); }, emit);
        int column = 0;
        for (int n = 0; n < call.net.inputs; ++n) {
            const int width = call.net.input_widths[n];
            if (float* target = grad_inputs[n])
                for (int s = 0; s < count; ++s) {
                    const float* source = scratch + s * weights.columns() + column;
                    float* to = target + (block + s) * width;
                    for (int c = 0; c < width; c += kLanes)
                        store_some(to + c, load_some(source + c, width - c), width - c);
                }
            column += width;
        }
    }
};

void sum_weights(const Call& call, const std::vector<ChunkSums>& chunks, float* const* grad_weights, int threads) {
    for (int l = 0; l < call.net.layers; ++l) {
        const int inputs = call.width(l), stride = padded(inputs);
        parallel_ranges(call.width(l + 1), 16, threads, [&](int64_t begin, int64_t end) {
            for (int64_t o = begin; o < end; ++o) {
                float* target = grad_weights[l] + o * inputs;
                std::fill_n(target, inputs, 0.f);
                for (const ChunkSums& chunk : chunks) {
                    const float* source = chunk.weights[l].data() + o * stride;
                    for (int c = 0; c < inputs; ++c) target[c] += source[c];
                }
            }
        });
    }
}

void sum_offsets(const Call& call, const std::vector<ChunkSums>& chunks, int64_t rows, float* grad_offsets,
                 int threads) {
    const int width = call.width(1), stride = padded(width);
    std::fill_n(grad_offsets, rows * width, 0.f);
    parallel_ranges(width, 16, threads, [&](int64_t begin, int64_t end) {
        for (const ChunkSums& chunk : chunks)
            for (size_t run = 0; run < chunk.runs.rows.size(); ++run) {
                float* target = grad_offsets + chunk.runs.rows[run] * width;
                const float* source = chunk.runs.sums.data() + run * stride;
                for (int64_t c = begin; c < end; ++c) target[c] += source[c];
            }
    });
}

template <class Precision>
void backward(const Call& call, const float* const* weights, int64_t rows, const float* grad_out,
              float* const* grad_inputs, float* const* grad_weights, float* grad_offsets, int threads) {
    const Backward<Precision> work(call, weights, grad_out, grad_inputs, grad_weights != nullptr,
                                   grad_offsets != nullptr);
    const int64_t size = chunk_size(call.samples);
    std::vector<ChunkSums> chunks((call.samples + size - 1) / size);
    parallel_ranges(call.samples, size, threads,
                    [&](int64_t begin, int64_t end) { work.chunk(begin, end, chunks[begin / size]); });
    if (grad_weights) sum_weights(call, chunks, grad_weights, threads);
    if (grad_offsets) sum_offsets(call, chunks, rows, grad_offsets, threads);
}

}  // namespace
}  // namespace geneface

int geneface_mlp_forward(const geneface_mlp* net, int64_t m, const float* const* inputs, const float* const* weights,
                         int64_t, const float* offsets, const int64_t* index, float* out, intptr_t context) {
    const geneface::Call call{*net, m, inputs, offsets, index};
    const int threads = static_cast<int>(context);
    if (net->bf16)
        geneface::forward<geneface::BFloat16>(call, weights, out, threads);
    else
        geneface::forward<geneface::Float32>(call, weights, out, threads);
    return 0;
}

int geneface_mlp_backward(const geneface_mlp* net, int64_t m, const float* const* inputs, const float* const* weights,
                          int64_t rows, const float* offsets, const int64_t* index, const float* grad_out,
                          float* const* grad_inputs, float* const* grad_weights, float* grad_offsets,
                          intptr_t context) {
    const geneface::Call call{*net, m, inputs, offsets, index};
    const int threads = static_cast<int>(context);
    const auto run = net->bf16 ? geneface::backward<geneface::BFloat16> : geneface::backward<geneface::Float32>;
    run(call, weights, rows, grad_out, grad_inputs, grad_weights, grad_offsets, threads);
    return 0;
}
