/* Planning: who shares storage with whom, until when each value lives, where it goes; then running
 * the steps.
 *
 * Storage. Every tensor resolves to the tensor that owns its bytes: a view to what it views, an
 * output that is an input changed in place to that input, and an output that may take over an
 * input's storage (lm_op.in_place) to that input when nothing else needs it afterwards. Owners that
 * are weights or states bring their own bytes.
 *
 * Liveness. An owner lives from the step that makes it to the last step that reads it or anything
 * in its storage; inputs and outputs of the graph live for the whole run and beyond.
 *
 * Placement. Greedy by size (arXiv:2001.03288): the largest first, each at the lowest offset that
 * is free of all owners placed before whose lives meet its own.
 */
#include "compute/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"

enum { PLACE_ALIGNMENT = 64 };

/* Where a tensor's bytes are; one a tensor, by its id. */
typedef struct place {
    lm_tensor *owner;          /* NULL until resolved */
    int first, last;           /* of an owner: the steps it lives in, inclusive */
    size_t offset, size_bytes; /* of an owner in the arena; 0 bytes: has its own storage */
} place;

struct lm_plan {
    lm_graph *graph;
    lm_device *device;
    int n_steps;
    lm_step *steps;
    void *arena, *workspace;
    size_t arena_bytes;
    void *staging;         /* inputs and outputs on the host; NULL where that is the arena */
    lm_tensor **exchanged; /* [n_exchanged] those with a place in `staging` */
    int n_exchanged;
    int64_t capacity[LM_N_EXTENTS]; /* smallest of all tensors with that extent */
    int64_t *profile_ns;            /* [n_steps], NULL while timing is off */
};

static bool has_own_storage(const lm_tensor *tensor) {
    return tensor->role == LM_ROLE_WEIGHT || tensor->role == LM_ROLE_STATE;
}

static lm_tensor *owner_of(const place *places, const lm_tensor *tensor) {
    return places[tensor->id].owner;
}

/* The last step at which each tensor's own elements are read, -1 for never. */
static void find_last_reads(const lm_graph *graph, int *last_read) {
    for (int i = 0; i < lm_graph_n_tensors(graph); i++) last_read[i] = -1;
    for (int step = 0; step < lm_graph_n_nodes(graph); step++) {
        const lm_node *node = lm_graph_node(graph, step);
        for (int i = 0; i < node->n_inputs; i++)
            if (node->in[i]) last_read[node->in[i]->id] = step;
    }
}

/* Makes `tensor` share the owner's storage, which then lives as long as either. */
static void join(place *places, const lm_tensor *tensor, lm_tensor *owner, int last) {
    places[tensor->id].owner = owner;
    if (last > places[owner->id].last) places[owner->id].last = last;
}

/* May the node's first output take over the storage of input i? */
static bool can_take_over(const place *places, const lm_node *node, int i) {
    const lm_tensor *in = node->in[i], *out = node->out[0];
    if (!(lm_op_get(node->op)->in_place >> i & 1u) || !in || out->alias) return false;
    lm_tensor *owner = owner_of(places, in);
    if (has_own_storage(owner) || owner->role == LM_ROLE_INPUT ||
        places[owner->id].last != node->id)
        return false;
    if (in->dtype != out->dtype || in->extent != out->extent ||
        lm_tensor_bytes(in) != lm_tensor_bytes(out))
        return false;
    /* Another input in the same storage must be one that may be overwritten as well. */
    for (int j = 0; j < node->n_inputs; j++) {
        if (node->in[j] && owner_of(places, node->in[j]) == owner &&
            !(lm_op_get(node->op)->in_place >> j & 1u))
            return false;
    }
    return true;
}

static void resolve_output(place *places, const lm_node *node, int i, const int *last_read,
                           int n_steps) {
    lm_tensor *out = node->out[i];
    int last = out->is_output                  ? n_steps
               : last_read[out->id] > node->id ? last_read[out->id]
                                               : node->id;
    lm_tensor *owner = out->alias ? owner_of(places, out->alias) : NULL;
    for (int k = 0; i == 0 && !owner && k < node->n_inputs; k++)
        if (can_take_over(places, node, k)) owner = owner_of(places, node->in[k]);
    if (owner) {
        join(places, out, owner, last);
        return;
    }
    places[out->id] =
        (place){.owner = out, .first = node->id, .last = last, .size_bytes = lm_tensor_bytes(out)};
}

