#pragma once
// The options of the differential programs: `--name VALUE`, each with a default.
#include <charconv>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace reprise::test::differential {

class CommandLine {
 public:
  using Values = std::map<std::string, std::string, std::less<>>;

  // Throws std::invalid_argument for an unknown option.
  CommandLine(int argc, char** argv, Values defaults) : values_(std::move(defaults)) {
    for (int i = 1; i < argc; i += 2) {
      const std::string_view option = argv[i];
      const auto place = option.substr(0, 2) == "--" ? values_.find(option.substr(2)) : values_.end();
      if (place == values_.end() || i + 1 == argc) {
        std::string text(option);
        text.append(": this is no option with a value: the options are");
        for (const auto& [name, value] : values_) text.append(" --").append(name).append(" ").append(value);
        throw std::invalid_argument(text);
      }
      place->second = argv[i + 1];
    }
  }
  const std::string& text(std::string_view name) const { return values_.find(name)->second; }
  // Throws std::invalid_argument if the value is no whole number.
  std::uint64_t number(std::string_view name) const {
    const std::string& value = text(name);
    std::uint64_t result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
    if (error != std::errc() || end != value.data() + value.size())
      throw std::invalid_argument(
          std::string(name).append(" ").append(value).append(": this is no whole number"));
    return result;
  }

 private:
  Values values_;
};

}  // namespace reprise::test::differential
