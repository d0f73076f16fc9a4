// The loops, for one set of instructions: build.rs compiles this file once for each, under another name.
#include "kernels.hpp"
#include "vectors.hpp"

#ifndef TANDEM_KERNELS
#define TANDEM_KERNELS kernels_default
#endif

namespace tandem {
namespace {

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

// How far ahead sums fetch. The rows of a block are read side by side, which the hardware's own prefetching takes for
// many short runs.
constexpr int64_t kAhead = 2048;

// Calls step(rows, lanes, place, column) so that every element is met once: `rows` rows from `place` on, `lanes` columns from
// `column` on. A column meets its rows in order, whatever the width of vectors is.
template <int kRows, int kLanes, typename Step>
inline __attribute__((always_inline)) void each(int64_t begin, int64_t end, int64_t width, const Step& step) {
  int64_t place = begin;
  for (; place + kRows * width <= end; place += kRows * width) {
    for (int64_t column = 0; column < width; column += kLanes) {
      step(Constant<kRows>{}, Constant<kLanes>{}, place, column);
    }
  }
  for (; place < end; place += width) {
    const int64_t columns = end - place < width ? end - place : width;
    int64_t column = 0;
    for (; column + kLanes <= columns; column += kLanes) {
      step(Constant<1>{}, Constant<kLanes>{}, place, column);
    }
    for (; column < columns; ++column) {
      step(Constant<1>{}, Constant<1>{}, place, column);
    }
  }
}

// Sums are in double: then the mean of squares less the square of the mean is as good as two passes, and x x is exact.
constexpr int kSumLanes = kVectorBytes / static_cast<int>(sizeof(double));

template <typename T>
constexpr int kMapLanes = kVectorBytes / static_cast<int>(sizeof(T));

inline void clear(double* sums, int count, int64_t width) {
  for (int64_t k = 0; k < count * width; ++k) {
    sums[k] = 0.0;
  }
}

template <int kLanes>
inline __attribute__((always_inline)) void add(double* sum, Vector<double, kLanes> value) {
  store<kLanes>(sum, load<kLanes>(sum) + value);
}

// Fetches this step's share of what lies ahead: `rows` times `lanes` elements, in order.
template <int kRows, int kLanes, typename T>
inline __attribute__((always_inline)) void fetch(const T* from, int64_t place, int64_t column, int64_t width) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t ahead = kAhead > kRows * width ? kAhead : kRows * width;
  if constexpr (kRows > 1) {
    for (int64_t k = 0; k < int64_t{kRows} * kLanes; k += kLine) {
      __builtin_prefetch(from + place + ahead + kRows * column + k);
    }
  }
}

template <typename T, bool kTangent>
void moments(const Operands<T>& of, int64_t begin, int64_t end, double* sums) {
  const int64_t width = of.width;
  const T *x = of.x, *t = of.t;
  clear(sums, kTangent ? 4 : 2, width);
  each<kTangent ? 4 : 8, kSumLanes>(
      begin, end, width, [&](auto rows, auto lanes, int64_t place, int64_t column) __attribute__((always_inline)) {
        constexpr int kRows = rows.value, kLanes = lanes.value;
        fetch<kRows, kLanes>(x, place, column, width);
        if constexpr (kTangent) {
          fetch<kRows, kLanes>(t, place, column, width);
        }
        Vector<double, kLanes> sum_x{}, sum_xx{}, sum_t{}, sum_xt{};
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
          const int64_t k = place + row * width + column;
          const auto value = widen<T, kLanes>(load<kLanes>(x + k));
          sum_x += value;
          sum_xx += value * value;
          if constexpr (kTangent) {
            const auto tangent = widen<T, kLanes>(load<kLanes>(t + k));
            sum_t += tangent;
            sum_xt += value * tangent;
          }
        }
        add<kLanes>(sums + Sums::kX * width + column, sum_x);
        add<kLanes>(sums + Sums::kXX * width + column, sum_xx);
        if constexpr (kTangent) {
          add<kLanes>(sums + Sums::kT * width + column, sum_t);
          add<kLanes>(sums + Sums::kXT * width + column, sum_xt);
        }
      });
}

