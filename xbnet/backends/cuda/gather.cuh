// Numbers that are looked up. `Index` counts elements.
//
// A minibatch out of the data on the device: one kernel copies the rows of x, of labels or targets, and of weights.
//
// `index` (U, B) holds row numbers; `which` (R) says which of the U orders a replica follows, null: there is but one
// order, and one copy (R = 1) for all replicas. What the data have not is null.
template <typename T>
KERNEL(256)
void gather(const T* x, const long long* labels, const T* targets, const T* weights, const long long* index,
            const long long* which, int replicas, int batch, int inputs, int outputs, T* x_out, long long* labels_out,
            T* targets_out, T* weights_out) {
    phase([&](int thread) {
        const int count = replicas * batch * inputs, stride = blocks_x() * threads();
        for (int e = block_x() * threads() + thread; e < count; e += stride) {
            const int row = e / inputs, i = e % inputs, r = row / batch, b = row % batch;
            const long long source = index[(which ? which[r] : r) * batch + b];
            x_out[e] = x[source * inputs + i];
            if (i > 0) continue;
            if (labels) labels_out[row] = labels[source];
            if (targets)
                for (int c = 0; c < outputs; ++c) targets_out[row * outputs + c] = targets[source * outputs + c];
            if (weights) weights_out[row] = weights[source];
        }
    });
}

// Rows of a table by codes: of each row b of the batch, row code[b] of W (K, D), the code to the nearest whole number,
// or zeros where it is none of 0 to K - 1. W, codes and out are parts of larger arrays: `W_next` and so on are the numbers
// from one replica to the next (0: they share it), `codes_row` and `out_row` those from one row of the batch to the next.
template <typename T, typename Index>
KERNEL(256)
void lookup(const T* W, long long W_next, const T* codes, long long codes_next, int codes_row, int replicas, int batch,
            int categories, int width, T* out, long long out_next, int out_row) {
    phase([&](int thread) {
        const Index count = Index(replicas) * batch * width, stride = blocks_x() * threads();
        for (Index e = block_x() * threads() + thread; e < count; e += stride) {
            const Index row = e / width, d = e % width, r = row / batch, b = row % batch;
            const T code = codes[r * codes_next + b * codes_row];
            const bool known = code > T(-0.5) && code < categories - T(0.5);
            out[r * out_next + b * out_row + d] = known ? W[r * W_next + static_cast<Index>(code + T(0.5)) * width + d] : T(0);
        }
    });
}

// What each row of the table gets of dy: one thread adds up one number, in the order of the batch, so that no two
// meet, and all backends end in the same bits.
template <typename T, typename Index>
KERNEL(256)
void lookup_gradient(const T* dy, long long dy_next, int dy_row, const T* codes, long long codes_next, int codes_row,
                     int replicas, int batch, int categories, int width, T* out, long long out_next) {
    phase([&](int thread) {
        const Index count = Index(replicas) * categories * width, stride = blocks_x() * threads();
        for (Index e = block_x() * threads() + thread; e < count; e += stride) {
            const Index row = e / width, d = e % width, r = row / categories, k = row % categories;
            T sum = 0;
            for (Index b = 0; b < batch; ++b)
                if (fabs(codes[r * codes_next + b * codes_row] - k) < T(0.5)) sum += dy[r * dy_next + b * dy_row + d];
            out[r * out_next + k * width + d] = sum;
        }
    });
}
