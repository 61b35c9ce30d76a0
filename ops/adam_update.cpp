#include "reprise/ops/adam_update.h"

namespace reprise {

KernelSlot<UpdateListArgs<AdamArgs>> adam_slot("adam");

}  // namespace reprise
