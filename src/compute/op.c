/* The table of ops. */
#include "compute/op.h"

#define LM_OP(id, name) extern const lm_op lm_op_##name;
#include "compute/ops.def"
#undef LM_OP

static const lm_op *const ops[] = {
#define LM_OP(id, name) [LM_OP_##id] = &lm_op_##name,
#include "compute/ops.def"
#undef LM_OP
};

const lm_op *lm_op_get(lm_op_id id) {
    return ops[id];
}

lm_cost lm_node_cost(const lm_node *node, const int64_t *extents) {
    lm_cost cost = {0};
    lm_op_get(node->op)->cost(node, extents, &cost);
    return cost;
}