// Zero where relu stopped the value; not-a-number passes, as in libtorch.
template <typename V>
inline __attribute__((always_inline)) V passed(V decides, V value) {
  return decides <= 0 ? V{} : value;
}

template <typename T, bool kTangent, bool kResidual, bool kRelu>
void forward(const Operands<T>& of, int64_t begin, int64_t end, double*) {
  const int64_t width = of.width;
  const auto* columns = of.columns;
  const bool streams = of.stream;
  each<1, kMapLanes<T>>(
      begin, end, width, [&](auto, auto lanes, int64_t place, int64_t column) __attribute__((always_inline)) {
        constexpr int kLanes = lanes.value;
        const auto of_column = [&](int row) { return load<kLanes>(columns + row * width + column); };
        const auto write = [&](T* to, auto value) { streams ? stream<kLanes>(to, value) : store<kLanes>(to, value); };
        const int64_t k = place + column;
        const auto x = load<kLanes>(of.x + k);
        auto y = x * of_column(Columns::kScale) + of_column(Columns::kShift);
        if constexpr (kResidual) {
          y += load<kLanes>(of.residual + k);
        }
        if constexpr (kTangent) {
          auto tangent =
              load<kLanes>(of.t + k) * of_column(Columns::kScale) +
              ((x - of_column(Columns::kMean)) * of_column(Columns::kTangentByX) + of_column(Columns::kTangentShift));
          if constexpr (kResidual) {
            tangent += load<kLanes>(of.residual_tangent + k);
          }
          write(of.out_tangent + k, kRelu ? passed(y, tangent) : tangent);
        }
        write(of.out + k, kRelu ? passed(y, y) : y);
      });
  finish_streams();
}

template <typename T, Sign kSign, int kLanes>
inline __attribute__((always_inline)) Vector<T, kLanes> decides(
    const Operands<T>& of, Vector<T, kLanes> x, int64_t k, int64_t column) {
  if constexpr (kSign == Sign::Output) {
    return load<kLanes>(of.y + k);
  } else {
    return x * load<kLanes>(of.columns + Columns::kScale * of.width + column) +
           load<kLanes>(of.columns + Columns::kShift * of.width + column);
  }
}

template <typename T, bool kTangent, Sign kSign>
void gradient_moments(const Operands<T>& of, int64_t begin, int64_t end, double* sums) {
  const int64_t width = of.width;
  clear(sums, kTangent ? 5 : 2, width);
  each<4, kSumLanes>(
      begin, end, width, [&](auto rows, auto lanes, int64_t place, int64_t column) __attribute__((always_inline)) {
        constexpr int kRows = rows.value, kLanes = lanes.value;
        fetch<kRows, kLanes>(of.x, place, column, width);
        fetch<kRows, kLanes>(of.a, place, column, width);
        if constexpr (kSign == Sign::Output) {
          fetch<kRows, kLanes>(of.y, place, column, width);
        }
        if constexpr (kTangent) {
          fetch<kRows, kLanes>(of.t, place, column, width);
          fetch<kRows, kLanes>(of.b, place, column, width);
        }
        Vector<double, kLanes> sum_a{}, sum_ax{}, sum_b{}, sum_bx{}, sum_bt{};
#pragma GCC unroll 4
        for (int row = 0; row < kRows; ++row) {
          const int64_t k = place + row * width + column;
          const auto x = load<kLanes>(of.x + k);
          auto a = load<kLanes>(of.a + k);
          Vector<T, kLanes> b{};
          if constexpr (kTangent) {
            b = load<kLanes>(of.b + k);
          }
          if constexpr (kSign != Sign::None) {
            const auto decided_by = decides<T, kSign, kLanes>(of, x, k, column);
            a = passed(decided_by, a);
            b = passed(decided_by, b);
          }
          if constexpr (kSign == Sign::Output) {
            store<kLanes>(of.out + k, a);
          }
          const auto wide_x = widen<T, kLanes>(x), wide_a = widen<T, kLanes>(a);
          sum_a += wide_a;
          sum_ax += wide_a * wide_x;
          if constexpr (kTangent) {
            if constexpr (kSign == Sign::Output) {
              store<kLanes>(of.out_tangent + k, b);
            }
            const auto wide_b = widen<T, kLanes>(b);
            sum_b += wide_b;
            sum_bx += wide_b * wide_x;
            sum_bt += wide_b * widen<T, kLanes>(load<kLanes>(of.t + k));
          }
        }
        add<kLanes>(sums + Sums::kA * width + column, sum_a);
        add<kLanes>(sums + Sums::kAX * width + column, sum_ax);
        if constexpr (kTangent) {
          add<kLanes>(sums + Sums::kB * width + column, sum_b);
          add<kLanes>(sums + Sums::kBX * width + column, sum_bx);
          add<kLanes>(sums + Sums::kBT * width + column, sum_bt);
        }
      });
}