/* Views' reads are reads of what they view: afterwards last_read of a base covers its views. */
static void fold_views(const lm_graph *graph, int *last_read) {
    for (int i = 0; i < lm_graph_n_tensors(graph); i++) {
        lm_tensor *tensor = lm_graph_tensor(graph, i), *base = lm_tensor_base(tensor);
        if (last_read[i] > last_read[base->id]) last_read[base->id] = last_read[i];
        if (tensor->is_output) base->is_output = true;
    }
}

static void resolve_all(const lm_graph *graph, place *places, int *last_read) {
    int n_steps = lm_graph_n_nodes(graph);
    find_last_reads(graph, last_read);
    fold_views(graph, last_read);
    for (int i = 0; i < lm_graph_n_tensors(graph); i++) {
        lm_tensor *tensor = lm_graph_tensor(graph, i);
        if (tensor->producer || tensor->view_of) continue;
        size_t size_bytes = has_own_storage(tensor) ? 0 : lm_tensor_bytes(tensor);
        places[i] = (place){.owner = tensor, .first = 0, .last = n_steps, .size_bytes = size_bytes};
    }
    /* A view has its place before anything reads it: what it views was made before. */
    for (int i = 0, step = 0; i < lm_graph_n_tensors(graph); i++) {
        lm_tensor *tensor = lm_graph_tensor(graph, i);
        for (; tensor->producer && step <= tensor->producer->id; step++)
            for (int k = 0; k < lm_graph_node(graph, step)->n_outputs; k++)
                resolve_output(places, lm_graph_node(graph, step), k, last_read, n_steps);
        if (tensor->view_of) places[i].owner = owner_of(places, tensor->view_of);
    }
}

static int by_size(const void *a, const void *b) {
    const place *x = *(place *const *)a, *y = *(place *const *)b;
    if (x->size_bytes != y->size_bytes) return x->size_bytes < y->size_bytes ? 1 : -1;
    return x->owner->id < y->owner->id ? -1 : 1;
}

static size_t align_up(size_t size_bytes) {
    return (size_bytes + PLACE_ALIGNMENT - 1) / PLACE_ALIGNMENT * PLACE_ALIGNMENT;
}

/* Lowest offset for `p` among the n placed before it, which are in order of offset. */
static size_t lowest_fit(const place *p, place *const *placed, int n) {
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const place *q = placed[i];
        if (q->last < p->first || p->last < q->first) continue;
        if (q->offset >= at + align_up(p->size_bytes)) break;
        size_t end = q->offset + align_up(q->size_bytes);
        if (end > at) at = end;
    }
    return at;
}

/* Gives every owner its offset; *out_bytes is the arena's size. order: room for n_tensors
 * pointers. */
static loam_status place_all(place *places, int n_tensors, place **order, size_t *out_bytes,
                             loam_error *err) {
    int n = 0;
    size_t total = 0;
    for (int i = 0; i < n_tensors; i++) {
        if (places[i].size_bytes == 0) continue;
        order[n++] = &places[i];
        if (!lm_checked_add_size(total, places[i].size_bytes, &total) || total > SIZE_MAX / 4)
            return lm_error_set(err, LOAM_LIMIT,
                                "the graph's values together do not fit in any memory");
    }
    qsort(order, (size_t)n, sizeof *order, by_size);
    size_t arena_bytes = 0;
    for (int i = 0; i < n; i++) {
        place *p = order[i];
        p->offset = lowest_fit(p, order, i);
        if (p->offset + align_up(p->size_bytes) > arena_bytes)
            arena_bytes = p->offset + align_up(p->size_bytes);
        int at = i;
        for (; at > 0 && order[at - 1]->offset > p->offset; at--) order[at] = order[at - 1];
        order[at] = p;
    }
    *out_bytes = arena_bytes;
    return LOAM_OK;
}

static void set_data(lm_plan *plan, const place *places) {
    for (int i = 0; i < lm_graph_n_tensors(plan->graph); i++) {
        lm_tensor *tensor = lm_graph_tensor(plan->graph, i);
        const place *owner = &places[places[i].owner->id];
        if (owner->size_bytes)
            tensor->data = (char *)plan->arena + owner->offset;
        else
            tensor->data = owner->owner->data;
    }
}

/* What the host fills or reads; views share the place of what they view. */
static bool is_exchanged(const lm_tensor *tensor) {
    bool input = tensor->role == LM_ROLE_INPUT && !tensor->constant;
    return !tensor->view_of && (input || tensor->is_output);
}

