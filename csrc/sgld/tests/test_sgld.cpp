#include <array>
#include <cmath>
#include <cstring>
#include <numeric>

#include "host/dispatch.h"
#include "host/tests/check.h"
#include "sgld/step.h"

using namespace stnas;
using namespace stnas::sgld;
using namespace stnas::test;

namespace {

// Divides the work into ranges of `length` and does them last to first.
template <std::int64_t length>
void run_backwards(std::int64_t count, std::int64_t,
                   void (*task)(void*, std::int64_t, std::int64_t), void* context) {
  for (std::int64_t begin = (count - 1) / length * length; begin >= 0; begin -= length) {
    task(context, begin, std::min(begin + length, count));
  }
}

constexpr Executor kWhole{run_backwards<1 << 30>};
constexpr Executor kOnes{run_backwards<1>};
constexpr Executor kThrees{run_backwards<3>};

const Kernels& kernels(const std::string& set) { return cpu::kernels_of<Kernels>(set); }

std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> found;
  for (const auto& set : cpu::instruction_sets()) found.push_back(&kernels(set));
  return found;
}

void words_are_the_published_ones() {
  using Words = std::vector<std::uint32_t>;
  for (const Kernels* set : all_kernels()) {
    Words out(4);
    set->words({0, 0, 0}, 0, 4, out.data());
    expect_equal(out, Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    set->words({~0ull, ~0ull, ~0u}, ~0u, 4, out.data());
    expect_equal(out, Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    set->words({0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3}, 0x243f6a88, 4, out.data());
    expect_equal(out, Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
  }
}

void every_count_is_the_beginning_of_a_longer_one() {
  for (const Kernels* set : all_kernels()) {
    std::vector<float> all(700);
    std::vector<std::uint32_t> words(700);
    kernels("generic").normal({1, 2, 3}, 0, 700, all.data());
    kernels("generic").words({1, 2, 3}, 5, 700, words.data());
    for (std::size_t count = 0; count <= 700; count += 1 + count / 3) {
      std::vector<float> some(count);
      std::vector<std::uint32_t> few(count);
      set->normal({1, 2, 3}, 0, static_cast<std::int64_t>(count), some.data());
      set->words({1, 2, 3}, 5, static_cast<std::int64_t>(count), few.data());
      expect(std::equal(some.begin(), some.end(), all.begin()), "normals differ");
      expect(std::equal(few.begin(), few.end(), words.begin()), "words differ");
    }
  }
}

template <class T>
struct Tensors {
  std::vector<T> param, grad;

  explicit Tensors(std::size_t size) : param(size), grad(size) {
    for (std::size_t i = 0; i < size; ++i) {
      param[i] = static_cast<T>(std::sin(static_cast<double>(i)));
      grad[i] = static_cast<T>(std::cos(static_cast<double>(i)));
    }
  }
};

template <class T>
std::vector<T> stepped(const Kernels& set, Executor executor, double noise) {
  std::vector<Tensors<T>> tensors;
  for (const std::size_t size : {0, 1, 127, 128, 129, 1000}) tensors.emplace_back(size);
  std::vector<Target<T>> targets;
  for (auto& tensor : tensors) {
    targets.push_back({tensor.param.data(), tensor.grad.data(),
                       static_cast<std::int64_t>(tensor.param.size()),
                       static_cast<std::uint32_t>(targets.size()), noise});
  }
  step(targets, {0.1, 0.01, 7, 8}, set, executor);
  std::vector<T> all;
  for (const auto& tensor : tensors) {
    all.insert(all.end(), tensor.param.begin(), tensor.param.end());
  }
  return all;
}

template <class T>
void steps_do_not_depend_on_set_or_division() {
  for (const double noise : {0.0, 0.5}) {
    const auto expected = stepped<T>(kernels("generic"), kWhole, noise);
    for (const Kernels* set : all_kernels()) {
      for (const Executor executor : {kWhole, kOnes, kThrees}) {
        expect_equal(stepped<T>(*set, executor, noise), expected);
      }
    }
  }
}

void the_step_is_its_formula() {
  Tensors<double> tensor(300);
  const auto before = tensor.param;
  const double inner = before[200] * 0.01 + tensor.grad[200];
  step<double>({{tensor.param.data(), tensor.grad.data(), 300, 4, 0.5}}, {0.1, 0.01, 5, 6},
               kernels("generic"), kWhole);
  std::vector<float> noise(300);
  kernels("generic").normal({5, 6, 4}, 0, 300, noise.data());
  const double expected = before[200] - 0.1 * inner + 0.5 * static_cast<double>(noise[200]);
  expect(std::abs(tensor.param[200] - expected) < 1e-15, "the step differs from its formula");
}

void the_root_mean_square_is_exact_on_integers() {
  for (std::int64_t size : {0, 1, 7, 8, 9, 4095, 4096, 10001}) {
    const std::vector<float> threes(static_cast<std::size_t>(size), -3.0f);
    expect(root_mean_square(threes.data(), size) == (size > 0 ? 3.0 : 0.0), "rms of threes");
  }
}

void an_unknown_instruction_set_is_refused() {
  bool refused = false;
  try {
    kernels("mmx");
  } catch (const std::invalid_argument& error) {
    refused = std::strstr(error.what(), "mmx") != nullptr;
  }
  expect(refused, "mmx is taken");
  expect(!cpu::instruction_set().empty(), "no instruction set");
}

}  // namespace

int main() {
  return run({
      {"words are the published ones", words_are_the_published_ones},
      {"every count is the beginning of a longer one",
       every_count_is_the_beginning_of_a_longer_one},
      {"float steps do not depend on set or division",
       steps_do_not_depend_on_set_or_division<float>},
      {"double steps do not depend on set or division",
       steps_do_not_depend_on_set_or_division<double>},
      {"the step is its formula", the_step_is_its_formula},
      {"the root mean square is exact on integers", the_root_mean_square_is_exact_on_integers},
      {"an unknown instruction set is refused", an_unknown_instruction_set_is_refused},
  });
}
