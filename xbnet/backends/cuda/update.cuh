// One step of an optimizer: the penalties' gradient, clipping, and the paper's rule, in one pass over theta (R, P).
//
// What a rule needs of hyper-parameters at this step lies in `columns` (K, R), in the order of its `coefficients`, the
// next one `column_stride` behind.
#include "rules.cuh"

// The gradient of the cost at entry i of replica r; only weights, which come first, are penalized.
template <typename T>
DEVICE T cost_gradient(const T* theta, const T* grad, const T* twice_l2, const T* l1, int r, int i, int weights) {
    T g = grad[i];
    if (i >= weights) return g;
    const T w = theta[i];
    if (twice_l2) g += w * twice_l2[r];
    if (l1) g += (w > 0 ? l1[r] : w < 0 ? -l1[r] : T(0));
    return g;
}

// parts (R, n): sums of squares of that gradient; block j of a replica adds up every n-th stretch.
template <typename T>
KERNEL(256)
void square_sums(const T* theta, const T* grad, const T* twice_l2, const T* l1, int parameters, int weights, int n,
                 T* parts) {
    const int r = block_x() / n, part = block_x() % n;
    const long long row = static_cast<long long>(r) * parameters;
    T* sums = shared_memory<T>();
    phase([&](int thread) {
        T sum = 0;
        for (int i = part * threads() + thread; i < parameters; i += n * threads()) {
            const T g = cost_gradient(theta + row, grad + row, twice_l2, l1, r, i, weights);
            sum += g * g;
        }
        sums[thread] = sum;
    });
    for (int half = threads() / 2; half > 0; half /= 2)
        phase([&](int thread) {
            if (thread < half) sums[thread] += sums[thread + half];
        });
    phase([&](int thread) {
        if (thread == 0) parts[block_x()] = sums[0];
    });
}

// `tiles` blocks per replica. clip (R): the largest norm of the gradient, which `parts` (R, n) add up to; null: none.
template <typename T, typename Rule>
KERNEL(256)
void update(T* theta, const T* grad, T* first, T* second, const T* columns, long long column_stride,
            const T* twice_l2, const T* l1, const T* clip, const T* parts, int n, int parameters, int weights, int tiles) {
    const int r = block_x() / tiles, tile = block_x() % tiles;
    const long long row = static_cast<long long>(r) * parameters;
    T* scale = shared_memory<T>();
    phase([&](int thread) {
        if (thread > 0) return;
        T sum = 0;
        for (int j = 0; j < n && clip; ++j) sum += parts[r * n + j];
        const T norm = sqrt(sum);
        scale[0] = !clip || norm <= clip[r] ? T(1) : clip[r] / norm;
    });
    phase([&](int thread) {
        for (int i = tile * threads() + thread; i < parameters; i += tiles * threads()) {
            const T g = scale[0] * cost_gradient(theta + row, grad + row, twice_l2, l1, r, i, weights);
            T w = theta[row + i], a = 0, b = 0;
            if (Rule::states > 0) a = first[row + i];
            if (Rule::states > 1) b = second[row + i];
            Rule::apply(w, a, b, g, i < weights, [&](int k) { return columns[k * column_stride + r]; });
            theta[row + i] = w;
            if (Rule::states > 0) first[row + i] = a;
            if (Rule::states > 1) second[row + i] = b;
        }
    });
}
