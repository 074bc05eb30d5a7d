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

// -- shapes ------------------------------------------------------------------------------------------------------------

// The numbers that describe the network: B, I, and for each layer its width and the number of its activation.
// Known to the compiler, loops over layers unroll and addresses are constants.
template <int... numbers> struct Fixed {
    DEVICE explicit Fixed(const int*) {}
    static DEVICE constexpr int number(int i) {
        const int all[] = {static_cast<int>(sizeof...(numbers)), numbers...};
        return all[i];
    }
};

// The same, read when the kernel runs: one kernel for all networks, of any depth.
struct Read {
    const int* all;  // how many numbers follow, and the numbers
    DEVICE explicit Read(const int* all) : all(all) {}
    DEVICE int number(int i) const { return all[i]; }
};

DEVICE constexpr int padded(int n) { return (n + 3) & ~3; }

template <class Numbers> struct Shape : Numbers {
    DEVICE explicit Shape(const int* all) : Numbers(all) {}
    DEVICE int layers() const { return (this->number(0) - 2) / 2; }
    DEVICE int batch() const { return padded(this->number(1)); }
    DEVICE int width(int l) const { return this->number(2 + (l ? 2 * l - 1 : 0)); }  // of the input of layer l
    DEVICE int activation(int l) const { return this->number(4 + 2 * l); }
    // Lengths of rows in shared memory: 4 more than needed, so that neighbours lie in different banks.
    DEVICE int samples() const { return batch() + 4; }
    DEVICE int units(int l) const { return padded(width(l + 1)) + 4; }
    DEVICE int bias(int l) const { return padded(width(l)) * units(l); }         // where it begins, behind W
    DEVICE int block(int l) const { return bias(l) + padded(width(l + 1)); }     // numbers of W and b
    DEVICE int outputs(int l) const { return padded(width(l)) * samples(); }     // numbers of the input of layer l
    DEVICE int weights() const {
        int sum = 0;
        UNROLL for (int l = 0; l < layers(); ++l) sum += width(l) * width(l + 1);
        return sum;
    }
    DEVICE int blocks() const {
        int sum = 0;
        UNROLL for (int l = 0; l < layers(); ++l) sum += block(l);
        return sum;
    }
    DEVICE int activations() const {
        int sum = 0;
        UNROLL for (int l = 0; l <= layers(); ++l) sum += outputs(l);
        return sum;
    }
    DEVICE int widest() const {  // numbers of the widest hidden layer
        int most = 0;
        UNROLL for (int l = 1; l < layers(); ++l) most = larger(most, outputs(l));
        return most;
    }
};

// -- four numbers at a time --------------------------------------------------------------------------------------------

template <typename T> struct alignas(16) Four { T at[4]; };
template <typename T> DEVICE Four<T> read4(const T* p) { return *reinterpret_cast<const Four<T>*>(p); }
template <typename T> DEVICE void write4(T* p, Four<T> v) { *reinterpret_cast<Four<T>*>(p) = v; }
#define EACH(i) UNROLL for (int i = 0; i < 4; ++i)

// s'(z), told by the output y = s(z): of all functions but GELU and SILU.
template <typename T> DEVICE T derivative_at(int kind, T y) {
    switch (kind) {
        case RELU: return y > 0 ? T(1) : T(0);
        case LEAKY_RELU: return y > 0 ? T(1) : T(LEAK);
        case ELU: return y < 0 ? y + T(1) : T(1);
        case SIGMOID: return y * (T(1) - y);
        case TANH: return T(1) - y * y;
        case SOFTPLUS: return -expm1(-y);
        default: return T(1);
    }
}

// -- products ----------------------------------------------------------------------------------------------------------

