/* Gradients against central finite differences, for the cases that mark inputs with `grad`. */
#ifndef LM_TESTS_CONFORMANCE_GRADIENT_H
#define LM_TESTS_CONFORMANCE_GRADIENT_H

#include "cases.h"
#include "compute/backend.h"

bool gradient_wanted(const op_case *c);
void gradient_check(const op_case *c, lm_device *device);

#endif
