// An epoch of training in one launch: a block per replica, whose weights stay in shared memory from step to step.
//
// For stacks of linear layers with softmax cross-entropy. It computes what `Trainer.steps` does with `Network`,
// `SoftmaxCrossEntropy`, `BoundPenalty` and an optimizer, which are its reference. Blocks never meet, so there is no
// barrier across the grid. A step has 2 L + 2 phases for L layers.
//
// In shared memory batches lie transposed, a row of the array for each unit: (unit, sample). Widths and batches are
// padded to multiples of 4, so that all products work on tiles of 4 x 4; padding holds zeros, and stays zero.
#include "functions.cuh"
#include "rules.cuh"
#include "shapes.cuh"
#include "products.cuh"

// -- the loss of one sample --------------------------------------------------------------------------------------------

// Overwrites the logits y by the gradient of `share` times the value; returns the value and whether it was a hit.
template <typename T> struct Judged { T value, hit; };

template <typename T>
DEVICE Judged<T> judge(T* y, int row, int C, int activation, int label, T keep, T floor, T share) {
    T most = y[0], total = 0, all = 0;
    int best = 0;
    for (int c = 1; c < C; ++c) {
        if (y[c * row] > most || (y[c * row] != y[c * row] && most == most)) {  // the first NaN counts as the largest
            most = y[c * row];
            best = c;
        }
    }
    for (int c = 0; c < C; ++c) {
        all += y[c * row] - most;
        total += exp(y[c * row] - most);
    }
    const T value = log(total) - (keep * (y[label * row] - most) + floor * all);
    for (int c = 0; c < C; ++c) {
        const T z = y[c * row], p = exp(z - most) / total, t = (c == label ? keep : T(0)) + floor;
        y[c * row] = (p - t) * share * derivative_at(activation, z);
    }
    return {value, T(best == label)};
}

// -- the epoch ---------------------------------------------------------------------------------------------------------

// Copy parameters between shared memory and a replica's row, in which all W come first, then all b.
template <typename T, class S> DEVICE void copy(int thread, S shape, T* shared, T* row, bool in) {
    T* bias = row + shape.weights();
    UNROLL for (int l = 0; l < shape.layers(); ++l) {
        const int O = shape.width(l + 1), n = shape.width(l) * O;
        for (int e = thread; e < n + O; e += threads()) {
            T& here = shared[e < n ? e / O * shape.units(l) + e % O : shape.bias(l) + e - n];
            T& there = e < n ? row[e] : bias[e - n];
            if (in) here = there;
            else there = here;
        }
        row += n;
        bias += O;
        shared += shape.block(l);
    }
}

