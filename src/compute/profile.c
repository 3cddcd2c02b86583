#include "compute/profile.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/vec.h"

/* One run of the plan. */
typedef struct profile_run {
    const char *phase;
    int64_t begin_ns, end_ns;
    int64_t extents[LM_N_EXTENTS];
    int64_t *node_ns; /* [n_nodes] */
} profile_run;

struct lm_profile {
    lm_plan *plan;
    const lm_graph *graph;
    int n_nodes;
    int64_t *seen_ns; /* [n_nodes] what the plan's counters stood at after the last run */
    LM_VEC(profile_run) runs;
};

/* ---- Collecting ---- */

loam_status lm_profile_new(lm_plan *plan, lm_profile **out, loam_error *err) {
    lm_profile *profile = lm_calloc(1, sizeof *profile);
    if (!profile) return lm_error_no_memory(err, sizeof *profile);
    profile->plan = plan;
    profile->graph = lm_plan_graph(plan);
    profile->n_nodes = lm_graph_n_nodes(profile->graph);
    profile->seen_ns = lm_calloc((size_t)profile->n_nodes, sizeof *profile->seen_ns);
    loam_status status = profile->seen_ns ? lm_plan_profile_start(plan, err)
                                          : lm_error_no_memory(err, (size_t)profile->n_nodes);
    if (status != LOAM_OK) {
        lm_profile_free(profile);
        return status;
    }
    *out = profile;
    return LOAM_OK;
}

void lm_profile_free(lm_profile *profile) {
    if (!profile) return;
    for (size_t i = 0; i < profile->runs.len; i++) lm_free(profile->runs.ptr[i].node_ns);
    lm_vec_deinit(&profile->runs);
    lm_free(profile->seen_ns);
    lm_free(profile);
}

loam_status lm_profile_add(lm_profile *profile, const char *phase, const int64_t *extents,
                           int64_t begin_ns, int64_t end_ns, loam_error *err) {
    if (profile->runs.len == LM_PROFILE_MAX_RUNS)
        return lm_error_set(err, LOAM_LIMIT, "a profile takes at most %d runs",
                            LM_PROFILE_MAX_RUNS);
    size_t size_bytes = (size_t)profile->n_nodes * sizeof(int64_t);
    profile_run run = {phase, begin_ns, end_ns, {0}, lm_alloc(size_bytes)};
    if (!run.node_ns) return lm_error_no_memory(err, size_bytes);
    memcpy(run.extents, extents, sizeof run.extents);
    const int64_t *now_ns = lm_plan_profile_ns(profile->plan);
    for (int i = 0; i < profile->n_nodes; i++) {
        run.node_ns[i] = now_ns[i] - profile->seen_ns[i];
        profile->seen_ns[i] = now_ns[i];
    }
    if (lm_vec_push(&profile->runs, run)) return LOAM_OK;
    lm_free(run.node_ns);
    return lm_error_no_memory(err, sizeof run);
}

/* ---- Rows ---- */

/* What tells a node from others of its op: its weight, or else its first output. */
static const lm_tensor *telling_tensor(const lm_node *node, bool *out_weight) {
    for (int i = 0; i < node->n_inputs; i++) {
        const lm_tensor *in = node->in[i];
        if (in && in->role == LM_ROLE_WEIGHT && in->n_dims == 2) {
            *out_weight = true;
            return in;
        }
    }
    *out_weight = false;
    return node->out[0];
}

/* "q8_0 [2048x1024]"; where the number of rows is an extent, the shape of one row. */
static void print_shape(const lm_tensor *tensor, char out[LM_PROFILE_SHAPE_BYTES]) {
    lm_buf text;
    lm_buf_init(&text, LM_PROFILE_SHAPE_BYTES - 1);
    lm_buf_printf(&text, "%s [", lm_dtype_get(tensor->dtype)->name);
    int first = tensor->extent == LM_EXTENT_FIXED ? 0 : 1;
    for (int i = first; i < tensor->n_dims; i++)
        lm_buf_printf(&text, "%s%lld", i > first ? "x" : "", (long long)tensor->shape[i]);
    lm_buf_putc(&text, ']');
    snprintf(out, LM_PROFILE_SHAPE_BYTES, "%s", lm_buf_cstr(&text));
    lm_buf_deinit(&text);
}

static lm_profile_row row_of(const lm_profile *profile, const profile_run *run, int i) {
    const lm_node *node = lm_graph_node(profile->graph, i);
    lm_profile_row row = {.phase = run->phase,
                          .op = lm_op_get(node->op)->name,
                          .kernel = lm_plan_kernel_name(profile->plan, i),
                          .n_runs = 1,
                          .ns = run->node_ns[i]};
    const lm_tensor *tensor = telling_tensor(node, &row.reads_weight);
    lm_cost cost = lm_node_cost(node, run->extents);
    row.name = tensor->name;
    row.dtype = tensor->dtype;
    row.flops = cost.flops;
    row.bytes = cost.bytes;
    print_shape(tensor, row.shape);
    return row;
}

static void add_row(lm_profile_row *to, const lm_profile_row *row) {
    to->n_runs += row->n_runs;
    to->ns += row->ns;
    to->flops += row->flops;
    to->bytes += row->bytes;
}

/* Phases in order of appearance: the first run of each. */
static bool begins_phase(const lm_profile *profile, size_t run) {
    for (size_t i = 0; i < run; i++)
        if (strcmp(profile->runs.ptr[i].phase, profile->runs.ptr[run].phase) == 0) return false;
    return true;
}

