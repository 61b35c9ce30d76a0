"""PyTorch's trajectories of a small parameter under SGD, Adam and AdamW: python3 optim.py > optim.h

Each case: 6 steps on a parameter of 4 elements with given gradients (the third step has none), in f64."""
import torch

STEPS, MISSING = 6, 2


def gradients(dtype):
    torch.manual_seed(3)
    return [torch.randn(4, dtype=torch.float64).to(dtype) for _ in range(STEPS)]


CASES = [
    ("sgd_plain", torch.optim.SGD, dict(lr=0.1)),
    ("sgd_weight_decay", torch.optim.SGD, dict(lr=0.1, weight_decay=0.3)),
    ("sgd_momentum", torch.optim.SGD, dict(lr=0.1, momentum=0.9)),
    ("sgd_momentum_weight_decay", torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.3)),
    ("sgd_nesterov", torch.optim.SGD, dict(lr=0.1, momentum=0.9, weight_decay=0.3, nesterov=True)),
    ("adam", torch.optim.Adam, dict(lr=0.05)),
    ("adam_options", torch.optim.Adam, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3)),
    ("adamw", torch.optim.AdamW, dict(lr=0.05)),
    ("adamw_options", torch.optim.AdamW, dict(lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3)),
]


def line(values):
    return ", ".join(repr(float(v)) for v in values)


def schedule(make, steps, lr=0.5):
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=lr)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


print("#pragma once")
print(f"// Written by optim.py with PyTorch {torch.__version__.split('+')[0]}.")
print("#include <array>\n")
print("namespace golden {\n")
print(f"inline constexpr int kSteps = {STEPS}, kMissing = {MISSING};  // the step without a gradient")
print("inline constexpr std::array<double, 4> kStart = {0.5, -1.25, 2.0, 0.0};")
print(f"inline constexpr double kGradients[kSteps][4] = {{")
for g in gradients(torch.float64):
    print(f"    {{{line(g)}}},")
print("};\n")
print("// The parameter after each step.")
for name, optimizer_type, options in CASES:
    parameter = torch.tensor([0.5, -1.25, 2.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_type([parameter], **options)
    print(f"inline constexpr double k_{name}[kSteps][4] = {{")
    for i, g in enumerate(gradients(torch.float64)):
        parameter.grad = None if i == MISSING else g
        optimizer.step()
        print(f"    {{{line(parameter.detach())}}},")
    print("};")

print("\n// Learning rates of steps 0 to 9 from 0.5.")
rates = schedule(lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=3, gamma=0.2), 10)
print(f"inline constexpr double k_step_lr[10] = {{{line(rates)}}};  // step_size 3, gamma 0.2")
rates = schedule(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=9, eta_min=0.05), 10)
print(f"inline constexpr double k_cosine[10] = {{{line(rates)}}};  // T_max 9, eta_min 0.05")

print("\n// clip_grad_norm_ with max_norm 1 of the first two gradients: the norm before, and the gradients after.")
parameters = [torch.zeros(4, dtype=torch.float64, requires_grad=True) for _ in range(2)]
for p, g in zip(parameters, gradients(torch.float64)):
    p.grad = g.clone()
norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
print(f"inline constexpr double kClipNorm = {float(norm)!r};")
print("inline constexpr double kClipped[2][4] = {")
for p in parameters:
    print(f"    {{{line(p.grad)}}},")
print("};\n")
print("}  // namespace golden")
