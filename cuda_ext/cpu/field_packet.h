// The head field at a packet of 32 samples. What it computes is written, sample by sample, in include/field.h.
#pragma once
#include <vector>

#include "../include/field.h"
#include "grid_block.h"
#include "layers.h"
#include "vector_math.h"

namespace geneface {

// Packed layers of one network, one after another.
template <class Precision>
struct PackedNetwork {
    int inputs, hidden, layers, outputs;
    std::vector<typename Precision::Unit> weights;

    // weight: as in geneface_field; the first layer's rows are `stride` wide. Output `first` comes first, then those
    // after it, then those before.
    PackedNetwork(const float* weight, int stride, int inputs, int hidden, int layers, int outputs, int first)
        : inputs(inputs), hidden(hidden), layers(layers), outputs(outputs) {
        add(weight, stride, inputs, hidden);
        weight += static_cast<size_t>(hidden) * stride;
        for (int layer = 1; layer < layers; ++layer, weight += static_cast<size_t>(hidden) * hidden)
            add(weight, hidden, hidden, hidden);
        std::vector<float> last(weight + static_cast<size_t>(first) * hidden,
                                weight + static_cast<size_t>(outputs) * hidden);
        last.insert(last.end(), weight, weight + static_cast<size_t>(first) * hidden);
        add(last.data(), hidden, hidden, outputs);
    }

    // x [units(inputs)][kPacket] -> out [outputs][kPacket] floats. `a` and `b`: room for a hidden layer each.
    template <class Bias>
    GENEFACE_INLINE void run(const typename Precision::Unit* x, Bias bias, typename Precision::Unit* a,
                             typename Precision::Unit* b, float* out) const {
        const typename Precision::Unit* layer = weights.data();
        hidden_layer<Precision>(layer, inputs, hidden, x, bias, a);
        layer += packed_size<Precision>(inputs, hidden);
        for (int i = 1; i < layers; ++i, layer += packed_size<Precision>(hidden, hidden)) {
            hidden_layer<Precision>(layer, hidden, hidden, a, NoBias(), b);
            typename Precision::Unit* other = a;
            a = b, b = other;
        }
        output_layer<Precision>(layer, hidden, outputs, a, NoBias(), out);
    }

private:
    void add(const float* weight, int stride, int columns, int rows) {
        const size_t end = weights.size();
        weights.resize(end + packed_size<Precision>(columns, rows));
        pack_layer<Precision>(weight, stride, 1, columns, rows, weights.data() + end);
    }
};

template <class Precision, class Entry>
class PacketField {
    using Unit = typename Precision::Unit;

public:
    // Values of one packet on their way through the networks; one a thread.
    struct Workspace {
        alignas(64) Unit x[kMaxWidth * kPacket];
        alignas(64) Unit a[kMaxWidth * kPacket];
        alignas(64) Unit b[kMaxWidth * kPacket];
        alignas(64) float out[kMaxWidth * kPacket];
    };

    explicit PacketField(const Field& field)
        : field(field),
          motion_net(field.motion_weights, 2 * field.motion_count, 2 * field.motion_count, field.hidden,
                     field.layers, 3 + field.condition_size, 0),
          density_net(field.density_weights, density_inputs(field), density_inputs(field), field.hidden, field.layers,
                      1 + field.geometry, 1),
          colour_net(field.colour_weights, field.geometry + kDirectionValues, field.geometry, field.hidden,
                     field.layers, 3, 0) {}

    // unit [3][kPacket] positions in the unit cube, ray_bias [hidden][kPacket] -> sigma [kPacket], rgb [3][kPacket].
    void evaluate(const float* unit, const float* ray_bias, Workspace& work, float* sigma, float* rgb) const {
        const int encoded = 2 * field.position_count;
        Unit* x = work.x;
        float* out = work.out;
        const auto put = [x](int l, int i, Float a, Float b) { store_pair<Precision>(x, 2 * l, i, a, b); };
        encode_packet_levels<3>(field.motion_levels, field.motion_count,
                                static_cast<const Entry*>(field.motion_table), unit, put);
        motion_net.run(x, OutputBias{field.motion_bias}, work.a, work.b, out);
        for (int d = 0; d < 3; ++d) {
            const Float reach = set1(unit_reach(field, d));
            for (int i = d * kPacket; i < (d + 1) * kPacket; i += kLanes)
                store(out + i, fma(tanh(load(out + i)), reach, load(unit + i)));
        }
        for (int c = 0; c < field.condition_size; c += 2) {
            const bool pair = c + 1 < field.condition_size;
            const Float even = set1(field.condition[c]), odd = set1(pair ? field.condition[c + 1] : 0.f);
            for (int i = 0; i < kPacket; i += kLanes) {
                const Float first = tanh(load(out + (3 + c) * kPacket + i)) * even;
                const Float second = pair ? tanh(load(out + (4 + c) * kPacket + i)) * odd : zero();
                store_pair<Precision>(x, encoded + c, i, first, second);
            }
        }
        encode_packet_levels<3>(field.position_levels, field.position_count,
                                static_cast<const Entry*>(field.position_table), out, put);
        density_net.run(x, NoBias(), work.a, work.b, out);
        const Float scale = set1(field.density_scale), limit = set1(field.density_limit);
        for (int i = 0; i < kPacket; i += kLanes)
            store(sigma + i, scale * exp(min(load(out + field.geometry * kPacket + i), limit)));
        for (int g = 0; g < field.geometry; g += 2)
            for (int i = 0; i < kPacket; i += kLanes)
                store_pair<Precision>(x, g, i, load(out + g * kPacket + i),
                                      g + 1 < field.geometry ? load(out + (g + 1) * kPacket + i) : zero());
        colour_net.run(x, LaneBias{ray_bias}, work.a, work.b, out);
        for (int i = 0; i < 3 * kPacket; i += kLanes) store(rgb + i, sigmoid(load(out + i)));
    }

    const Field field;

private:
    static int density_inputs(const Field& field) { return 2 * field.position_count + field.condition_size; }

    PackedNetwork<Precision> motion_net, density_net, colour_net;
};

}  // namespace geneface
