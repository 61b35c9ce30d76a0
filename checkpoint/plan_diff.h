#pragma once
// Two plans beside each other, and a plan beside a step.
#include <string>

#include "reprise/autograd/plan.h"

namespace reprise::checkpoint {

// UserError where the step runs another op than the plan was made for, or more or fewer: says where they first differ.
void validate(const Plan& plan, const Trace& trace);

// What the second plan does differently, a line each: the first node at which the steps differ, regions ("- region [3, 9)" of
// the first alone, "+" of the second alone), decisions, predicted peak and replays. Empty: nothing.
std::string diff(const Plan& first, const Plan& second);

}  // namespace reprise::checkpoint
