#include "reprise/ops/sgd_update.h"

namespace reprise {

KernelSlot<UpdateListArgs<SGDArgs>> sgd_slot("sgd");

}  // namespace reprise
