/* The CPU device: opening, memory and choice of kernels. */
#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/cpu.h"
#include "base/mem.h"

enum { CPU_ALIGNMENT = 64, HUGE_PAGE_BYTES = 2 << 20 };

static lm_cpu_device *cpu_of(lm_device *device) {
    return (lm_cpu_device *)device;
}

/* A line of isas.def. */
typedef struct isa_row {
    const char *name;
    bool (*present)(const lm_cpu *cpu);
} isa_row;

#define LM_CPU_ISA(id, name, present)         \
    static bool has_##id(const lm_cpu *cpu) { \
        return present;                       \
    }
#include "backend/cpu/isas.def"
#undef LM_CPU_ISA

static const isa_row isas[] = {
    [LM_CPU_SCALAR] = {"scalar", NULL},
#define LM_CPU_ISA(id, name, present) [LM_CPU_##id] = {name, has_##id},
#include "backend/cpu/isas.def"
#undef LM_CPU_ISA
};

const char *lm_cpu_isa_name(lm_cpu_isa isa) {
    return isas[isa].name;
}

static loam_status unknown_isa(const char *name, loam_error *err) {
    char known[128] = "";
    for (int i = 0; i < LM_CPU_N_ISAS; i++) {
        size_t length = strlen(known);
        snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "", isas[i].name);
    }
    return lm_error_set(err, LOAM_INVALID, "instruction set '%s' is not one of %s", name, known);
}

/* The best set that the machine has, `cap` (NULL: any) or one before it. */
static loam_status choose_isa(const char *cap, lm_cpu_device *device, loam_error *err) {
    int limit = LM_CPU_N_ISAS - 1;
    if (cap) {
        for (limit = 0; limit < LM_CPU_N_ISAS && strcmp(isas[limit].name, cap) != 0;) limit++;
        if (limit == LM_CPU_N_ISAS) return unknown_isa(cap, err);
    }
    const lm_cpu *cpu = lm_cpu_get();
    int isa = LM_CPU_SCALAR;
    while (isa < limit && isas[isa + 1].present(cpu)) isa++;
#if defined(__x86_64__)
    /* Some makers' dot products take twice the time of the multiplications that they stand for; ask for them by name. */
    if (!cap && isa == LM_CPU_AVX512_BF16 && !cpu->bf16_dot_is_fast) isa = LM_CPU_AVX512;
#endif
    device->isa = (lm_cpu_isa)isa;
#if defined(__x86_64__)
    device->vnni = device->isa >= LM_CPU_AVX512 && cpu->avx512_vnni;
    device->bf16 = device->isa >= LM_CPU_AVX512 && cpu->avx512_bf16;
#endif
    return LOAM_OK;
}

static void list_references(lm_cpu_device *device) {
    static const char *const names[] = {
#define LM_OP(id, name) #name "/reference",
#include "compute/ops.def"
#undef LM_OP
    };
    for (int op = 0; op < LM_OP_COUNT; op++)
        device->references[op] =
            (lm_kernel){.name = names[op], .run = lm_op_get((lm_op_id)op)->reference};
}

static void cpu_close(lm_device *device) {
    lm_pool_free(cpu_of(device)->pool);
    lm_free(device);
}

static loam_status cpu_open(const lm_device_options *options, lm_device **out, loam_error *err) {
    lm_cpu_device *device = lm_calloc(1, sizeof *device);
    if (!device) return lm_error_no_memory(err, sizeof *device);
    device->base.backend = &lm_backend_cpu;
    loam_status status = choose_isa(options->isa, device, err);
    if (status == LOAM_OK) status = lm_pool_new(options->n_threads, &device->pool, err);
    if (status != LOAM_OK) {
        cpu_close(&device->base);
        return status;
    }
    device->base.n_threads = lm_pool_n_threads(device->pool);
    list_references(device);
    *out = &device->base;
    return LOAM_OK;
}

/* Zero pages straight from the system: memory that is never touched, as in a roomy KV cache, costs nothing; large buffers
 * get huge pages. The block's own address stands before the aligned one. */
static loam_status cpu_alloc(lm_device *device, size_t size_bytes, void **out, loam_error *err) {
    size_t alignment = size_bytes >= 2 * HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : CPU_ALIGNMENT, total;
    if (!lm_checked_add_size(size_bytes, alignment + sizeof(void *), &total))
        return lm_error_no_memory(err, size_bytes);
    void *block = lm_calloc(1, total);
    if (!block) return lm_error_no_memory(err, size_bytes);
    void **buffer =
        (void **)(((uintptr_t)block + sizeof(void *) + alignment - 1) / alignment * alignment);
    buffer[-1] = block;
    if (alignment == HUGE_PAGE_BYTES) madvise(buffer, size_bytes, MADV_HUGEPAGE);
    *out = buffer;
    return LOAM_OK;
}

static void cpu_free(lm_device *device, void *buffer) {
    if (buffer) lm_free(((void **)buffer)[-1]);
}

static const lm_kernel *cpu_select(const lm_device *device, const lm_node *node) {
    int n;
    const lm_cpu_kernel *list = lm_cpu_kernels(&n);
    for (int i = 0; i < n; i++) {
        if (list[i].op != node->op) continue;
        if (!list[i].kernel->applies || list[i].kernel->applies(device, node))
            return list[i].kernel;
    }
    return &lm_cpu_of(device)->references[node->op];
}

static void cpu_parallel(lm_device *device, void (*fn)(void *arg, int thread, int n_threads),
                         void *arg) {
    lm_pool_run(cpu_of(device)->pool, fn, arg);
}

const lm_backend lm_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .select = cpu_select,
    .packed_bytes = lm_cpu_packed_bytes,
    .pack = lm_cpu_pack,
    .pack_order = lm_cpu_pack_order,
    .run = lm_cpu_run,
    .parallel = cpu_parallel,
};
