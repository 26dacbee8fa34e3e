// The head field at one sample, and rays through it: what `render_rays` does, sample by sample.
//
// Compile without contraction, as rays.h; `multiply_add` says where one rounding is welcome.
#pragma once
#include <cstring>

#include "geneface_ops.h"
#include "grid.h"
#include "rays.h"
#include "spherical_harmonics.h"

namespace geneface {

constexpr int kMaxWidth = 256;        // inputs or outputs of a layer
constexpr int kDirectionValues = 16;  // spherical harmonics of degree 4
constexpr float kMidpoint = 0.5f;     // place of a sample in its step

// A field with its levels laid out, to be passed to kernels by value. Pointers as in geneface_field.
struct Field {
    GridLevel position_levels[kMaxLevels], motion_levels[kMaxLevels];
    int position_count, motion_count;  // levels; each has two features
    const void *position_table, *motion_table;
    const float *motion_weights, *density_weights, *colour_weights;
    const float *motion_bias, *colour_bias, *condition, *aabb;
    const uint8_t* occupancy;
    int grid_size, hidden, layers, condition_size, geometry;
    float reach, density_scale, density_limit;
};

// False where the field is none that the kernels know.
inline bool make_field(const geneface_field& given, Field& out) {
    const geneface_grid &position = *given.position_grid, &motion = *given.motion_grid;
    if (position.dims != 3 || motion.dims != 3 || position.features != 2 || motion.features != 2) return false;
    if (position.levels > kMaxLevels || motion.levels > kMaxLevels || given.layers < 1) return false;
    const int described = 2 * position.levels + given.condition_size, moved = 3 + given.condition_size;
    if (given.hidden > kMaxWidth || described > kMaxWidth || moved > kMaxWidth) return false;
    if (given.geometry + kDirectionValues > kMaxWidth) return false;
    for (int l = 0; l < position.levels; ++l) out.position_levels[l] = make_level(position, l);
    for (int l = 0; l < motion.levels; ++l) out.motion_levels[l] = make_level(motion, l);
    out.position_count = position.levels, out.motion_count = motion.levels;
    out.position_table = given.position_table, out.motion_table = given.motion_table;
    out.motion_weights = given.motion_weights, out.density_weights = given.density_weights;
    out.colour_weights = given.colour_weights;
    out.motion_bias = given.motion_bias, out.colour_bias = given.colour_bias;
    out.condition = given.condition, out.aabb = given.aabb;
    out.occupancy = given.occupancy, out.grid_size = given.grid_size;
    out.hidden = given.hidden, out.layers = given.layers;
    out.condition_size = given.condition_size, out.geometry = given.geometry;
    out.reach = given.reach, out.density_scale = given.density_scale, out.density_limit = given.density_limit;
    return true;
}

// Number `i` of a table of float, or of bfloat16 (the upper half of a float).
GENEFACE_HD float table_value(const float* table, int64_t i) { return table[i]; }
GENEFACE_HD float table_value(const uint16_t* table, int64_t i) {
    const uint32_t bits = static_cast<uint32_t>(table[i]) << 16;
    float out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

// The two features of a row. CUDA reads them at once: there tables are aligned to rows.
template <class Entry>
GENEFACE_HD void table_row(const Entry* table, int64_t row, float& first, float& second) {
#if defined(__CUDA_ARCH__)
    if (sizeof(Entry) == 2) {
        const uint32_t pair = __ldg(reinterpret_cast<const uint32_t*>(table) + row);
        first = __uint_as_float(pair << 16), second = __uint_as_float(pair & 0xffff0000u);
    } else {
        const float2 pair = __ldg(reinterpret_cast<const float2*>(table) + row);
        first = pair.x, second = pair.y;
    }
#else
    first = table_value(table, 2 * row), second = table_value(table, 2 * row + 1);
#endif
}

// The two features of one position at one level.
template <int D, class Entry>
GENEFACE_HD void encode_level(const GridLevel& level, const Entry* table, const float* x, float& first,
                              float& second) {
    uint32_t cell[D];
    float fraction[D];
    for (int d = 0; d < D; ++d) grid_cell(x[d], level.resolution, cell[d], fraction[d]);
    first = second = 0.f;
    for (int corner = 0; corner < 1 << D; ++corner) {
        const uint32_t row = level.hashed ? grid_row<D, true>(cell, corner, level.stride, level.mask)
                                          : grid_row<D, false>(cell, corner, level.stride, level.mask);
        const float weight = grid_weight<D>(fraction, corner);
        float a, b;
        table_row(table, level.offset + static_cast<int64_t>(row), a, b);
        first = multiply_add(weight, a, first);
        second = multiply_add(weight, b, second);
    }
}

// Features of one position at all levels, two each.
template <int D, class Entry>
GENEFACE_HD void encode_position(const GridLevel* levels, int count, const Entry* table, const float* x, float* out) {
    for (int l = 0; l < count; ++l) encode_level<D>(levels[l], table, x, out[2 * l], out[2 * l + 1]);
}

// y = bias + weight x, weight [outputs, stride] of which the first `inputs` columns; bias may be null.
GENEFACE_HD void dense_layer(const float* weight, int stride, int inputs, int outputs, const float* bias, bool relu,
                             const float* x, float* y) {
    constexpr int kTogether = 4;  // sums that do not wait for each other
    for (int first = 0; first < outputs; first += kTogether) {
        const float* rows[kTogether];
        float sums[kTogether];
        for (int j = 0; j < kTogether; ++j) {
            const int o = first + j < outputs ? first + j : outputs - 1;
            rows[j] = weight + static_cast<int64_t>(o) * stride;
            sums[j] = bias ? bias[o] : 0.f;
        }
        for (int k = 0; k < inputs; ++k)
            for (int j = 0; j < kTogether; ++j) sums[j] = multiply_add(rows[j][k], x[k], sums[j]);
        for (int j = 0; j < kTogether && first + j < outputs; ++j)
            y[first + j] = relu && !(sums[j] > 0.f) ? 0.f : sums[j];
    }
}

// Layers one after another, ReLU between them. `stride`: columns of the first, of which `inputs` meet x; the others
// are folded into `bias`. Each of x, y and z holds a layer's values; returns the one of y and z with the result.
GENEFACE_HD const float* run_network(const Field& field, const float* weight, int stride, int inputs, int outputs,
                                     const float* bias, const float* x, float* y, float* z) {
    const int hidden = field.hidden;
    dense_layer(weight, stride, inputs, hidden, bias, true, x, y);
    weight += static_cast<int64_t>(hidden) * stride;
    for (int layer = 1; layer < field.layers; ++layer, weight += hidden * hidden) {
        dense_layer(weight, hidden, hidden, hidden, nullptr, true, y, z);
        float* other = y;
        y = z, z = other;
    }
    dense_layer(weight, hidden, hidden, outputs, nullptr, false, y, z);
    return z;
}

// What a ray's direction and the frame's appearance add to the colour network's first layer: out [hidden].
GENEFACE_HD void direction_bias(const Field& field, const float* d, float* out) {
    float values[kDirectionValues];
    spherical_harmonics(d[0], d[1], d[2], 4, values);
    const int stride = field.geometry + kDirectionValues;
    dense_layer(field.colour_weights + field.geometry, stride, kDirectionValues, field.hidden, field.colour_bias, false,
                values, out);
}

GENEFACE_HD float density(const Field& field, float x) {
    return field.density_scale * expf(x < field.density_limit ? x : field.density_limit);
}

GENEFACE_HD float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

// Place in the unit cube of the field's box, along one axis, of a position of head space [m].
GENEFACE_HD float unit_position(const Field& field, int axis, float position) {
    return (position - field.aabb[axis]) / (field.aabb[axis + 3] - field.aabb[axis]);
}

// Length in the unit cube that a point can move along an axis.
GENEFACE_HD float unit_reach(const Field& field, int axis) {
    return field.reach / (field.aabb[axis + 3] - field.aabb[axis]);
}

// Density [1/m] and colour at a position of head space. ray_bias [hidden]: `direction_bias` of the ray.
template <class Entry>
GENEFACE_HD void evaluate_field(const Field& field, const float* position, const float* ray_bias, float& sigma,
                                float* rgb) {
    float x[kMaxWidth], y[kMaxWidth], z[kMaxWidth], unit[3];
    const int encoded = 2 * field.position_count, inputs = encoded + field.condition_size;
    const int placed = 2 * field.motion_count;
    for (int i = 0; i < 3; ++i) unit[i] = unit_position(field, i, position[i]);
    encode_position<3>(field.motion_levels, field.motion_count, static_cast<const Entry*>(field.motion_table), unit,
                       x);
    const float* out = run_network(field, field.motion_weights, placed, placed, 3 + field.condition_size,
                                   field.motion_bias, x, y, z);
    for (int i = 0; i < 3; ++i) unit[i] = multiply_add(tanhf(out[i]), unit_reach(field, i), unit[i]);
    for (int i = 0; i < field.condition_size; ++i) x[encoded + i] = tanhf(out[3 + i]) * field.condition[i];
    encode_position<3>(field.position_levels, field.position_count, static_cast<const Entry*>(field.position_table),
                       unit, x);
    out = run_network(field, field.density_weights, inputs, inputs, 1 + field.geometry, nullptr, x, y, z);
    sigma = density(field, out[0]);
    for (int i = 0; i < field.geometry; ++i) x[i] = out[1 + i];
    out = run_network(field, field.colour_weights, field.geometry + kDirectionValues, field.geometry, 3, ray_bias, x, y,
                      z);
    for (int c = 0; c < 3; ++c) rgb[c] = sigmoid(out[c]);
}

// Light gathered along a ray so far.
struct Gathered {
    float rgb[3], alpha, depth;
    float optical;  // optical depth passed: as a sum it loses nothing where a transmittance in float would
};

GENEFACE_HD void gather(Gathered& ray, float sigma, const float* rgb, float t, float dt) {
    const float optical = sigma * dt;
    const float weight = expf(-ray.optical) * -expm1f(-optical);
    for (int c = 0; c < 3; ++c) ray.rgb[c] += weight * rgb[c];
    ray.alpha += weight;
    ray.depth += weight * t;
    ray.optical += optical;
}

// One ray from box to result; returns the number of samples evaluated.
template <class Entry>
GENEFACE_HD int render_ray(const Field& field, const OccupancyGrid& grid, const float* o, const float* d,
                           float min_near, float step, int max_samples, float early_stop, Gathered& out) {
    out = Gathered{{0.f, 0.f, 0.f}, 0.f, 0.f, 0.f};
    float near, far, t, bias[kMaxWidth];
    near_far_from_aabb(o, d, field.aabb, min_near, near, far);
    RayMarch march = start_march(o, d, near, far, kMidpoint, step, grid);
    int count = 0;
    for (; count < max_samples && expf(-out.optical) >= early_stop && next_sample(march, grid, t); ++count) {
        if (count == 0) direction_bias(field, d, bias);
        float position[3], sigma, rgb[3];
        for (int i = 0; i < 3; ++i) position[i] = o[i] + t * d[i];
        evaluate_field<Entry>(field, position, bias, sigma, rgb);
        gather(out, sigma, rgb, t, step);
    }
    return count;
}

}  // namespace geneface
