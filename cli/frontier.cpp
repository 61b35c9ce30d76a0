#include "reprise/cli/frontier.h"

#include <fmt/format.h>

#include <algorithm>

namespace reprise::cli {

std::string to_csv(const std::vector<FrontierPoint>& points) {
  std::string text = "planner,budget_bytes,peak_bytes,activations,replays,extra_flops,time\n";
  for (const FrontierPoint& p : points)
    text += fmt::format("{},{},{},{:.4f},{},{},{:.4f}\n", p.planner, p.budget, p.peak_bytes, p.activations,
                        p.replays, p.extra_flops ? fmt::format("{:.4f}", *p.extra_flops) : "", p.time);
  return text;
}

std::string to_svg(const std::string& title, const std::vector<FrontierPoint>& points) {
  constexpr double kLeft = 70, kTop = 40, kWidth = 560, kHeight = 360;
  static constexpr const char* kColours[] = {"#1b6ca8", "#c0392b", "#27823b", "#8e44ad",
                                             "#d35400", "#555555", "#0e8f8f"};
  double most_time = 1.1;
  std::vector<std::string> planners;
  for (const FrontierPoint& p : points) {
    most_time = std::max(most_time, std::min(p.time, 3.0));  // what takes longer lies beyond the picture
    if (std::find(planners.begin(), planners.end(), p.planner) == planners.end())
      planners.push_back(p.planner);
  }
  const auto x = [&](double activations) { return kLeft + kWidth * activations; };
  const auto y = [&](double time) { return kTop + kHeight * (most_time - time) / (most_time - 1); };
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 780 470\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"780\" height=\"470\" fill=\"white\"/>\n<text x=\"{}\" y=\"24\" "
      "font-size=\"15\">{}</text>\n",
      kLeft, title);
  for (int i = 0; i <= 10; i += 2)
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" stroke=\"#ddd\"/>\n<text x=\"{0:.1f}\" "
        "y=\"{3}\" text-anchor=\"middle\">{4:.1f}</text>\n",
        x(i / 10.0), kTop, kTop + kHeight, kTop + kHeight + 18, i / 10.0);
  for (int i = 0; i <= 5; ++i) {
    const double time = 1 + (most_time - 1) * i / 5;
    svg += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/>\n<text x=\"{3}\" "
        "y=\"{4:.1f}\" text-anchor=\"end\">{5:.2f}</text>\n",
        kLeft, kLeft + kWidth, y(time), kLeft - 8, y(time) + 4, time);
  }
  svg += fmt::format(
      "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">peak activation bytes, of those without "
      "checkpointing</text>\n<text transform=\"translate(20 {:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">time of a step, of that without checkpointing</text>\n",
      kLeft + kWidth / 2, kTop + kHeight + 42, kTop + kHeight / 2);
  for (std::size_t k = 0; k < planners.size(); ++k) {
    const char* colour = kColours[k % std::size(kColours)];
    std::string line, dots;
    for (const FrontierPoint& p : points) {
      if (p.planner != planners[k] || p.time > most_time) continue;
      line += fmt::format("{:.1f},{:.1f} ", x(p.activations), y(p.time));
      dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", x(p.activations),
                          y(p.time), colour);
    }
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>\n{}", line,
                       colour, dots);
    const double at = kTop + 14 + 20 * static_cast<double>(k);
    svg += fmt::format(
        "<rect x=\"{}\" y=\"{:.1f}\" width=\"14\" height=\"4\" fill=\"{}\"/>\n<text x=\"{}\" "
        "y=\"{:.1f}\">{}</text>\n",
        kLeft + kWidth + 20, at - 6, colour, kLeft + kWidth + 40, at, planners[k]);
  }
  return svg + "</svg>\n";
}

}  // namespace reprise::cli
