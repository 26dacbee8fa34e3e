// Rays rendered 32 at a time: each lane of a packet follows a ray, and takes the next one when it is done.
// So the field is evaluated at full packets, whatever the rays' numbers of samples.
#pragma once
#include <atomic>

#include "field_packet.h"
#include "ray_walk.h"

namespace geneface {

// What is asked for, and where results go; samples may be null.
struct RayTask {
    int64_t rays;
    const float *rays_o, *rays_d;
    float min_near, step;
    int max_samples;
    float early_stop;
    float *image, *alpha, *depth;
    int32_t* samples;
};

// Hands out rays to threads, a run of neighbours at a time.
struct RayQueue {
    static constexpr int64_t kRun = 64;
    const int64_t rays;
    std::atomic<int64_t> next{0};
};

template <class Precision, class Entry>
class RayPacket {
public:
    RayPacket(const PacketField<Precision, Entry>& packet_field, const MarchGrid& cells, const RayTask& task,
              RayQueue& queue)
        : packet_field(packet_field), cells(cells), task(task), queue(queue) {
        const Field& field = packet_field.field;
        const int stride = field.geometry + kDirectionValues;
        for (int k = 0; k < kDirectionValues; ++k)
            for (int h = 0; h < field.hidden; ++h)
                direction_weights[k * kMaxWidth + h] = field.colour_weights[h * stride + field.geometry + k];
    }

    // Until the queue is empty and all rays are done.
    void run() {
        for (int lane = 0; lane < kPacket; ++lane) ray[lane] = kIdle;
        for (;;) {
            int live = 0;
            for (int lane = 0; lane < kPacket; ++lane) live += advance(lane);
            if (live == 0) return;
            packet_field.evaluate(unit, bias, work, sigma, rgb);
            gather();
        }
    }

private:
    static constexpr int64_t kIdle = -1;

    // Put the lane's next sample in place, of another ray where its own is done; false where there is none.
    bool advance(int lane) {
        float t;
        if (ray[lane] != kIdle) {
            const bool more = count[lane] < task.max_samples && !opaque[lane] && next_sample(walk[lane], cells, t);
            if (!more) finish(lane);
        }
        if (ray[lane] == kIdle && !start(lane, t)) return false;
        place(lane, t);
        return true;
    }

    // Take rays from the queue until one has a sample; false where none is left.
    bool start(int lane, float& t) {
        for (;;) {
            if (run_begin == run_end) {
                run_begin = queue.next.fetch_add(RayQueue::kRun);
                if (run_begin >= queue.rays) {
                    run_begin = run_end = queue.rays;
                    return false;
                }
                run_end = run_begin + RayQueue::kRun < queue.rays ? run_begin + RayQueue::kRun : queue.rays;
            }
            const int64_t number = run_begin++;
            const float *o = task.rays_o + 3 * number, *d = task.rays_d + 3 * number;
            ray[lane] = number;
            count[lane] = 0;
            opaque[lane] = false;
            optical[lane] = alpha[lane] = depth[lane] = 0.f;
            for (int c = 0; c < 3; ++c) image[c * kPacket + lane] = 0.f;
            float near, far;
            near_far_from_aabb(o, d, packet_field.field.aabb, task.min_near, near, far);
            walk[lane] = {start_march(o, d, near, far, kMidpoint, task.step, cells), 0};
            if (1.f >= task.early_stop && next_sample(walk[lane], cells, t)) {
                fold_direction(lane, d);
                return true;
            }
            finish(lane);
        }
    }

    void fold_direction(int lane, const float* d) {
        const Field& field = packet_field.field;
        float values[kDirectionValues];
        alignas(64) float sums[kMaxWidth];
        spherical_harmonics(d[0], d[1], d[2], 4, values);
        for (int h = 0; h < field.hidden; h += kLanes) {
            Float sum = zero();
            for (int k = 0; k < kDirectionValues; ++k)
                sum = fma(set1(values[k]), load(direction_weights + k * kMaxWidth + h), sum);
            store(sums + h, sum);
        }
        for (int h = 0; h < field.hidden; ++h) bias[h * kPacket + lane] = field.colour_bias[h] + sums[h];
    }

    void place(int lane, float t) {
        const float *o = task.rays_o + 3 * ray[lane], *d = task.rays_d + 3 * ray[lane];
        for (int i = 0; i < 3; ++i)
            unit[i * kPacket + lane] = unit_position(packet_field.field, i, o[i] + t * d[i]);
        distance[lane] = t;
        ++count[lane];
    }

    // Composite the samples just evaluated. Lanes without a ray gather what nobody reads.
    void gather() {
        const Float step = set1(task.step), stop = set1(task.early_stop);
        for (int i = 0; i < kPacket; i += kLanes) {
            const Float passed = load(optical + i), here = load(sigma + i) * step;
            const Float weight = exp(zero() - passed) * opacity(here);
            for (int c = 0; c < 3; ++c) {
                float* sum = image + c * kPacket + i;
                store(sum, fma(weight, load(rgb + c * kPacket + i), load(sum)));
            }
            store(alpha + i, load(alpha + i) + weight);
            store(depth + i, fma(weight, load(distance + i), load(depth + i)));
            store(optical + i, passed + here);
            const unsigned done = bits(exp(zero() - passed - here) < stop);
            for (int lane = 0; lane < kLanes; ++lane) opaque[i + lane] = done >> lane & 1;
        }
    }

    void finish(int lane) {
        const int64_t number = ray[lane];
        for (int c = 0; c < 3; ++c) task.image[3 * number + c] = image[c * kPacket + lane];
        task.alpha[number] = alpha[lane];
        task.depth[number] = depth[lane];
        if (task.samples) task.samples[number] = count[lane];
        ray[lane] = kIdle;
    }

    const PacketField<Precision, Entry>& packet_field;
    const MarchGrid& cells;
    const RayTask& task;
    RayQueue& queue;
    int64_t run_begin = 0, run_end = 0;  // rays taken from the queue and not begun

    int64_t ray[kPacket];
    RayWalk walk[kPacket];
    int count[kPacket];
    bool opaque[kPacket];
    alignas(64) float unit[3 * kPacket] = {};
    alignas(64) float distance[kPacket] = {};
    alignas(64) float optical[kPacket] = {};
    alignas(64) float image[3 * kPacket] = {};
    alignas(64) float alpha[kPacket] = {};
    alignas(64) float depth[kPacket] = {};
    alignas(64) float sigma[kPacket];
    alignas(64) float rgb[3 * kPacket];
    alignas(64) float bias[kMaxWidth * kPacket] = {};
    alignas(64) float direction_weights[kDirectionValues * kMaxWidth];
    typename PacketField<Precision, Entry>::Workspace work;
};

}  // namespace geneface
