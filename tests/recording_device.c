#include "recording_device.h"

#include <sys/mman.h>

#include "testing.h"

/* Whose content a byte is, besides ids of tensors (0 and above). */
enum { TAG_ZERO = -1, TAG_HOST = -2, TAG_MOVED = -3 };

static recording_device *recording_of(lm_device *device) {
    return (recording_device *)device;
}

static void record(recording_device *r, recording_event event) {
    assert_true(r->n_events < RECORDING_MAX_EVENTS);
    r->events[r->n_events++] = event;
}

/* --- Memory */

static recording_buffer *buffer_of(const recording_device *r, const void *at, size_t size_bytes) {
    const char *begin = at;
    for (int i = 0; i < RECORDING_MAX_BUFFERS; i++) {
        const recording_buffer *b = &r->buffers[i];
        if (b->at && begin >= b->at && begin + size_bytes <= b->at + b->size_bytes)
            return (recording_buffer *)b;
    }
    return NULL;
}

/* The tags of bytes that must lie within one buffer. */
static int32_t *tags_at(const recording_device *r, const void *at, size_t size_bytes) {
    const recording_buffer *b = buffer_of(r, at, size_bytes);
    if (!b) fail_msg("%zu bytes at %p are in no buffer of the device", size_bytes, at);
    return b->tags + ((const char *)at - b->at);
}

static void set_tags(const recording_device *r, const void *at, size_t size_bytes, int32_t tag) {
    int32_t *tags = tags_at(r, at, size_bytes);
    for (size_t i = 0; i < size_bytes; i++) tags[i] = tag;
}

