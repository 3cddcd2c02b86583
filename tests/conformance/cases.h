/* The conformance table: for every op some calls, with shapes that are awkward for vector code.
 * One row is one test. */
#ifndef LM_TESTS_CONFORMANCE_CASES_H
#define LM_TESTS_CONFORMANCE_CASES_H

#include "compute/op.h"

typedef enum fill {
    FILL_NORMAL,   /* mean 0, deviation 1 */
    FILL_POSITIVE, /* uniform in [0.1, 1.1) */
    FILL_LOG_SUM,  /* uniform in [4, 5): as a log of a sum of exponentials of normal numbers */
    FILL_BELOW,    /* i32 uniform in [0, limit) */
    FILL_TARGETS,  /* i32 uniform in [-1, limit) */
    FILL_RAMP,     /* i32 limit, limit + 1, ... */
    FILL_DISTINCT, /* i32, distinct, in [0, limit); every fifth -1 */
} fill;

typedef struct case_input {
    lm_dtype dtype;
    int n_dims; /* 0: no such input */
    int64_t shape[LM_MAX_DIMS];
    lm_extent extent;
    lm_role role;
    fill fill;
    int32_t limit;
    bool grad; /* f32 parameter whose gradient is compared with finite differences */
    int grad_of; /* 1 + which input it is the gradient of, in gradient tests; 0: of none */
} case_input;

typedef struct op_case {
    const char *label;
    lm_op_id op;
    case_input in[LM_MAX_INPUTS];
    lm_attrs attrs;
    /* Every output row depends on its own row of the inputs alone: a row by itself must give the
     * same bits. */
    bool rows;
    bool is_loss; /* output 0 is differentiated itself, not a weighted sum of it */
    /* Kernel against reference: 0 asks for the same bits, which is what numerics.h and LINEAR's
     * fixed order are for. Anything else has its reason beside it. */
    double atol, rtol;
} op_case;

const op_case *conformance_cases(int *out_n);

#endif
