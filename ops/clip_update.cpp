#include "reprise/ops/clip_update.h"

namespace reprise {

KernelSlot<SquareSumArgs> square_sum_slot("square_sum");
KernelSlot<ScaleInPlaceArgs> scale_in_place_slot("scale_in_place");

}  // namespace reprise
