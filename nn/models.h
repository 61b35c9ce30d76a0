#pragma once
// The ready models.
#include "reprise/nn/models/checkpoint_setting.h"
#include "reprise/nn/models/generate.h"
#include "reprise/nn/models/gpt.h"
#include "reprise/nn/models/make_model.h"
#include "reprise/nn/models/model.h"
#include "reprise/nn/models/resnet.h"