// y = s(x W + b) of layer l.
template <typename T, class S> DEVICE void forward(int thread, S shape, int l, const T* x, const T* w, T* y) {
    const int tiles = shape.batch() / 4, row = shape.samples(), units = shape.units(l), O = shape.width(l + 1);
    const T* bias = w + shape.bias(l);
    for (int tile = thread; tile < tiles * (padded(O) / 4); tile += threads()) {
        const int b = tile % tiles * 4, o = tile / tiles * 4;
        Four<T> sum[4];
        EACH(j) EACH(i) sum[j].at[i] = bias[o + j];
        UNROLL_BY_4 for (int k = 0; k < shape.width(l); ++k) {
            const Four<T> a = read4(x + k * row + b), v = read4(w + k * units + o);
            EACH(j) EACH(i) sum[j].at[i] += v.at[j] * a.at[i];
        }
        EACH(j) {
            EACH(i) sum[j].at[i] = o + j < O ? activate(shape.activation(l), sum[j].at[i]) : T(0);
            write4(y + (o + j) * row + b, sum[j]);
        }
    }
}

// A tile of dx = dz W^T, times the derivative of the activation that has made x.
template <typename T, class S>
DEVICE void input_tile(int tile, S shape, int l, const T* dz, const T* w, const T* x, T* dx) {
    const int tiles = shape.batch() / 4, row = shape.samples(), units = shape.units(l);
    const int b = tile % tiles * 4, k = tile / tiles * 4;
    Four<T> sum[4] = {};
    UNROLL_BY_2 for (int o = 0; o < padded(shape.width(l + 1)); o += 4) {
        Four<T> d[4];
        EACH(j) d[j] = read4(dz + (o + j) * row + b);
        EACH(q) {
            const Four<T> v = read4(w + (k + q) * units + o);
            EACH(j) EACH(i) sum[q].at[i] += v.at[j] * d[j].at[i];
        }
    }
    EACH(q) {
        const Four<T> y = read4(x + (k + q) * row + b);
        EACH(i) sum[q].at[i] *= derivative_at(shape.activation(l - 1), y.at[i]);
        write4(dx + (k + q) * row + b, sum[q]);
    }
}

// A tile of dW = x^T dz with the penalty's gradient; returns the sum of its squares.
template <typename T, class S>
DEVICE T weight_tile(int tile, S shape, int l, const T* x, const T* dz, const T* w, T* dw, T twice_l2, T l1) {
    const int tiles = padded(shape.width(l + 1)) / 4, row = shape.samples(), units = shape.units(l);
    const int o = tile % tiles * 4, k = tile / tiles * 4;
    Four<T> sum[4] = {};
    UNROLL_BY_2 for (int b = 0; b < shape.batch(); b += 4) {
        Four<T> a[4], d[4];
        EACH(q) a[q] = read4(x + (k + q) * row + b);
        EACH(j) d[j] = read4(dz + (o + j) * row + b);
        EACH(q) EACH(j) EACH(i) sum[q].at[j] += a[q].at[i] * d[j].at[i];
    }
    T squares = 0;
    EACH(q) {
        const Four<T> v = read4(w + (k + q) * units + o);
        EACH(j) {
            sum[q].at[j] += twice_l2 * v.at[j] + l1 * T((v.at[j] > 0) - (v.at[j] < 0));
            squares += sum[q].at[j] * sum[q].at[j];
        }
        write4(dw + (k + q) * units + o, sum[q]);
    }
    return squares;
}

// All that layer l does backward: dx (not of the first layer), dW and db; returns the sum of this thread's squares.
template <typename T, class S>
DEVICE T backward(int thread, S shape, int l, const T* x, const T* dz, const T* w, T* dw, T* dx, T twice_l2, T l1) {
    const int inputs = padded(shape.width(l)) / 4, outputs = padded(shape.width(l + 1)) / 4;
    const int first = l ? shape.batch() / 4 * inputs : 0, second = first + inputs * outputs;
    T squares = 0;
    for (int task = thread; task < second + shape.width(l + 1); task += threads()) {
        if (task < first) {
            input_tile(task, shape, l, dz, w, x, dx);
        } else if (task < second) {
            squares += weight_tile(task - first, shape, l, x, dz, w, dw, twice_l2, l1);
        } else {
            const T* d = dz + (task - second) * shape.samples();
            Four<T> sum = {};
            for (int b = 0; b < shape.batch(); b += 4) {
                const Four<T> four = read4(d + b);
                EACH(i) sum.at[i] += four.at[i];
            }
            const T db = (sum.at[0] + sum.at[1]) + (sum.at[2] + sum.at[3]);
            dw[shape.bias(l) + task - second] = db;
            squares += db * db;
        }
    }
    return squares;
}

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
