/* Running the steps of a plan on the pool.
 *
 * A step that is worth sharing is run by all threads. Steps so short that sharing them would take longer than doing them
 * are run between two shared ones by the thread that came last to the barrier, while the others wait there: however many
 * short steps there are, a shared step costs one barrier. Steps before the first shared one are the caller's, and a plan
 * without any wakes nobody.
 */
#include "backend/cpu/cpu.h"
#include "base/clock.h"

typedef struct run_job {
    lm_cpu_device *device;
    const lm_step *steps;
    int n_steps;
    const int64_t *extents;
    void *workspace;
    int64_t *profile_ns; /* [n_steps], or NULL: nobody asks */
    /* written only where no other thread runs: before the run, and at its barriers */
    int step;         /* the shared step to run, n_steps at the end */
    int64_t begin_ns; /* of that step */
    lm_ticket tickets[LM_N_TICKETS];
} run_job;

static void barrier(void *device) {
    lm_pool_barrier(((lm_cpu_device *)device)->pool);
}

/* Of a thread that works alone. */
static void no_barrier(void *device) {}

static bool is_short(const run_job *job) {
    enum { SHORT_CYCLES = 4000, FLOPS_A_CYCLE = 32, BYTES_A_CYCLE = 16 };
    lm_cost cost = lm_node_cost(job->steps[job->step].node, job->extents);
    return cost.flops / FLOPS_A_CYCLE + cost.bytes / BYTES_A_CYCLE < SHORT_CYCLES;
}

static void run_step(run_job *job, int thread, int n_threads) {
    const lm_step *step = &job->steps[job->step];
    step->kernel->run(&(lm_kernel_args){
        .node = step->node,
        .extents = job->extents,
        .thread = thread,
        .n_threads = n_threads,
        .workspace = job->workspace,
        .barrier = n_threads == 1 ? no_barrier : barrier,
        .device = job->device,
        .tickets = job->tickets,
    });
}

/* Counts the time of the step that has ended, and makes ready for the next. */
static void end_step(run_job *job) {
    for (int i = 0; i < LM_N_TICKETS; i++)
        atomic_store_explicit(&job->tickets[i].next, 0, memory_order_relaxed);
    if (job->profile_ns) {
        int64_t now_ns = lm_clock_mono_ns();
        job->profile_ns[job->step] += now_ns - job->begin_ns;
        job->begin_ns = now_ns;
    }
    job->step++;
}

static void run_short_steps(run_job *job) {
    bool alone = job->device->base.n_threads == 1;
    while (job->step < job->n_steps && (alone || is_short(job))) {
        run_step(job, 0, 1);
        end_step(job);
    }
}

static void between_shared_steps(void *arg) {
    end_step(arg);
    run_short_steps(arg);
}

static void run_shared_steps(void *arg, int thread, int n_threads) {
    run_job *job = arg;
    while (job->step < job->n_steps) {
        run_step(job, thread, n_threads);
        lm_pool_meet(job->device->pool, between_shared_steps, job);
    }
}

loam_status lm_cpu_run(lm_device *device, const lm_step *steps, int n_steps, const int64_t *extents,
                       void *workspace, int64_t *profile_ns, loam_error *err) {
    run_job job = {
        .device = (lm_cpu_device *)device,
        .steps = steps,
        .n_steps = n_steps,
        .extents = extents,
        .workspace = workspace,
        .profile_ns = profile_ns,
        .begin_ns = profile_ns ? lm_clock_mono_ns() : 0,
    };
    run_short_steps(&job);
    if (job.step < n_steps) lm_pool_run(job.device->pool, run_shared_steps, &job);
    return LOAM_OK;
}

void lm_cpu_run_alone(const lm_kernel *kernel, const lm_kernel_args *args, const lm_node *node,
                      void *workspace) {
    lm_ticket tickets[LM_N_TICKETS] = {0};
    kernel->run(&(lm_kernel_args){
        .node = node,
        .extents = args->extents,
        .n_threads = 1,
        .workspace = workspace,
        .barrier = no_barrier,
        .device = args->device,
        .tickets = tickets,
    });
}

size_t lm_cpu_alone_bytes(const lm_device *device, const lm_node *node) {
    lm_cpu_device alone = *lm_cpu_of(device);
    alone.base.n_threads = 1;
    const lm_kernel *kernel = device->backend->select(&alone.base, node);
    lm_cpu_parts parts = {0};
    if (kernel->workspace_bytes)
        lm_cpu_next_part(&parts, kernel->workspace_bytes(&alone.base, node));
    return parts.bytes;
}