/* Gives inputs and outputs their places on a host that does not share the device's memory. */
static loam_status stage(lm_plan *plan, loam_error *err) {
    size_t total = 0, n_tensors = (size_t)lm_graph_n_tensors(plan->graph);
    plan->exchanged = lm_calloc(n_tensors, sizeof(lm_tensor *));
    if (!plan->exchanged) return lm_error_no_memory(err, n_tensors * sizeof(lm_tensor *));
    for (size_t i = 0; i < n_tensors; i++) {
        lm_tensor *tensor = lm_graph_tensor(plan->graph, (int)i);
        if (!is_exchanged(tensor)) continue;
        plan->exchanged[plan->n_exchanged++] = tensor;
        total += align_up(lm_tensor_bytes(tensor));
    }
    plan->staging = lm_calloc(1, total);
    if (!plan->staging) return lm_error_no_memory(err, total);
    char *at = plan->staging;
    for (int i = 0; i < plan->n_exchanged; i++) {
        plan->exchanged[i]->host = at;
        at += align_up(lm_tensor_bytes(plan->exchanged[i]));
    }
    return LOAM_OK;
}

/* Places on the host, and constants on the device. */
static loam_status set_host(lm_plan *plan, loam_error *err) {
    bool shared = lm_device_shares_host_memory(plan->device);
    if (!shared) LM_TRY(stage(plan, err));
    for (int i = 0; i < lm_graph_n_tensors(plan->graph); i++) {
        lm_tensor *tensor = lm_graph_tensor(plan->graph, i);
        const lm_tensor *base = lm_tensor_base(tensor);
        if (shared && is_exchanged(base)) tensor->host = tensor->data;
        if (!shared && tensor->view_of) tensor->host = base->host;
        if (!tensor->constant) continue;
        size_t size_bytes = lm_tensor_bytes(tensor);
        LM_TRY(lm_device_upload(plan->device, tensor->data, tensor->constant, size_bytes, err));
    }
    return LOAM_OK;
}

static loam_status lay_out(lm_plan *plan, loam_error *err) {
    int n_tensors = lm_graph_n_tensors(plan->graph);
    place *places = lm_calloc((size_t)n_tensors, sizeof *places);
    place **order = lm_calloc((size_t)n_tensors, sizeof *order);
    int *last_read = lm_calloc((size_t)n_tensors, sizeof *last_read);
    loam_status status = LOAM_OK;
    if (!places || !order || !last_read) {
        status = lm_error_no_memory(err, (size_t)n_tensors * sizeof *places);
        goto done;
    }
    resolve_all(plan->graph, places, last_read);
    status = place_all(places, n_tensors, order, &plan->arena_bytes, err);
    if (status != LOAM_OK) goto done;
    status = lm_device_alloc(plan->device, plan->arena_bytes, &plan->arena, err);
    if (status != LOAM_OK) goto done;
    set_data(plan, places);
    status = set_host(plan, err);
done:
    lm_free(last_read);
    lm_free(order);
    lm_free(places);
    return status;
}

static loam_status choose_kernels(lm_plan *plan, loam_error *err) {
    const lm_backend *backend = plan->device->backend;
    size_t workspace_bytes = 0;
    for (int i = 0; i < plan->n_steps; i++) {
        const lm_node *node = lm_graph_node(plan->graph, i);
        const lm_kernel *kernel = backend->select(plan->device, node);
        if (!kernel)
            return lm_error_set(err, LOAM_UNSUPPORTED, "the %s backend has no kernel for %s",
                                backend->name, lm_op_get(node->op)->name);
        plan->steps[i] = (lm_step){node, kernel};
        size_t size_bytes =
            kernel->workspace_bytes ? kernel->workspace_bytes(plan->device, node) : 0;
        if (size_bytes > workspace_bytes) workspace_bytes = size_bytes;
    }
    if (workspace_bytes == 0) return LOAM_OK;
    return lm_device_alloc(plan->device, workspace_bytes, &plan->workspace, err);
}

static void find_capacities(lm_plan *plan) {
    for (int e = 0; e < LM_N_EXTENTS; e++) plan->capacity[e] = INT64_MAX;
    for (int i = 0; i < lm_graph_n_tensors(plan->graph); i++) {
        const lm_tensor *tensor = lm_graph_tensor(plan->graph, i);
        if (tensor->shape[0] < plan->capacity[tensor->extent])
            plan->capacity[tensor->extent] = tensor->shape[0];
    }
}

