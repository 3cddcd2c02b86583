/* A profile's books: what runs add to a phase, how nodes of one kind are summed up. */
#include "testing.h"

#include "backend/cpu/cpu.h"
#include "base/clock.h"
#include "compute/profile.h"

enum { ROWS = 4, DIM = 16 };

typedef struct fixture {
    lm_device *device;
    lm_graph *graph;
    lm_plan *plan;
    lm_profile *profile;
    float weights[2][DIM * DIM];
} fixture;

/* Two products of one kind, then a sum. */
static void open_fixture(fixture *f) {
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &f->device, &err));
    assert_ok(lm_graph_new(&f->graph, &err));
    lm_tensor *x = lm_graph_input(f->graph, "x", LM_F32, LM_EXTENT_ROWS, 2, (int64_t[]){ROWS, DIM}),
              *y[2];
    static const char *const names[] = {"first", "second"};
    for (int i = 0; i < 2; i++) {
        lm_weight weight = {.name = names[i],
                            .dtype = LM_F32,
                            .n_dims = 2,
                            .shape = {DIM, DIM},
                            .data = f->weights[i]};
        y[i] = lm_graph_op(f->graph, LM_OP_LINEAR,
                           &(lm_op_args){.in = {x, lm_graph_weight(f->graph, &weight)}});
    }
    lm_graph_output(f->graph, lm_graph_op(f->graph, LM_OP_ADD, &(lm_op_args){.in = {y[0], y[1]}}));
    assert_ok(lm_plan_new(f->graph, f->device, &f->plan, &err));
    assert_ok(lm_profile_new(f->plan, &f->profile, &err));
}

static void close_fixture(fixture *f) {
    lm_profile_free(f->profile);
    lm_plan_free(f->plan);
    lm_graph_free(f->graph);
    lm_device_close(f->device);
}

static void run(fixture *f, const char *phase, int64_t n_rows) {
    int64_t extents[LM_N_EXTENTS] = {[LM_EXTENT_ROWS] = n_rows}, begin_ns = lm_clock_mono_ns();
    assert_ok(lm_plan_run(f->plan, extents, &err));
    assert_ok(lm_profile_add(f->profile, phase, extents, begin_ns, lm_clock_mono_ns(), &err));
}

static void test_rows(void **state) {
    fixture f = {0};
    open_fixture(&f);
    run(&f, "long", ROWS);
    run(&f, "short", 1);
    run(&f, "short", 2);
    assert_int_equal(lm_profile_max_rows(f.profile), 2 * 3);

    lm_profile_row nodes[6], sums[6];
    assert_int_equal(lm_profile_nodes(f.profile, nodes, 6), 6);
    assert_string_equal(nodes[0].name, "first");
    assert_string_equal(nodes[1].name, "second");
    assert_string_equal(nodes[3].phase, "short");
    assert_int_equal(nodes[3].n_runs, 2);
    assert_int_equal(nodes[3].flops, (1 + 2) * 2 * DIM * DIM);
    assert_string_equal(nodes[2].shape, "f32 [16]");

    assert_int_equal(lm_profile_sums(f.profile, sums, 6), 4);
    const lm_profile_row *linear = sums[0].reads_weight ? &sums[0] : &sums[1];
    assert_string_equal(linear->op, "linear");
    assert_string_equal(linear->shape, "f32 [16x16]");
    assert_int_equal(linear->n_runs, 2);
    assert_int_equal(linear->flops, 2 * ROWS * 2 * DIM * DIM);
    assert_int_equal(linear->ns, nodes[0].ns + nodes[1].ns);
    assert_true(lm_profile_phase_ns(f.profile, "long") >= linear->ns);
    assert_int_equal(lm_profile_phase_ns(f.profile, "never"), 0);
    close_fixture(&f);
}

static void test_limit(void **state) {
    fixture f = {0};
    open_fixture(&f);
    for (int i = 0; i < LM_PROFILE_MAX_RUNS; i++) run(&f, "many", 1);
    int64_t extents[LM_N_EXTENTS] = {0};
    assert_status(LOAM_LIMIT, lm_profile_add(f.profile, "many", extents, 0, 0, &err));
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
