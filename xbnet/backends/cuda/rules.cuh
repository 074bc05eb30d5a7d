// The rules of `optimizers.py`, which gives their sources, for one parameter: w and its states are moved by the gradient g
// and the columns c(0), c(1), .. in the order of `Optimizer.coefficients`.
struct SGD {
    static constexpr int states = 0, columns = 1;
    template <typename T, typename C> static DEVICE void apply(T& w, T&, T&, T g, bool, C c) { w -= g * c(0); }
};

struct Momentum {
    static constexpr int states = 1, columns = 2;
    template <typename T, typename C> static DEVICE void apply(T& w, T& velocity, T&, T g, bool, C c) {
        velocity = velocity * c(1) + g;
        w -= velocity * c(0);
    }
};

struct Nesterov {
    static constexpr int states = 1, columns = 2;
    template <typename T, typename C> static DEVICE void apply(T& w, T& velocity, T&, T g, bool, C c) {
        velocity = velocity * c(1) + g;
        w -= (velocity * c(1) + g) * c(0);
    }
};

struct RMSProp {
    static constexpr int states = 1, columns = 3;
    template <typename T, typename C> static DEVICE void apply(T& w, T& squares, T&, T g, bool, C c) {
        squares = squares * c(1) + g * g;
        w -= g / (sqrt(squares) + c(2)) * c(0);
    }
};

struct Adam {
    static constexpr int states = 2, columns = 4;
    template <typename T, typename C> static DEVICE void apply(T& w, T& sum, T& squares, T g, bool, C c) {
        sum = sum * c(1) + g;
        squares = squares * c(2) + g * g;
        w -= sum / (sqrt(squares) + c(3)) * c(0);
    }
};

struct AdamW {
    static constexpr int states = 2, columns = 5;
    template <typename T, typename C> static DEVICE void apply(T& w, T& sum, T& squares, T g, bool is_weight, C c) {
        if (is_weight) w *= c(0);
        Adam::apply(w, sum, squares, g, is_weight, [&](int k) { return c(k + 1); });
    }
};