template <typename T, bool kTangent, Sign kSign>
void backward(const Operands<T>& of, int64_t begin, int64_t end, double*) {
  const int64_t width = of.width;
  const auto* columns = of.columns;
  const bool streams = of.stream;
  each<1, kMapLanes<T>>(
      begin, end, width, [&](auto, auto lanes, int64_t place, int64_t column) __attribute__((always_inline)) {
        constexpr int kLanes = lanes.value;
        const auto of_column = [&](int row) { return load<kLanes>(columns + row * width + column); };
        const auto write = [&](T* to, auto value) { streams ? stream<kLanes>(to, value) : store<kLanes>(to, value); };
        const int64_t k = place + column;
        const auto x = load<kLanes>(of.x + k);
        auto a = load<kLanes>(of.a + k);
        Vector<T, kLanes> b{};
        if constexpr (kTangent) {
          b = load<kLanes>(of.b + k);
        }
        if constexpr (kSign != Sign::None) {
          const auto decided_by = decides<T, kSign, kLanes>(of, x, k, column);
          a = passed(decided_by, a);
          b = passed(decided_by, b);
        }
        const auto scale = of_column(Columns::kScale), centred = x - of_column(Columns::kMean);
        auto by_x = a * scale + (centred * of_column(Columns::kByX) + of_column(Columns::kByConstant));
        if constexpr (kTangent) {
          by_x += b * of_column(Columns::kByTangentGradient) + load<kLanes>(of.t + k) * of_column(Columns::kByTangent);
          write(
              of.out_tangent + k,
              b * scale + (centred * of_column(Columns::kTangentByX) + of_column(Columns::kTangentShift)));
        }
        write(of.out + k, by_x);
      });
  finish_streams();
}

template <typename T>
constexpr Kernels<T> table() {
  return {
      {moments<T, false>, moments<T, true>},
      {{forward<T, false, false, false>, forward<T, false, false, true>, forward<T, false, true, true>},
       {forward<T, true, false, false>, forward<T, true, false, true>, forward<T, true, true, true>}},
      {{gradient_moments<T, false, Sign::None>,
        gradient_moments<T, false, Sign::Input>,
        gradient_moments<T, false, Sign::Output>},
       {gradient_moments<T, true, Sign::None>,
        gradient_moments<T, true, Sign::Input>,
        gradient_moments<T, true, Sign::Output>}},
      {{backward<T, false, Sign::None>, backward<T, false, Sign::Input>},
       {backward<T, true, Sign::None>, backward<T, true, Sign::Input>}},
  };
}

} // namespace

constexpr KernelSet TANDEM_KERNELS = {table<float>(), table<double>()};

} // namespace tandem
