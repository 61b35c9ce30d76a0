#pragma once
// Everything about checkpointing: regions and policies by hand, traces, plans and planners.
#include "reprise/checkpoint/online_eviction.h"
#include "reprise/checkpoint/plan.h"
#include "reprise/checkpoint/plan_diff.h"
#include "reprise/checkpoint/planners.h"
#include "reprise/checkpoint/policy.h"
#include "reprise/checkpoint/region.h"
#include "reprise/checkpoint/sequential.h"
#include "reprise/checkpoint/simulate.h"
#include "reprise/checkpoint/trace.h"
