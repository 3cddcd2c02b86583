/* What ROUTE's reference and kernels share: the choice by scores. */
#ifndef LM_COMPUTE_OPS_ROUTE_H
#define LM_COMPUTE_OPS_ROUTE_H

#include "compute/ops/rules.h"

enum { LM_MAX_EXPERTS = 1024 };

/* Writes the row's ids and weights from the logits and scores [E] of its experts. */
void lm_route_choose(const lm_node *route, int64_t row, const float *logits, const float *scores);

/* The same with attrs.jitter, which goes by logits. */
void lm_route_mix(const lm_node *route, int64_t row, const float *logits);

#endif
