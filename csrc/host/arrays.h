#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <new>
#include <span>
#include <string>
#include <string_view>

#include "host/matrix.h"

namespace stnas {

// Row-major, and on addresses from which T may be read (a view into packed bytes is copied).
constexpr int kPlain = static_cast<int>(pybind11::array::c_style) |
                       static_cast<int>(pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_);

template <typename T>
using Array = pybind11::array_t<T, kPlain>;

template <typename T>
[[noreturn]] void refuse_kind(const pybind11::object& value, const std::string& name) {
  namespace py = pybind11;
  const std::string wanted = py::str(py::dtype::of<T>());
  const bool is_array = py::isinstance<py::array>(value);
  const std::string kind =
      is_array ? py::str(value.attr("dtype")) : py::str(py::type::of(value).attr("__name__"));
  const std::string repair = is_array ? ".astype(numpy." + wanted + ") if no value changes by it"
                                      : "numpy.asarray(..., dtype=numpy." + wanted + ")";
  throw py::type_error(name + " must be a numpy array of " + wanted + ", got " + kind + ": use " +
                       repair);
}

// Takes `value` as an array of exactly this dtype and number of axes, copied only when it is not
// plain; `name` is "function: argument" for the messages.
template <typename T>
Array<T> take_array(const pybind11::object& value, pybind11::ssize_t axes, std::string_view name) {
  namespace py = pybind11;
  if (!py::isinstance<py::array_t<T, 0>>(value)) refuse_kind<T>(value, std::string(name));
  const auto array = py::reinterpret_borrow<py::array>(value);
  if (array.ndim() != axes) {
    const std::string shape = py::str(array.attr("shape"));
    throw py::value_error(std::string(name) + " must have " + std::to_string(axes) +
                          " axes, got shape " + shape + ": reshape it");
  }
  if ((array.flags() & kPlain) == kPlain) return py::reinterpret_borrow<Array<T>>(value);
  auto plain = Array<T>::ensure(array);
  if (!plain) throw std::bad_alloc();
  return plain;
}

template <typename T>
Matrix<T> view_matrix(const Array<T>& array) {
  return {array.data(), array.shape(0), array.shape(1)};
}

template <typename T>
std::span<T> view_result(Array<T>& array) {
  return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

}  // namespace stnas
