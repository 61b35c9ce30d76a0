#include "reprise/tests/cuda_emulator/cudnn_operations.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "reprise/tests/cuda_emulator/streams.h"

namespace reprise::emulator {

namespace {

using Place = std::array<std::int64_t, 4>;

template <class F>
void for_each_place(const Place& extents, F f) {
  for (std::int64_t a = 0; a < extents[0]; ++a)
    for (std::int64_t b = 0; b < extents[1]; ++b)
      for (std::int64_t c = 0; c < extents[2]; ++c)
        for (std::int64_t d = 0; d < extents[3]; ++d) f(Place{a, b, c, d});
}

std::size_t number(std::int64_t i) { return static_cast<std::size_t>(i); }

void require(bool fits, const char* why) {
  if (!fits) throw std::invalid_argument(why);
}

double apply(int mode, double x, double b) {
  switch (mode) {
    case CUDNN_POINTWISE_ADD:
      return x + b;
    case CUDNN_POINTWISE_SUB:
      return x - b;
    case CUDNN_POINTWISE_MUL:
      return x * b;
    case CUDNN_POINTWISE_DIV:
      return x / b;
    case CUDNN_POINTWISE_EXP:
      return std::exp(x);
    case CUDNN_POINTWISE_LOG:
      return std::log(x);
    case CUDNN_POINTWISE_CMP_GE:
      return x >= b ? 1.0 : 0.0;
    default:
      throw std::invalid_argument("an element-wise function that the emulator does not know");
  }
}

}  // namespace

int GraphProgram::add(const Object& operation, int name) {
  if (!operation.parts.contains(name)) return -1;
  const Tensor tensor(operation.part(name));
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    const Tensor& other = operands_[i].tensor;
    if (other.id != tensor.id) continue;
    require(other.extents == tensor.extents && other.strides == tensor.strides, "two tensors of one id");
    return static_cast<int>(i);
  }
  operands_.push_back({tensor});
  return static_cast<int>(operands_.size()) - 1;
}

