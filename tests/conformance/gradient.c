#include "testing.h"

#include "gradient.h"

#include "base/rng.h"
#include "compute/plan.h"
#include "weighted_sum.h"

/* The loss is sum of c[i] * out[i], added in f64, so its error is that of the outputs: some 1e-7
 * each, and 1e-7 / STEP in the difference; cutting the series after the second term costs STEP^2
 * times a third derivative of order 1. */
static const float step = 4e-3f;
static const double abs_tol = 1e-3, rel_tol = 2e-3;

typedef struct gradient_test {
    const op_case *c;
    lm_graph *graph;
    lm_plan *plan;
    lm_tensor *in[LM_MAX_INPUTS];
    lm_tensor *out;
    float *weights; /* c, of the loss */
    int64_t n_out;
} gradient_test;

bool gradient_wanted(const op_case *c) {
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (c->in[i].grad) return true;
    return false;
}

static void *zeros(int64_t n) {
    void *data = lm_calloc((size_t)n, sizeof(float));
    assert_non_null(data);
    return data;
}

static lm_tensor *make_input(gradient_test *t, const case_input *in) {
    if (in->grad_of) return t->in[in->grad_of - 1]->grad;
    if (!in->grad)
        return lm_graph_input(t->graph, "x", in->dtype, LM_EXTENT_FIXED, in->n_dims, in->shape);
    int64_t n = 1;
    for (int i = 0; i < in->n_dims; i++) n *= in->shape[i];
    lm_tensor *grad =
        lm_graph_state(t->graph, "grad", LM_F32, in->n_dims, in->shape, zeros(n), NULL);
    return lm_graph_state(t->graph, "param", LM_F32, in->n_dims, in->shape, zeros(n), grad);
}

static void fill_inputs(gradient_test *t) {
    lm_rng rng;
    lm_rng_init(&rng, 11);
    for (int64_t i = 0; i < t->n_out; i++)
        t->weights[i] = t->c->is_loss ? 1.0f : lm_rng_normal(&rng);
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        const case_input *in = &t->c->in[i];
        if (in->grad_of) continue;
        for (int64_t k = 0; t->in[i] && k < lm_tensor_n_elems(t->in[i]); k++) {
            if (in->dtype == LM_I32)
                ((int32_t *)t->in[i]->data)[k] = (int32_t)lm_rng_below(&rng, (uint64_t)in->limit) -
                                                 (in->fill == FILL_TARGETS && k == 1);
            else
                ((float *)t->in[i]->data)[k] =
                    in->fill == FILL_POSITIVE ? 0.1f + lm_rng_f32(&rng) : lm_rng_normal(&rng);
        }
    }
}

static double loss_of(gradient_test *t) {
    assert_ok(lm_plan_run(t->plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    double sum = 0.0;
    for (int64_t i = 0; i < t->n_out; i++)
        sum += (double)t->weights[i] * (double)((float *)t->out->data)[i];
    return sum;
}

static void check_input(gradient_test *t, int input, const float *grad) {
    float *param = t->in[input]->data;
    for (int64_t i = 0; i < lm_tensor_n_elems(t->in[input]); i++) {
        float kept = param[i];
        param[i] = kept + step;
        double above = loss_of(t), high = (double)param[i];
        param[i] = kept - step;
        double below = loss_of(t), low = (double)param[i];
        param[i] = kept;
        assert_close((double)grad[i], (above - below) / (high - low), abs_tol, rel_tol);
    }
}

void gradient_check(const op_case *c, lm_device *device) {
    gradient_test t = {.c = c};
    assert_ok(lm_graph_new(&t.graph, &err));
    lm_op_args args = {.attrs = c->attrs};
    for (int i = 0; i < LM_MAX_INPUTS; i++)
        if (c->in[i].n_dims) args.in[i] = t.in[i] = make_input(&t, &c->in[i]);
    t.out = lm_graph_op(t.graph, c->op, &args);
    assert_ok(lm_graph_status(t.graph, &err));
    lm_graph_output(t.graph, t.out);
    t.n_out = lm_tensor_n_elems(t.out);
    t.weights = zeros(t.n_out);
    lm_tensor *loss = c->is_loss ? t.out : weighted_sum(t.graph, t.out, t.weights);
    assert_ok(lm_graph_backward(t.graph, loss, &err));
    assert_ok(lm_plan_new(t.graph, device, &t.plan, &err));
    fill_inputs(&t);
    assert_ok(lm_plan_run(t.plan, (int64_t[LM_N_EXTENTS]){0}, &err));
    float *grads[LM_MAX_INPUTS] = {0}; /* copies: every further run adds to the gradients */
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        if (!c->in[i].grad) continue;
        int64_t n = lm_tensor_n_elems(t.in[i]);
        grads[i] = zeros(n);
        memcpy(grads[i], t.in[i]->grad->data, (size_t)n * sizeof *grads[i]);
    }
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        if (!c->in[i].grad) continue;
        check_input(&t, i, grads[i]);
        lm_free(grads[i]);
    }
    for (int i = 0; i < LM_MAX_INPUTS; i++) {
        if (!c->in[i].grad) continue;
        lm_free(t.in[i]->grad->data);
        lm_free(t.in[i]->data);
    }
    lm_plan_free(t.plan);
    lm_graph_free(t.graph);
    lm_free(t.weights);
}
