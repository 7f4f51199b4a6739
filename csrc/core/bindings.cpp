#include "core/arrays.h"
#include "core/counting.h"

namespace py = pybind11;

namespace stnas {
namespace {

Array<std::int64_t> count_madds_numpy(const py::object& genotypes, const py::object& table) {
  const auto rows = take_array<std::int8_t>(genotypes, 2, "count_madds: genotypes");
  const auto costs = take_array<std::int64_t>(table, 2, "count_madds: table");
  Array<std::int64_t> counts(rows.shape(0));
  const auto rows_view = view_matrix(rows);
  const auto costs_view = view_matrix(costs);
  const auto counts_view = view_result(counts);
  {
    const py::gil_scoped_release release;
    count_madds(rows_view, costs_view, counts_view);
  }
  return counts;
}

}  // namespace
}  // namespace stnas

PYBIND11_MODULE(_core, module) {
  module.doc() = "Torch-free core: counting and Pareto operators on numpy arrays.";
  module.def("count_madds", &stnas::count_madds_numpy, py::arg("genotypes"), py::arg("table"));
}