GraphProgram::GraphProgram(const std::vector<std::shared_ptr<Object>>& operations) {
  std::set<int> made;
  for (const std::shared_ptr<Object>& object : operations) {
    Operation operation{.type = object->type};
    const auto id = [&](int name) { return add(*object, name); };
    switch (object->type) {
      case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        operation.x = id(CUDNN_ATTR_OPERATION_MATMUL_ADESC);
        operation.b = id(CUDNN_ATTR_OPERATION_MATMUL_BDESC);
        operation.y = id(CUDNN_ATTR_OPERATION_MATMUL_CDESC);
        operation.computed =
            element_type(object->part(CUDNN_ATTR_OPERATION_MATMUL_DESC), CUDNN_ATTR_MATMUL_COMP_TYPE);
        break;
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        operation.x = id(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X);
        operation.b = id(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W);
        operation.y = id(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
        operation.convolution.emplace(*object);
        break;
      case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: {
        const Object& settings = object->part(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
        operation.mode = settings.value<cudnnPointwiseMode_t>(CUDNN_ATTR_POINTWISE_MODE);
        operation.computed = element_type(settings, CUDNN_ATTR_POINTWISE_MATH_PREC);
        if (operation.mode == CUDNN_POINTWISE_GEN_INDEX)
          operation.axis = number(settings.value<std::int64_t>(CUDNN_ATTR_POINTWISE_AXIS));
        operation.x = id(CUDNN_ATTR_OPERATION_POINTWISE_XDESC);
        operation.b = id(CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
        operation.t = id(CUDNN_ATTR_OPERATION_POINTWISE_TDESC);
        operation.y = id(CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
        break;
      }
      case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR: {
        const Object& settings = object->part(CUDNN_ATTR_OPERATION_REDUCTION_DESC);
        operation.mode = settings.value<cudnnReduceTensorOp_t>(CUDNN_ATTR_REDUCTION_OPERATOR);
        operation.computed = element_type(settings, CUDNN_ATTR_REDUCTION_COMP_TYPE);
        operation.x = id(CUDNN_ATTR_OPERATION_REDUCTION_XDESC);
        operation.y = id(CUDNN_ATTR_OPERATION_REDUCTION_YDESC);
        break;
      }
      case CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR:
        operation.x = id(CUDNN_ATTR_OPERATION_RESHAPE_XDESC);
        operation.y = id(CUDNN_ATTR_OPERATION_RESHAPE_YDESC);
        break;
      default:
        throw std::invalid_argument("an operation that the emulator does not know");
    }
    for (const int input : {operation.x, operation.b, operation.t})
      require(input == -1 || !operand(input).tensor.is_virtual || made.contains(input),
              "a tensor that lies nowhere is read before it is made");
    require(!operand(operation.y).tensor.by_value && made.insert(operation.y).second,
            "a tensor is written twice");
    operations_.push_back(operation);
  }
}

std::vector<Tensor*> GraphProgram::in_memory() {
  std::vector<Tensor*> result;
  for (Operand& operand : operands_)
    if (!operand.tensor.is_virtual && !operand.tensor.by_value) result.push_back(&operand.tensor);
  return result;
}
std::vector<Tensor*> GraphProgram::numbers() {
  std::vector<Tensor*> result;
  for (Operand& operand : operands_)
    if (operand.tensor.by_value) result.push_back(&operand.tensor);
  return result;
}

int GraphProgram::products() const {
  return static_cast<int>(
      std::count_if(operations_.begin(), operations_.end(), [](const Operation& operation) {
        return operation.type == CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR;
      }));
}

// As cuDNN's attention on an A100; beside a convolution there is a bias alone.
std::string GraphProgram::refusal() const {
  if (operations_[0].convolution) {
    if (operations_.size() != 2 || operations_[1].type != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR ||
        operations_[1].mode != CUDNN_POINTWISE_ADD || operations_[1].x != operations_[0].y)
      return "a convolution with something else than a bias";
    const Place channels = {1, operand(operations_[0].y).tensor.extents[1], 1, 1};
    if (operand(operations_[1].b).tensor.extents != channels) return "a bias is one number for each channel";
    return settings().no_bias_in_convolutions ? "no engine adds a bias to a convolution" : "";
  }
  for (const Operation& operation : operations_) {
    if (operation.type != CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR) continue;
    const Tensor& q = operand(operation.x).tensor;
    if (size_of_element(q.type) != 2) return "attention is computed in 16 bits only";
    if (q.extents[3] % 8 != 0) return "the head's extent is no multiple of 8";
    return q.extents[3] > (products() > 2 ? 128 : 256) ? "the head is too wide" : "";
  }
  return "no product";
}

// The gradient of attention keeps one of the matrices of scores.
std::size_t GraphProgram::workspace() const {
  std::int64_t most = 0;
  for (const Operand& operand : operands_)
    if (operand.tensor.is_virtual) most = std::max(most, operand.tensor.numel());
  return 512 + (products() > 2 ? 2 * number(most) : 0);
}

void GraphProgram::round_operands() {
  for (Operation& operation : operations_)
    if (operation.convolution) operation.convolution->rounds_operands = true;
}

void GraphProgram::read_numbers() {
  for (Operand& operand : operands_)
    if (operand.tensor.by_value) operand.values = {load(operand.tensor.data, operand.tensor.type, 0)};
}

double GraphProgram::Operand::read(std::int64_t at) const {
  if (tensor.is_virtual || tensor.by_value) return values.at(number(at));
  return load(tensor.data, tensor.type, at);
}
double GraphProgram::Operand::read(const Place& place) const {
  std::int64_t at = 0;
  for (std::size_t d = 0; d < 4; ++d)
    if (tensor.extents[d] > 1) at += place[d] * tensor.strides[d];
  return read(at);
}
void GraphProgram::Operand::write(std::int64_t at, double x) {
  if (!tensor.is_virtual) return store(tensor.data, tensor.type, at, x);
  if (values.empty()) values.resize(number(tensor.elements()), NAN);
  values.at(number(at)) = rounded(tensor.type, x);
}
std::vector<double> GraphProgram::Operand::row_major() const {
  std::vector<double> result;
  for_each_place(tensor.extents, [&](const Place& place) { result.push_back(read(place)); });
  return result;
}

void GraphProgram::convolve(const Operation& operation) {
  Convolution convolution = *operation.convolution;
  convolution.x.data = operand(operation.x).tensor.data;
  convolution.weight.data = operand(operation.b).tensor.data;
  const std::vector<double> sums = convolution.sums();
  for (std::size_t k = 0; k < sums.size(); ++k)
    operand(operation.y).write(static_cast<std::int64_t>(k), sums[k]);
}

void GraphProgram::matmul(const Operation& operation) {
  const Operand &a = operand(operation.x), &b = operand(operation.b);
  Operand& c = operand(operation.y);
  const Place &of_a = a.tensor.extents, &of_b = b.tensor.extents, &of_c = c.tensor.extents;
  require(of_a[2] == of_c[2] && of_a[3] == of_b[2] && of_b[3] == of_c[3] && of_a[0] == of_c[0] &&
              of_b[0] == of_c[0] && of_a[1] == of_c[1] && of_c[1] % of_b[1] == 0,
          "the matrices do not fit");
  const std::vector<double> first = a.row_major(), second = b.row_major();
  const std::int64_t group = of_c[1] / of_b[1];  // heads of c that one of b serves
  const std::int64_t inner = of_a[3], columns = of_c[3];
  for_each_place(of_c, [&](const Place& place) {
    const auto [batch, head, row, column] = place;
    const double* x = first.data() + ((batch * of_a[1] + head) * of_a[2] + row) * inner;
    const double* y = second.data() + (batch * of_b[1] + head / group) * inner * columns + column;
    double sum = 0;
    for (std::int64_t k = 0; k < inner; ++k) sum += x[k] * y[k * columns];
    c.write(c.tensor.at(batch, head, row, column), rounded(operation.computed, sum));
  });
}

void GraphProgram::pointwise(const Operation& operation) {
  const Operand& x = operand(operation.x);
  Operand& y = operand(operation.y);
  require(x.tensor.extents == y.tensor.extents, "an element-wise function's extents differ");
  const Operand* b = operation.b < 0 ? nullptr : &operand(operation.b);
  const Operand* t = operation.t < 0 ? nullptr : &operand(operation.t);
  for_each_place(y.tensor.extents, [&](const Place& place) {
    double value = 0;
    if (operation.mode == CUDNN_POINTWISE_GEN_INDEX)
      value = static_cast<double>(place[operation.axis]);
    else if (operation.mode == CUDNN_POINTWISE_BINARY_SELECT)
      value = t->read(place) != 0 ? x.read(place) : b->read(place);
    else
      value = apply(operation.mode, x.read(place), b ? b->read(place) : 0);
    y.write(y.tensor.at(place[0], place[1], place[2], place[3]), rounded(operation.computed, value));
  });
}

// Over the columns, or over the heads that share one of y's.
void GraphProgram::reduce(const Operation& operation) {
  const Operand& x = operand(operation.x);
  Operand& y = operand(operation.y);
  const Place &of_x = x.tensor.extents, &of_y = y.tensor.extents;
  const std::int64_t group = of_x[1] / of_y[1], columns = of_x[3] / of_y[3];
  require(group * of_y[1] == of_x[1] && (of_y[3] == 1 || columns == 1) && of_x[0] == of_y[0] &&
              of_x[2] == of_y[2],
          "a reduction's extents do not fit");
  const bool is_sum = operation.mode == CUDNN_REDUCE_TENSOR_ADD;
  for_each_place(of_y, [&](const Place& place) {
    double result = is_sum ? 0.0 : -INFINITY;
    for (std::int64_t head = place[1] * group; head < (place[1] + 1) * group; ++head)
      for (std::int64_t column = place[3]; column < place[3] + columns; ++column) {
        const double value = x.read(x.tensor.at(place[0], head, place[2], column));
        result = is_sum ? result + value : std::max(result, value);
      }
    y.write(y.tensor.at(place[0], place[1], place[2], place[3]), rounded(operation.computed, result));
  });
}

void GraphProgram::reshape(const Operation& operation) {
  const Operand& x = operand(operation.x);
  Operand& y = operand(operation.y);
  require(x.tensor.numel() == y.tensor.numel() && x.tensor.elements() == y.tensor.elements(),
          "a view reaches beyond its tensor");
  for_each_place(y.tensor.extents, [&](const Place& place) {
    const std::int64_t at = y.tensor.at(place[0], place[1], place[2], place[3]);
    y.write(at, x.read(at));
  });
}

void GraphProgram::run() {
  for (const Operation& operation : operations_) switch (operation.type) {
      case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        convolve(operation);
        break;
      case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        matmul(operation);
        break;
      case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        pointwise(operation);
        break;
      case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR:
        reduce(operation);
        break;
      default:
        reshape(operation);
    }
}

}  // namespace reprise::emulator
