#pragma once
// All of Reprise's public headers. `#include "reprise/reprise.h"`, link reprise::reprise.
#include "reprise/autograd/op.h"
#include "reprise/autograd/plan.h"
#include "reprise/autograd/tape.h"
#include "reprise/core/device.h"
#include "reprise/core/dry_run.h"
#include "reprise/core/dtype.h"
#include "reprise/core/error.h"
#include "reprise/core/memory.h"
#include "reprise/core/parallel.h"
#include "reprise/core/random.h"
#include "reprise/core/shape.h"
#include "reprise/core/tensor.h"
