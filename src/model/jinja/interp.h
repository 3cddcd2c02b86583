/* The interpreter's halves share this: expressions are evaluated, statements are run. */
#ifndef LM_MODEL_JINJA_INTERP_H
#define LM_MODEL_JINJA_INTERP_H

#include "model/jinja/ast.h"

struct lm_jmacro {
    const lm_jsignature *signature;
    lm_jframe *closure;
};

/* A for loop while it runs. `item` and the like are of its present turn. */
struct lm_jloop {
    const lm_jnode *node;
    lm_jframe *frame;  /* where the loop's variables are */
    lm_jframe *around; /* of a recursive loop: where it stands */
    lm_jiter *source;
    int64_t length; /* -1: not known until the source has been walked */
    int64_t index0, depth0;
    lm_jval before, current, after; /* after: MISSING until the loop looked ahead */
    bool at_end;                    /* looking ahead found nothing */
    lm_jval changed;                /* what changed() was called with; MISSING: not yet */
};

typedef enum lm_jflow { LM_JFLOW_ON, LM_JFLOW_BREAK, LM_JFLOW_CONTINUE } lm_jflow;

loam_status lm_jeval(lm_jrun *run, lm_jframe *frame, const lm_jnode *node,
                     lm_jval *out) LM_MUST_USE;
/* The filters of a block, on its text. */
loam_status lm_jeval_filters(lm_jrun *run, lm_jframe *frame, const lm_jnode *node, lm_jval text,
                             lm_jval *out) LM_MUST_USE;
/* A call with the caller of a call block as one more argument. */
loam_status lm_jeval_call(lm_jrun *run, lm_jframe *frame, const lm_jnode *node, lm_jval caller,
                          lm_jval *out) LM_MUST_USE;
loam_status lm_jassign(lm_jrun *run, lm_jframe *frame, const lm_jnode *target,
                       lm_jval value) LM_MUST_USE;

loam_status lm_jexec_all(lm_jrun *run, lm_jframe *frame, const lm_jnodes *body,
                         lm_jflow *flow) LM_MUST_USE;
loam_status lm_jscope_enter(lm_jrun *run, lm_jframe *frame, const lm_jscope *scope) LM_MUST_USE;
void lm_jscope_leave(lm_jframe *frame, const lm_jscope *scope);
loam_status lm_jframe_new(lm_jrun *run, lm_jframe *parent, int n_slots,
                          lm_jframe **out) LM_MUST_USE;

#endif
