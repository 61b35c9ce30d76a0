#pragma once
// gelu and silu of a number, and their derivatives: what their own kernels and those of gated units compute.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace reprise::cpu {

// u of gelu's approximation by tanh(u), and its derivative.
template <class T>
T gelu_inner(T x) {
  return static_cast<T>(std::sqrt(2 / std::numbers::pi)) * (x + T(0.044715) * x * x * x);
}
template <class T>
T gelu_inner_derivative(T x) {
  return static_cast<T>(std::sqrt(2 / std::numbers::pi)) * (T(1) + T(3 * 0.044715) * x * x);
}

// The normal distribution function and its density.
template <class T>
T normal_distribution(T x) {
  return T(0.5) * (T(1) + std::erf(x * static_cast<T>(1 / std::numbers::sqrt2)));
}
template <class T>
T normal_density(T x) {
  return std::exp(T(-0.5) * x * x) * static_cast<T>(1 / std::sqrt(2 * std::numbers::pi));
}

// For values: minus infinity times a gate of 0 is to be 0. NaN stays.
template <class T>
T not_below_lowest(T x) {
  return std::max(x, std::numeric_limits<T>::lowest());
}
// For derivatives: further out they are 0 or 1, and their formulas overflow. NaN stays.
template <class T>
T near_zero(T x, T most) {
  return std::clamp(x, -most, most);
}

struct ExactGelu {
  template <class T>
  static T value(T x) {
    return not_below_lowest(x) * normal_distribution(x);
  }
  template <class T>
  static T derivative(T v) {
    const T x = near_zero(v, T(50));
    return normal_distribution(x) + x * normal_density(x);
  }
};

struct TanhGelu {
  template <class T>
  static T value(T x) {
    return T(0.5) * not_below_lowest(x) * (T(1) + std::tanh(gelu_inner(x)));
  }
  template <class T>
  static T derivative(T v) {
    const T x = near_zero(v, T(50));
    const T t = std::tanh(gelu_inner(x));
    return T(0.5) * (T(1) + t + x * (T(1) - t * t) * gelu_inner_derivative(x));
  }
};

struct Silu {
  template <class T>
  static T value(T x) {
    return not_below_lowest(x) / (T(1) + std::exp(-x));
  }
  template <class T>
  static T derivative(T v) {
    const T x = near_zero(v, T(2000));
    const T s = T(1) / (T(1) + std::exp(-x));
    return s + x * s * (T(1) - s);
  }
};

}  // namespace reprise::cpu