template <typename T, typename Int, class Rule, class Numbers>
KERNEL(256) void train(
    T* theta, T* slot0, T* slot1,                // (R, P); null where the rule has no such slot
    const T* x, const Int* y, const T* w,        // (N, I), (N,) labels, (N,) weights or null
    const T* class_weight,                       // (C,) or null
    const Int* order, const Int* which, int n,   // (U, n) rows of x; (R,) which of the orders, null: the first
    const T* table, long long table_stride,      // (K, S, R): the columns of the rule for each of S steps
    const T* twice_l2, const T* l1,              // (R,) or null
    const T* clip,                               // (R,) largest norms of the gradient, or null
    const T* keep, const T* floor,               // (R,): the target is keep * onehot + floor
    T* sums, T* norm,                            // (S, R, 3): of weight * value, weight * hit, weight; (R,)
    const int* numbers                           // see `Read`; null for `Fixed`
) {
    const Shape<Numbers> shape(numbers);
    const int L = shape.layers(), B = shape.number(1), I = shape.width(0), C = shape.width(L), row = shape.samples();
    const int R = blocks_x(), r = block_x(), steps = (n + B - 1) / B, P = shape.blocks();
    const long long parameters = [&] {
        long long sum = shape.weights();
        UNROLL for (int l = 0; l < L; ++l) sum += shape.width(l + 1);
        return sum;
    }();
    const Int* rows = order + (which ? static_cast<long long>(which[r]) : 0) * n;
    const T decay = twice_l2 ? twice_l2[r] : T(0), shrink = l1 ? l1[r] : T(0), limit = clip ? clip[r] : T(0);
    const T share_of_label = keep[r], share_of_all = floor[r];
    const bool weighted = w || class_weight;

    T* const weights = shared_memory<T>();
    T* const gradient = weights + P;
    T* const state0 = gradient + P;
    T* const state1 = state0 + (Rule::states > 0 ? P : 0);
    T* const inputs = state1 + (Rule::states > 1 ? P : 0);
    T* const between = inputs + shape.activations();  // two gradients between hidden layers, in turn
    T* const value = between + 2 * shape.widest();
    T* const hit = value + shape.batch();
    T* const weight = hit + shape.batch();
    T* const squares = weight + shape.batch();  // of the gradient, a sum per thread
    T* const column = squares + threads();
    int* const label = reinterpret_cast<int*>(column + 8);

    const auto gather = [&](int thread, int s) {
        const Int* batch = rows + static_cast<long long>(s) * B;
        const int size = smaller(B, n - s * B);
        for (int e = thread; e < shape.batch() * I; e += threads()) {
            const int b = e / I, k = e % I;
            inputs[k * row + b] = b < size ? x[static_cast<long long>(batch[b]) * I + k] : T(0);
        }
        for (int b = thread; b < shape.batch(); b += threads()) {
            label[b] = b < size ? static_cast<int>(y[batch[b]]) : -1;
            weight[b] = b < size ? (w ? w[batch[b]] : T(1)) * (class_weight ? class_weight[label[b]] : T(1)) : T(0);
        }
    };

    phase([&](int thread) {
        for (T* p = weights + thread; p < value; p += threads()) *p = 0;
    });
    phase([&](int thread) {
        copy(thread, shape, weights, theta + r * parameters, true);
        if (Rule::states > 0) copy(thread, shape, state0, slot0 + r * parameters, true);
        if (Rule::states > 1) copy(thread, shape, state1, slot1 + r * parameters, true);
        gather(thread, 0);
    });
    for (int s = 0; s < steps; ++s) {
        T *a = inputs, *v = weights;
        UNROLL for (int l = 0; l < L; ++l) {
            phase([&](int thread) { forward(thread, shape, l, a, v, a + shape.outputs(l)); });
            a += shape.outputs(l);
            v += shape.block(l);
        }
        phase([&](int thread) {
            const int size = smaller(B, n - s * B);
            T total = size;
            if (weighted) {
                total = 0;
                for (int b = 0; b < size; ++b) total += weight[b];
            }
            for (int b = thread; b < shape.batch(); b += threads()) {
                value[b] = hit[b] = 0;
                if (b < size) {
                    const T share = total > 0 ? weight[b] / total : T(0);  // all weights may be 0
                    const Judged<T> judged =
                        judge(a + b, row, C, shape.activation(L - 1), label[b], share_of_label, share_of_all, share);
                    value[b] = weight[b] * judged.value;
                    hit[b] = weight[b] * judged.hit;
                } else {
                    for (int c = 0; c < C; ++c) a[c * row + b] = 0;
                }
            }
            squares[thread] = 0;
            if (thread < Rule::columns) column[thread] = table[thread * table_stride + static_cast<long long>(s) * R + r];
        });
        const T* dz = a;
        UNROLL for (int l = L - 1; l >= 0; --l) {
            a -= shape.outputs(l);
            v -= shape.block(l);
            T* const dx = between + (l & 1 ? 0 : shape.widest());
            phase([&](int thread) {
                squares[thread] += backward(thread, shape, l, a, dz, v, gradient + (v - weights), dx, decay, shrink);
                const int q = threads() - 1 - thread;
                if (l == L - 1 && q < 3) {
                    T sum = 0;
                    for (int b = 0; b < shape.batch(); ++b) sum += value[q * shape.batch() + b];
                    sums[(static_cast<long long>(s) * R + r) * 3 + q] = sum;
                }
            });
            dz = dx;
        }
        phase([&](int thread) {
            T scale = 1;
            if (clip || s == steps - 1) {
                T sum = 0;
                for (int t = 0; t < threads(); ++t) sum += squares[t];
                sum = sqrt(sum);
                if (thread == 0) norm[r] = sum;
                if (clip) scale = limit / larger(sum, limit);
            }
            int start = 0;  // of a layer's block
            UNROLL for (int l = 0; l < L; ++l) {
                const int inputs = shape.width(l), O = shape.width(l + 1);
                for (int e = thread; e < (inputs + 1) * O; e += threads()) {
                    const int i = e / O, p = start + (i < inputs ? i * shape.units(l) : shape.bias(l)) + e % O;
                    T none = 0;
                    T& first = Rule::states > 0 ? state0[p] : none;
                    T& second = Rule::states > 1 ? state1[p] : none;
                    Rule::apply(weights[p], first, second, scale * gradient[p], i < inputs,
                                [&](int k) { return column[k]; });
                }
                start += shape.block(l);
            }
            if (s + 1 < steps) gather(thread, s + 1);
        });
    }
    phase([&](int thread) {
        copy(thread, shape, weights, theta + r * parameters, false);
        if (Rule::states > 0) copy(thread, shape, state0, slot0 + r * parameters, false);
        if (Rule::states > 1) copy(thread, shape, state1, slot1 + r * parameters, false);
    });
}
