#pragma once
// All optimizers and schedules.
#include "reprise/optim/adam.h"
#include "reprise/optim/adamw.h"
#include "reprise/optim/loss_scaler.h"
#include "reprise/optim/optimizer.h"
#include "reprise/optim/parameter_group.h"
#include "reprise/optim/schedule.h"
#include "reprise/optim/sgd.h"
