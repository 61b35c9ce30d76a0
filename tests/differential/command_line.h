#pragma once
// The options of the differential programs: `--name NUMBER`, each with a default.
#include <charconv>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace reprise::test::differential {

class CommandLine {
 public:
  using Numbers = std::map<std::string, std::uint64_t, std::less<>>;

  // Throws std::invalid_argument for an unknown option or a value that is no whole number.
  CommandLine(int argc, char** argv, Numbers defaults) : numbers_(std::move(defaults)) {
    for (int i = 1; i < argc; i += 2) {
      const std::string_view option = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
      const auto place = option.substr(0, 2) == "--" ? numbers_.find(option.substr(2)) : numbers_.end();
      if (place == numbers_.end())
        throw std::invalid_argument("unknown option " + std::string(option) + known());
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), place->second);
      if (error != std::errc() || end != value.data() + value.size())
        throw std::invalid_argument(std::string(option) + ": '" + std::string(value) +
                                    "' is no whole number");
    }
  }
  std::uint64_t operator[](std::string_view name) const { return numbers_.find(name)->second; }

 private:
  std::string known() const {
    std::string text = ": the options are";
    for (const auto& [name, number] : numbers_) text += " --" + name + " (" + std::to_string(number) + ")";
    return text;
  }
  Numbers numbers_;
};

}  // namespace reprise::test::differential
