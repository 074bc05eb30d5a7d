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
