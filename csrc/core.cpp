#include <vector>

#include "bottleneck/problem.h"
#include "counting/counting.h"
#include "host/arrays.h"
#include "pareto/crowding.h"
#include "pareto/hypervolume.h"
#include "pareto/nondominated.h"

namespace py = pybind11;

namespace stnas {
namespace {

// Floating-point input is copied before the GIL is released: a sort over values that another
// thread changes could leave its bounds.
struct Objectives {
  Objectives(const py::object& value, const std::string& name)
      : array(take_array<double>(value, 2, name)),
        values(array.data(), array.data() + array.size()) {}

  Matrix<double> view() const { return {values.data(), array.shape(0), array.shape(1)}; }

  Array<double> array;
  std::vector<double> values;
};

Array<std::int64_t> count_madds_numpy(const py::object& genotypes, const py::object& table,
                                      std::int64_t threads) {
  const auto rows = take_array<std::int8_t>(genotypes, 2, "count_madds: genotypes");
  const auto costs = take_array<std::int64_t>(table, 2, "count_madds: table");
  Array<std::int64_t> counts(rows.shape(0));
  const auto rows_view = view_matrix(rows);
  const auto costs_view = view_matrix(costs);
  const auto counts_view = view_result(counts);
  {
    const py::gil_scoped_release release;
    count_madds(rows_view, costs_view, counts_view, threads);
  }
  return counts;
}

// One value per row of the objectives.
template <typename Result>
Array<Result> map_rows(const py::object& value, const std::string& name,
                       void (*work)(Matrix<double>, std::span<Result>)) {
  const Objectives objectives(value, name + ": objectives");
  Array<Result> results(objectives.array.shape(0));
  const auto view = objectives.view();
  const auto results_view = view_result(results);
  {
    const py::gil_scoped_release release;
    work(view, results_view);
  }
  return results;
}

Array<std::int64_t> nondominated_sort_numpy(const py::object& objectives) {
  return map_rows<std::int64_t>(objectives, "nondominated_sort", &nondominated_sort);
}

Array<double> crowding_distance_numpy(const py::object& objectives) {
  return map_rows<double>(objectives, "crowding_distance", &crowding_distance);
}

double hypervolume_numpy(const py::object& objectives, const py::object& reference) {
  const Objectives points(objectives, "hypervolume: objectives");
  const auto corner = take_array<double>(reference, 1, "hypervolume: reference");
  const std::vector<double> bounds(corner.data(), corner.data() + corner.size());
  const auto view = points.view();
  const py::gil_scoped_release release;
  return hypervolume(view, bounds);
}

}  // namespace
}  // namespace stnas

PYBIND11_MODULE(_core, module) {
  module.doc() = "Torch-free core: counting and Pareto operators on numpy arrays.";
  module.def("stores_expanded", &stnas::cpu::stores_expanded, py::arg("channels"),
             py::arg("hidden"));
  module.def("count_madds", &stnas::count_madds_numpy, py::arg("genotypes"), py::arg("table"),
             py::kw_only(), py::arg("threads") = 1);
  module.def("nondominated_sort", &stnas::nondominated_sort_numpy, py::arg("objectives"));
  module.def("crowding_distance", &stnas::crowding_distance_numpy, py::arg("objectives"));
  module.def("hypervolume", &stnas::hypervolume_numpy, py::arg("objectives"), py::arg("reference"));
}
