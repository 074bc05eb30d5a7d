// Softmax cross-entropy of a whole batch: values, hits, their sums, and the gradient of the weighted mean.

// Adds up `values` (n arrays of a number per thread) within the block, to the first place of each. The order of the
// additions is fixed: twice the same numbers give twice the same bits.
template <typename T> DEVICE void add_up(T* values, int n) {
    for (int half = threads() / 2; half > 0; half /= 2)
        phase([&](int thread) {
            for (int k = 0; k < n && thread < half; ++k) values[k * threads() + thread] += values[k * threads() + thread + half];
        });
}

// A block per replica, whose threads share the rows; their number is a power of 2. What is not asked for is null.
//
// labels (R or 1, B), sample_weight (R or 1, B), class_weight (C)
// keep, rest (R): the targets are keep * onehot + rest (label smoothing)
// dlogits (R, B, C); report (R, 3, B): values and hits (and ones); sums (R, 3) of w * value, w * hit, w
// tiny: a batch whose weights are all 0 has the gradient 0, not 0 / 0
template <typename T>
KERNEL(512)
void softmax_cross_entropy(const T* logits, const long long* labels, int labels_shared, const T* sample_weight,
                           int weights_shared, const T* class_weight, const T* keep, const T* rest, T* dlogits,
                           T* report, T* sums, int batch, int classes, T tiny) {
    const int r = block_x();
    const long long start = static_cast<long long>(r) * batch;
    T *added = shared_memory<T>(), *total = added + 3 * threads();  // (3, threads) and the batch's weight
    const long long* label = labels + (labels_shared ? 0 : start);
    auto weight = [&](int b) {
        T w = sample_weight ? sample_weight[weights_shared ? b : start + b] : T(1);
        return class_weight ? w * class_weight[label[b]] : w;
    };
    const bool weighted = sample_weight || class_weight;
    if (weighted) {
        phase([&](int thread) {
            T sum = 0;
            for (int b = thread; b < batch; b += threads()) sum += weight(b);
            added[2 * threads() + thread] = sum;
        });
        add_up(added + 2 * threads(), 1);
    }
    phase([&](int thread) {
        if (thread == 0) *total = weighted ? larger(added[2 * threads()], tiny) : T(batch);
    });
    phase([&](int thread) {
        for (int k = 0; k < 3; ++k) added[k * threads() + thread] = 0;
        for (int b = thread; b < batch; b += threads()) {
            const T* z = logits + (start + b) * classes;
            T* d = dlogits ? dlogits + (start + b) * classes : nullptr;
            int best = 0;
            for (int c = 0; c < classes; ++c)
                if (z[c] > z[best]) best = c;
            const T largest = z[best];
            T exponentials = 0, shifted = 0;
            for (int c = 0; c < classes; ++c) {
                const T e = exp(z[c] - largest);
                if (d) d[c] = e;
                exponentials += e;
                shifted += z[c] - largest;
            }
            const int target = static_cast<int>(label[b]);
            const T on = keep ? keep[r] : T(1), off = keep ? rest[r] : T(0), w = weight(b);
            T picked = on * (z[target] - largest);
            if (keep) picked += off * shifted;
            const T value = log(exponentials) - picked, hit = best == target ? T(1) : T(0);
            for (int c = 0; c < classes && d; ++c)
                d[c] = (d[c] / exponentials - (c == target ? on + off : off)) * (w / *total);
            report[3 * start + b] = value;
            report[3 * start + batch + b] = hit;
            added[thread] += w * value;
            added[threads() + thread] += w * hit;
            added[2 * threads() + thread] += w;
        }
    });
    add_up(added, 3);
    phase([&](int thread) {
        if (thread < 3) sums[3 * r + thread] = added[thread * threads()];
    });
}