static lm_profile_row node_sum(const lm_profile *profile, size_t first_run, int node) {
    lm_profile_row sum = row_of(profile, &profile->runs.ptr[first_run], node);
    for (size_t r = first_run + 1; r < profile->runs.len; r++) {
        if (strcmp(profile->runs.ptr[r].phase, sum.phase) != 0) continue;
        lm_profile_row row = row_of(profile, &profile->runs.ptr[r], node);
        add_row(&sum, &row);
    }
    return sum;
}

int lm_profile_nodes(const lm_profile *profile, lm_profile_row *rows, int max) {
    int n = 0;
    for (size_t r = 0; r < profile->runs.len; r++) {
        if (!begins_phase(profile, r)) continue;
        for (int i = 0; i < profile->n_nodes && n < max; i++) rows[n++] = node_sum(profile, r, i);
    }
    return n;
}

static bool same_kind(const lm_profile_row *a, const lm_profile_row *b) {
    return a->phase == b->phase && a->op == b->op && strcmp(a->kernel, b->kernel) == 0 &&
           strcmp(a->shape, b->shape) == 0;
}

static void merge_kind(lm_profile_row *rows, int *n, int begin, const lm_profile_row *row) {
    for (int i = begin; i < *n; i++) {
        if (!same_kind(&rows[i], row)) continue;
        add_row(&rows[i], row);
        return;
    }
    rows[*n] = *row;
    rows[(*n)++].name = "";
}

static int by_time(const void *a, const void *b) {
    int64_t x = ((const lm_profile_row *)a)->ns, y = ((const lm_profile_row *)b)->ns;
    return (x < y) - (x > y);
}

int lm_profile_sums(const lm_profile *profile, lm_profile_row *rows, int max) {
    int n = 0;
    for (size_t r = 0; r < profile->runs.len; r++) {
        if (!begins_phase(profile, r)) continue;
        int begin = n;
        for (int i = 0; i < profile->n_nodes && n < max; i++) {
            lm_profile_row row = node_sum(profile, r, i);
            merge_kind(rows, &n, begin, &row);
        }
        qsort(rows + begin, (size_t)(n - begin), sizeof *rows, by_time);
    }
    return n;
}

int lm_profile_max_rows(const lm_profile *profile) {
    int n_phases = 0;
    for (size_t r = 0; r < profile->runs.len; r++) n_phases += begins_phase(profile, r);
    return n_phases * profile->n_nodes;
}

int64_t lm_profile_phase_ns(const lm_profile *profile, const char *phase) {
    int64_t ns = 0;
    for (size_t r = 0; r < profile->runs.len; r++) {
        const profile_run *run = &profile->runs.ptr[r];
        if (strcmp(run->phase, phase) == 0) ns += run->end_ns - run->begin_ns;
    }
    return ns;
}

/* ---- The trace: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU ---- */

enum { STEPS_TRACK = 1, OPS_TRACK = 2 };

/* Appends the event and lets it go. */
static void put_event(lm_buf *out, json_t *event) {
    char *text = event ? json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    if (!text && out->status == LOAM_OK) out->status = LOAM_NO_MEMORY;
    if (text) lm_buf_printf(out, ",\n%s", text);
    free(text);
    json_decref(event);
}

static void put_track(lm_buf *out, int track, const char *name) {
    put_event(out, json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "name", "thread_name", "ph", "M",
                             "pid", 1, "tid", track, "args", "name", name));
}

static json_t *complete_event(const char *name, int track, int64_t begin_ns, int64_t ns,
                              json_t *args) {
    return json_pack("{s:s, s:s, s:i, s:i, s:f, s:f, s:o}", "name", name, "ph", "X", "pid", 1,
                     "tid", track, "ts", (double)begin_ns * 1e-3, "dur", (double)ns * 1e-3, "args",
                     args);
}

static void put_node(lm_buf *out, const lm_profile_row *row, int64_t begin_ns) {
    char name[LM_PROFILE_SHAPE_BYTES + 64];
    snprintf(name, sizeof name, "%s %s", row->op, row->name);
    double seconds = (double)(row->ns > 0 ? row->ns : 1) * 1e-9;
    json_t *args = json_pack(
        "{s:s, s:s, s:I, s:I, s:f, s:f}", "kernel", row->kernel, "shape", row->shape, "flops",
        (json_int_t)row->flops, "bytes", (json_int_t)row->bytes, "gflop_per_s",
        (double)row->flops / seconds * 1e-9, "gbyte_per_s", (double)row->bytes / seconds * 1e-9);
    put_event(out, complete_event(name, OPS_TRACK, begin_ns, row->ns, args));
}

static void put_run(const lm_profile *profile, const profile_run *run, int64_t origin_ns,
                    lm_buf *out) {
    int64_t at_ns = run->begin_ns - origin_ns;
    json_t *args = json_pack("{s:I, s:I, s:I}", "rows", (json_int_t)run->extents[LM_EXTENT_ROWS],
                             "sequences", (json_int_t)run->extents[LM_EXTENT_SEQS], "attended",
                             (json_int_t)run->extents[LM_EXTENT_CONTEXT]);
    put_event(out,
              complete_event(run->phase, STEPS_TRACK, at_ns, run->end_ns - run->begin_ns, args));
    for (int i = 0; i < profile->n_nodes; i++) {
        lm_profile_row row = row_of(profile, run, i);
        put_node(out, &row, at_ns);
        at_ns += row.ns;
    }
}

void lm_profile_trace(const lm_profile *profile, lm_buf *out) {
    lm_buf_puts(out,
                "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"
                "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":\"loam\"}}");
    put_track(out, STEPS_TRACK, "steps");
    put_track(out, OPS_TRACK, "ops");
    for (size_t i = 0; i < profile->runs.len; i++)
        put_run(profile, &profile->runs.ptr[i], profile->runs.ptr[0].begin_ns, out);
    lm_buf_puts(out, "\n]}\n");
}
