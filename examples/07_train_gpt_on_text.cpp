// A small GPT learns to write, character by character: text, windows of it, training, generation.
//   07_train_gpt_on_text [FILE [STEPS]]     tools/demo-text makes a longer file
#include <cstdlib>
#include <iostream>
#include <string>

#include "reprise/reprise.h"

using namespace reprise;

int main(int argc, char** argv) {
  const std::string file = argc > 1 ? argv[1] : "/usr/share/common-licenses/GPL-3";
  const int steps = argc > 2 ? std::atoi(argv[2]) : 150;
  manual_seed(1);
  const data::Text text = data::read_text(file, data::Tokenizer::Kind::characters);
  const data::TextWindows windows(text, data::Split::train, {.context = 64, .seed = 1});

  nn::Model gpt = nn::make_gpt(
      {.vocabulary = text.tokenizer.size(), .context = 64, .layers = 2, .width = 96, .heads = 3});
  optim::AdamW optimizer(gpt.parameters(), {.lr = 3e-3});
  data::Loader loader(windows, {.batch_size = 16});

  double first = 0, last = 0;
  for (int step = 0, epoch = 0; step < steps; ++epoch)
    for (auto [x, y] : loader.epoch(epoch)) {  // y is x, one character on
      optimizer.zero_grad();
      {
        Tape tape;
        Tensor loss = cross_entropy(gpt(std::move(x)), std::move(y));
        tape.backward(loss);
        last = step == 0 ? first = loss.item() : 0.9 * last + 0.1 * loss.item();
      }
      optimizer.step();
      if (step % 25 == 0) std::cout << "step " << step << "  loss " << last << std::endl;
      if (++step == steps) break;
    }

  const std::string prompt = "\n  The ";
  std::cout << "loss " << last << "; it writes:\n" << prompt;
  nn::generate(gpt, text.tokenizer.encode(prompt),
               {.tokens = 300, .temperature = 0.7, .each = [&](std::int64_t token) {
                  std::cout << text.tokenizer.decode({&token, 1}) << std::flush;
                }});
  std::cout << '\n';
  return last < 0.7 * first ? EXIT_SUCCESS : EXIT_FAILURE;
}
