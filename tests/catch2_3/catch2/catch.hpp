#pragma once
// Catch2 3 under the names of Catch2 2, in which the tests are written. CMake adds this folder to the include path if
// Catch2 3 is installed.
#include <catch2/catch_all.hpp>
#include <cstdint>
#include <string>

namespace Catch {

using Matchers::EndsWith;
using Matchers::Equals;
using Matchers::StartsWith;

inline auto Contains(const std::string& text) { return Matchers::ContainsSubstring(text); }
inline std::uint32_t rngSeed() { return getSeed(); }

}  // namespace Catch

using Catch::Approx;
