// What `train.cuh` knows of a network's shape, and where its parts lie in shared memory.

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
