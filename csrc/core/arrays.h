#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <span>
#include <string>

#include "core/matrix.h"

namespace stnas {

template <typename T>
using Array = pybind11::array_t<T, pybind11::array::c_style>;

// Takes `value` as an array of exactly this dtype and number of axes, copied only when it is not
// contiguous; `name` is "function: argument" for the messages.
template <typename T>
Array<T> take_array(const pybind11::object& value, pybind11::ssize_t axes, const std::string& name) {
  namespace py = pybind11;
  const std::string wanted = py::str(py::dtype::of<T>());
  if (!py::isinstance<py::array>(value)) {
    const std::string kind = py::str(py::type::of(value).attr("__name__"));
    throw py::type_error(name + " must be a numpy array of " + wanted + ", got " + kind +
                         ": use numpy.asarray(..., dtype=numpy." + wanted + ")");
  }
  const auto array = py::reinterpret_borrow<py::array>(value);
  if (!py::isinstance<py::array_t<T, 0>>(value)) {
    const std::string kind = py::str(array.dtype());
    throw py::type_error(name + " must be a numpy array of " + wanted + ", got " + kind +
                         ": use .astype(numpy." + wanted + ") if no value changes by it");
  }
  if (array.ndim() != axes) {
    const std::string shape = py::str(array.attr("shape"));
    throw py::value_error(name + " must have " + std::to_string(axes) + " axes, got shape " + shape +
                          ": reshape it");
  }
  return Array<T>::ensure(array);
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