loam_status lm_plan_new(lm_graph *graph, lm_device *device, lm_plan **out, loam_error *err) {
    LM_TRY(lm_graph_status(graph, err));
    lm_plan *plan = lm_calloc(1, sizeof *plan);
    if (!plan) return lm_error_no_memory(err, sizeof *plan);
    plan->graph = graph;
    plan->device = device;
    plan->n_steps = lm_graph_n_nodes(graph);
    plan->steps = lm_calloc((size_t)plan->n_steps, sizeof *plan->steps);
    loam_status status = plan->steps
                             ? LOAM_OK
                             : lm_error_no_memory(err, (size_t)plan->n_steps * sizeof *plan->steps);
    if (status == LOAM_OK) status = lay_out(plan, err);
    if (status == LOAM_OK) status = choose_kernels(plan, err);
    if (status != LOAM_OK) {
        lm_plan_free(plan);
        return status;
    }
    find_capacities(plan);
    *out = plan;
    return LOAM_OK;
}

void lm_plan_free(lm_plan *plan) {
    if (!plan) return;
    lm_device_free(plan->device, plan->arena);
    lm_device_free(plan->device, plan->workspace);
    lm_free(plan->exchanged);
    lm_free(plan->staging);
    lm_free(plan->profile_ns);
    lm_free(plan->steps);
    lm_free(plan);
}

/* Bytes of the tensor that a run with these extents has. */
static size_t bytes_now(const lm_tensor *tensor, const int64_t *extents) {
    return lm_dtype_bytes(tensor->dtype,
                          lm_tensor_row_elems(tensor) * lm_tensor_dim0(tensor, extents));
}

static loam_status upload_inputs(const lm_plan *plan, const int64_t *extents, loam_error *err) {
    for (int i = 0; i < plan->n_exchanged; i++) {
        const lm_tensor *tensor = plan->exchanged[i];
        size_t size_bytes = bytes_now(tensor, extents);
        if (tensor->role == LM_ROLE_INPUT && size_bytes)
            LM_TRY(lm_device_upload(plan->device, tensor->data, tensor->host, size_bytes, err));
    }
    return LOAM_OK;
}

static loam_status download_outputs(const lm_plan *plan, const int64_t *extents, loam_error *err) {
    for (int i = 0; i < plan->n_exchanged; i++) {
        const lm_tensor *tensor = plan->exchanged[i];
        size_t size_bytes = bytes_now(tensor, extents);
        if (tensor->is_output && size_bytes)
            LM_TRY(lm_device_download(plan->device, tensor->host, tensor->data, size_bytes, err));
    }
    return LOAM_OK;
}

loam_status lm_plan_run(lm_plan *plan, const int64_t *extents, loam_error *err) {
    for (int e = LM_EXTENT_FIXED + 1; e < LM_N_EXTENTS; e++)
        LM_ASSERT(extents[e] >= 0 && extents[e] <= plan->capacity[e]);
    LM_TRY(upload_inputs(plan, extents, err));
    LM_TRY(plan->device->backend->run(plan->device, plan->steps, plan->n_steps, extents,
                                      plan->workspace, plan->profile_ns, err));
    return download_outputs(plan, extents, err);
}

lm_cost lm_plan_cost(const lm_plan *plan, const int64_t *extents) {
    lm_cost total = {0};
    for (int i = 0; i < plan->n_steps; i++) {
        lm_cost cost = lm_node_cost(plan->steps[i].node, extents);
        total.flops += cost.flops;
        total.bytes += cost.bytes;
    }
    return total;
}

const char *lm_plan_kernel_name(const lm_plan *plan, int node) {
    return plan->steps[node].kernel->name;
}

const lm_graph *lm_plan_graph(const lm_plan *plan) {
    return plan->graph;
}

size_t lm_plan_arena_bytes(const lm_plan *plan) {
    return plan->arena_bytes;
}

loam_status lm_plan_profile_start(lm_plan *plan, loam_error *err) {
    if (!plan->profile_ns)
        plan->profile_ns = lm_calloc((size_t)plan->n_steps, sizeof *plan->profile_ns);
    if (!plan->profile_ns)
        return lm_error_no_memory(err, (size_t)plan->n_steps * sizeof *plan->profile_ns);
    memset(plan->profile_ns, 0, (size_t)plan->n_steps * sizeof *plan->profile_ns);
    return LOAM_OK;
}

const int64_t *lm_plan_profile_ns(const lm_plan *plan) {
    return plan->profile_ns;
}
