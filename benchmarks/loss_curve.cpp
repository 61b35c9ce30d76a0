// Trains a GPT on a text and writes, for benchmarks/loss_curve.py, what PyTorch needs to train the same one: the initial
// weights, the batches, and the loss of every step.
//
//   loss_curve TEXT FOLDER [STEPS] [f32|bf16]      FOLDER/weights.safetensors, batches.i64, losses.csv
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "reprise/reprise.h"

using namespace reprise;

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: loss_curve TEXT FOLDER [STEPS] [f32|bf16]\n";
    return 2;
  }
  const std::string folder = argv[2];
  const std::int64_t steps = argc > 3 ? std::atoll(argv[3]) : 300;
  const DType dtype = argc > 4 && std::string(argv[4]) == "bf16" ? DType::bf16 : DType::f32;
  set_num_threads(2);
  manual_seed(1);

  constexpr std::int64_t kContext = 128;
  const data::Text text = data::read_text(argv[1], data::Tokenizer::Kind::characters);
  const data::TextWindows windows(text, data::Split::train, {.context = kContext, .seed = 1});
  data::Loader loader(windows, {.batch_size = 16});
  nn::Model gpt = nn::make_gpt(
      {.vocabulary = text.tokenizer.size(), .context = kContext, .layers = 4, .width = 256, .heads = 4});
  nn::save(gpt, folder + "/weights.safetensors");
  gpt.to(dtype);
  optim::AdamW optimizer(gpt.parameters(), {.lr = 1e-3});

  std::ofstream batches(folder + "/batches.i64", std::ios::binary), losses(folder + "/losses.csv");
  const auto write = [&](const Tensor& ids) {
    const auto values = ids.read<std::int64_t>();
    batches.write(reinterpret_cast<const char*>(values.data()),
                  static_cast<std::streamsize>(values.size_bytes()));
  };
  losses.precision(9);
  std::int64_t step = 0;
  for (std::int64_t epoch = 0; step < steps; ++epoch)
    for (auto [x, y] : loader.epoch(epoch)) {
      write(x);
      write(y);
      optimizer.zero_grad();
      {
        Tape tape;
        Tensor loss = cross_entropy(gpt(std::move(x)), std::move(y));
        tape.backward(loss);
        losses << step << ',' << loss.item() << '\n';
      }
      optimizer.step();
      if (++step == steps) break;
    }
  return batches.good() && losses.good() ? EXIT_SUCCESS : EXIT_FAILURE;
}