static loam_status recording_alloc(lm_device *device, size_t size_bytes, void **out,
                                   loam_error *err) {
    recording_device *r = recording_of(device);
    if (++r->n_allocs == r->options.fail_alloc) return lm_error_no_memory(err, size_bytes);
    recording_buffer *b = r->buffers;
    while (b->at) b++;
    assert_true(b < r->buffers + RECORDING_MAX_BUFFERS);
    int access = r->options.shares_host_memory ? PROT_READ | PROT_WRITE : PROT_NONE;
    b->at = mmap(NULL, size_bytes, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(b->at != MAP_FAILED);
    b->size_bytes = size_bytes;
    b->tags = malloc(size_bytes * sizeof *b->tags); /* not counted as an allocation of loam's */
    assert_non_null(b->tags);
    set_tags(r, b->at, size_bytes, TAG_ZERO);
    record(r, (recording_event){RECORDED_ALLOC, .at = b->at, .size_bytes = size_bytes});
    *out = b->at;
    return LOAM_OK;
}

static void recording_free(lm_device *device, void *at) {
    recording_device *r = recording_of(device);
    for (int i = 0; i < RECORDING_MAX_BUFFERS; i++) {
        recording_buffer *b = &r->buffers[i];
        if (b->at != at) continue;
        record(r, (recording_event){RECORDED_FREE, .at = at, .size_bytes = b->size_bytes});
        munmap(b->at, b->size_bytes);
        free(b->tags);
        *b = (recording_buffer){0};
        return;
    }
    fail_msg("%p is not a buffer of the device", at);
}

/* Counts a piece of work; whether the device is lost by now. */
static loam_status work(recording_device *r, loam_error *err) {
    if (r->options.lost_after == 0 || r->n_works++ < r->options.lost_after) return LOAM_OK;
    return lm_error_set(err, LOAM_UNAVAILABLE, "the recording device is lost");
}

static loam_status upload(lm_device *device, void *to, const void *host, size_t size_bytes,
                          loam_error *err) {
    recording_device *r = recording_of(device);
    LM_TRY(work(r, err));
    record(r, (recording_event){RECORDED_UPLOAD, .at = to, .size_bytes = size_bytes});
    set_tags(r, to, size_bytes, TAG_HOST);
    return LOAM_OK;
}

static loam_status download(lm_device *device, void *host, const void *from, size_t size_bytes,
                            loam_error *err) {
    recording_device *r = recording_of(device);
    LM_TRY(work(r, err));
    record(r, (recording_event){RECORDED_DOWNLOAD, .at = from, .size_bytes = size_bytes});
    tags_at(r, from, size_bytes);
    memset(host, 0, size_bytes);
    return LOAM_OK;
}

static loam_status copy(lm_device *device, void *to, const void *from, size_t size_bytes,
                        loam_error *err) {
    recording_device *r = recording_of(device);
    LM_TRY(work(r, err));
    record(r, (recording_event){RECORDED_COPY, .at = to, .size_bytes = size_bytes});
    tags_at(r, from, size_bytes);
    set_tags(r, to, size_bytes, TAG_MOVED);
    return LOAM_OK;
}

static loam_status clear(lm_device *device, void *at, size_t size_bytes, loam_error *err) {
    recording_device *r = recording_of(device);
    LM_TRY(work(r, err));
    record(r, (recording_event){RECORDED_CLEAR, .at = at, .size_bytes = size_bytes});
    set_tags(r, at, size_bytes, TAG_ZERO);
    return LOAM_OK;
}

static const lm_transfer transfer = {
    .upload = upload, .download = download, .copy = copy, .clear = clear};

/* --- Kernels */

size_t recording_workspace_bytes(lm_op_id op) {
    return (size_t)(op + 1) * 64;
}

static size_t workspace_bytes(const lm_device *device, const lm_node *node) {
    return recording_workspace_bytes(node->op);
}

static const lm_kernel *recording_select(const lm_device *device, const lm_node *node) {
    static const lm_kernel kernels[] = {
#define LM_OP(id, op_name) {.name = #op_name "/recording", .workspace_bytes = workspace_bytes},
#include "compute/ops.def"
#undef LM_OP
    };
    recording_device *r = recording_of((lm_device *)device);
    record(r, (recording_event){RECORDED_SELECT, .op = node->op});
    return node->op == r->options.lacks ? NULL : &kernels[node->op];
}

static bool in_arena(const lm_tensor *tensor) {
    return tensor->role == LM_ROLE_INPUT || tensor->role == LM_ROLE_VALUE;
}

static void check_tags(const recording_device *r, const lm_tensor *tensor, size_t size_bytes) {
    const lm_tensor *base = lm_tensor_base((lm_tensor *)tensor);
    int32_t wanted = base->role == LM_ROLE_INPUT ? TAG_HOST : base->id;
    const int32_t *tags = tags_at(r, tensor->data, size_bytes);
    for (size_t i = 0; i < size_bytes; i++) {
        if (tags[i] != wanted)
            fail_msg("byte %zu of tensor %d ('%s') holds what %d is, not what %d is", i, base->id,
                     base->name, (int)tags[i], (int)wanted);
    }
}

static size_t bytes_now(const lm_tensor *tensor, const int64_t *extents) {
    return lm_dtype_bytes(tensor->dtype,
                          lm_tensor_row_elems(tensor) * lm_tensor_dim0(tensor, extents));
}

/* An output may lie on an input of its own step only where the op says so, and then exactly. */
static void check_apart(const lm_node *node) {
    for (int o = 0; o < node->n_outputs; o++) {
        for (int i = 0; i < node->n_inputs; i++) {
            const lm_tensor *out = node->out[o], *in = node->in[i];
            if (!in || !in_arena(in) ||
                (char *)out->data + lm_tensor_bytes(out) <= (char *)in->data ||
                (char *)in->data + lm_tensor_bytes(in) <= (char *)out->data)
                continue;
            bool may = out->alias == in || (o == 0 && lm_op_get(node->op)->in_place >> i & 1u);
            assert_true(may && out->data == in->data);
        }
    }
}

static void run_step(recording_device *r, const lm_step *step, const int64_t *extents,
                     void *workspace) {
    const lm_node *node = step->node;
    record(r, (recording_event){RECORDED_STEP, .op = node->op, .at = node});
    tags_at(r, workspace, workspace_bytes(&r->base, node));
    for (int i = 0; i < node->n_inputs; i++) {
        const lm_tensor *in = node->in[i];
        if (!in) continue;
        size_t size_bytes = bytes_now(in, extents);
        if (in_arena(in) && !in->alias && !lm_tensor_base((lm_tensor *)in)->alias)
            check_tags(r, in, size_bytes);
        else if (!r->options.shares_host_memory)
            tags_at(r, in->data, size_bytes);
    }
    check_apart(node);
    for (int i = 0; i < node->n_outputs; i++) {
        const lm_tensor *out = node->out[i];
        size_t size_bytes = bytes_now(out, extents);
        if (buffer_of(r, out->data, size_bytes) || !r->options.shares_host_memory)
            set_tags(r, out->data, size_bytes, out->id);
    }
}

static loam_status recording_run(lm_device *device, const lm_step *steps, int n_steps,
                                 const int64_t *extents, void *workspace, int64_t *profile_ns,
                                 loam_error *err) {
    recording_device *r = recording_of(device);
    LM_TRY(work(r, err));
    record(r, (recording_event){RECORDED_RUN, .at = steps});
    for (int i = 0; i < n_steps; i++) {
        assert_int_equal(steps[i].node->id, i);
        run_step(r, &steps[i], extents, workspace);
        if (profile_ns) profile_ns[i] += i + 1;
    }
    return LOAM_OK;
}

void recording_fill(recording_device *r, const lm_tensor *tensor) {
    set_tags(r, tensor->data, lm_tensor_bytes(tensor), TAG_HOST);
}

void recording_check(const recording_device *r, const lm_tensor *tensor) {
    check_tags(r, tensor, lm_tensor_bytes(tensor));
}

/* --- Packing: every byte twice */

static size_t recording_packed_bytes(const lm_device *device, const lm_weight *weight) {
    if (weight->layout != LM_LAYOUT_ROWS || weight->n_dims != 2) return 0;
    return 2 * lm_dtype_bytes(weight->dtype, weight->shape[0] * weight->shape[1]);
}

static void recording_pack(lm_device *device, const lm_weight *weight, void *dst, lm_weight *out) {
    size_t size_bytes = recording_packed_bytes(device, weight);
    record(recording_of(device), (recording_event){RECORDED_PACK, .size_bytes = size_bytes});
    memcpy(dst, weight->data, size_bytes / 2); /* both are the host's */
    memcpy((char *)dst + size_bytes / 2, weight->data, size_bytes / 2);
    *out = *weight;
    out->layout = LM_LAYOUT_PANELS;
    out->data = dst;
}

static const char *recording_pack_order(const lm_device *device) {
    return "recording-1";
}

/* --- The rest */

static void recording_parallel(lm_device *device, void (*fn)(void *arg, int thread, int n_threads),
                               void *arg) {
    record(recording_of(device), (recording_event){RECORDED_PARALLEL});
    for (int thread = 0; thread < device->n_threads; thread++) fn(arg, thread, device->n_threads);
}

static size_t recording_memory_bytes(const lm_device *device) {
    return ((const recording_device *)device)->options.memory_bytes;
}

static void recording_close(lm_device *device) {
    recording_device *r = recording_of(device);
    for (int i = 0; i < RECORDING_MAX_BUFFERS; i++) {
        if (r->buffers[i].at)
            fail_msg("a buffer of %zu bytes was never freed", r->buffers[i].size_bytes);
    }
    free(r->events);
    r->events = NULL;
}

void recording_open(recording_device *r, const recording_options *options) {
    /* One backend for every set of optional members. */
    static const lm_backend backend = {
        .name = "recording",
        .close = recording_close,
        .alloc = recording_alloc,
        .free = recording_free,
        .select = recording_select,
        .run = recording_run,
    };
    *r = (recording_device){.options = *options, .backend = backend};
    r->backend.transfer = options->shares_host_memory ? NULL : &transfer;
    if (options->packs) {
        r->backend.packed_bytes = recording_packed_bytes;
        r->backend.pack = recording_pack;
        r->backend.pack_order = recording_pack_order;
    }
    r->backend.memory_bytes = options->memory_bytes ? recording_memory_bytes : NULL;
    r->backend.parallel = options->has_threads ? recording_parallel : NULL;
    r->base = (lm_device){.backend = &r->backend, .n_threads = options->has_threads ? 2 : 1};
    r->events = malloc(RECORDING_MAX_EVENTS * sizeof *r->events);
    assert_non_null(r->events);
}

void recording_forget(recording_device *r) {
    r->n_events = 0;
}

int recording_count(const recording_device *r, recording_kind kind) {
    int n = 0;
    for (int i = 0; i < r->n_events; i++) n += r->events[i].kind == kind;
    return n;
}

const recording_event *recording_get(const recording_device *r, recording_kind kind, int i) {
    for (int e = 0; e < r->n_events; e++)
        if (r->events[e].kind == kind && i-- == 0) return &r->events[e];
    fail_msg("there is no such event");
    return NULL;
}

size_t recording_bytes(const recording_device *r, recording_kind kind) {
    size_t sum = 0;
    for (int i = 0; i < r->n_events; i++)
        if (r->events[i].kind == kind) sum += r->events[i].size_bytes;
    return sum;
}
