// Triangle set-up and perspective-correct interpolation, in double so that every compiler draws the
// same pixels. Compile without contraction, as rays.h.
#pragma once
#include "host_device.h"

namespace geneface {

struct Triangle {
    double x[3], y[3], z[3];
    double area;                   // twice the signed image area
    int left, right, top, bottom;  // pixels whose centres lie in the bounding box, inclusive
};

GENEFACE_HD double cross2(double ax, double ay, double bx, double by, double cx, double cy) {
    return (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
}

// False where the triangle is not drawn.
GENEFACE_HD bool set_up(const float* vertices, int64_t vertex_count, const int32_t* corners, int height, int width,
                        Triangle& out) {
    for (int i = 0; i < 3; ++i) {
        if (corners[i] < 0 || corners[i] >= vertex_count) return false;
        const float* vertex = vertices + 3 * static_cast<int64_t>(corners[i]);
        out.x[i] = vertex[0], out.y[i] = vertex[1], out.z[i] = vertex[2];
        if (!(out.z[i] > 0.) || !std::isfinite(out.x[i]) || !std::isfinite(out.y[i]) || !std::isfinite(out.z[i]))
            return false;
    }
    out.area = cross2(out.x[0], out.y[0], out.x[1], out.y[1], out.x[2], out.y[2]);
    if (out.area == 0.) return false;
    const double left = ceil(fmin(out.x[0], fmin(out.x[1], out.x[2])) - 0.5);
    const double right = floor(fmax(out.x[0], fmax(out.x[1], out.x[2])) - 0.5);
    const double top = ceil(fmin(out.y[0], fmin(out.y[1], out.y[2])) - 0.5);
    const double bottom = floor(fmax(out.y[0], fmax(out.y[1], out.y[2])) - 0.5);
    if (left > width - 1 || right < 0 || top > height - 1 || bottom < 0) return false;
    out.left = left > 0 ? static_cast<int>(left) : 0;
    out.right = right < width - 1 ? static_cast<int>(right) : width - 1;
    out.top = top > 0 ? static_cast<int>(top) : 0;
    out.bottom = bottom < height - 1 ? static_cast<int>(bottom) : height - 1;
    return out.left <= out.right && out.top <= out.bottom;
}

// Perspective-correct weights and depth at a pixel's centre; false outside the triangle.
GENEFACE_HD bool interpolate(const Triangle& s, int column, int row, double (&weights)[3], double& depth) {
    const double px = column + 0.5, py = row + 0.5;
    const double a = cross2(s.x[1], s.y[1], s.x[2], s.y[2], px, py) / s.area;
    const double b = cross2(s.x[2], s.y[2], s.x[0], s.y[0], px, py) / s.area;
    const double c = cross2(s.x[0], s.y[0], s.x[1], s.y[1], px, py) / s.area;
    if (!(a >= 0. && b >= 0. && c >= 0.)) return false;
    const double ia = a / s.z[0], ib = b / s.z[1], ic = c / s.z[2];
    depth = 1. / (ia + ib + ic);
    weights[0] = ia * depth, weights[1] = ib * depth, weights[2] = ic * depth;
    return true;
}

}  // namespace geneface
