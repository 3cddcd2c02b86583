#include "cli/show_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/cpu/cpu.h"
#include "base/usable.h"
#include "model/footprint.h"
#include "model/model_file.h"

enum { DEFAULT_CONTEXT = 4096 };

/* Types to propose, from large to small. */
static const char *const proposed[] = {"Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q3_K_M", "Q2_K"};

const char *lm_size_text(double n_bytes, char out[32]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; n_bytes >= 1024 && unit + 1 < LM_COUNT_OF(units); unit++) n_bytes /= 1024;
    snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", n_bytes, units[unit]);
    return out;
}

/* "24GiB", "24G", "24GB" (powers of ten), "1073741824". */
static loam_status parse_size(const char *text, size_t *out, loam_error *err) {
    static const char letters[] = "KMGT";
    char *end;
    double value = strtod(text, &end);
    const char *letter = *end ? strchr(letters, *end & ~0x20) : NULL;
    bool decimal = letter && strcasecmp(end + 1, "B") == 0;
    bool binary = letter && (end[1] == '\0' || strcasecmp(end + 1, "iB") == 0);
    for (int i = 0; letter && i <= letter - letters; i++) value *= decimal ? 1000 : 1024;
    if (end == text || !(value >= 1 && value < 1e18) || (*end && !decimal && !binary)) {
        lm_error_set(err, LOAM_INVALID, "'%s' is no size of memory", text);
        return lm_error_hint(err, LOAM_INVALID, "write 24GiB, 24GB, or a number of bytes");
    }
    *out = (size_t)value;
    return LOAM_OK;
}

loam_status lm_show_memory_check(const lm_show_memory_options *options, loam_error *err) {
    size_t memory;
    lm_dtype dtype;
    if (options->memory) LM_TRY(parse_size(options->memory, &memory, err));
    if (!lm_dtype_parse(options->kv_dtype, &dtype))
        return lm_error_set(err, LOAM_INVALID, "unknown element type '%s' for the cache",
                            options->kv_dtype);
    return lm_kv_dtype_check(dtype, err);
}

/* --- Measuring. */

static loam_status read_limits(const char *path, const lm_show_memory_options *o,
                               lm_session_options *out, int64_t *out_model_context,
                               loam_error *err) {
    lm_model_file *file;
    LM_TRY(lm_model_file_open(path, &file, err));
    int64_t context_len = lm_model_file_hparams(file)->context_len;
    lm_model_file_close(file);
    int64_t usual = context_len < DEFAULT_CONTEXT ? context_len : DEFAULT_CONTEXT;
    *out =
        (lm_session_options){.max_seqs = o->batch, .max_context = o->context ? o->context : usual};
    *out_model_context = context_len;
    LM_ASSERT(lm_dtype_parse(o->kv_dtype, &out->kv_dtype));
    return LOAM_OK;
}

static json_t *parts_json(const lm_footprint *f) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "packed_bytes", (json_int_t)f->packed_bytes,
                     "stored_bytes", (json_int_t)f->stored_bytes, "cache_bytes",
                     (json_int_t)f->cache_bytes, "state_bytes", (json_int_t)f->state_bytes,
                     "step_bytes", (json_int_t)f->step_bytes, "process_bytes",
                     (json_int_t)f->process_bytes);
}

static json_int_t number_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

int64_t lm_show_context_in(const json_t *memory, int64_t n_bytes) {
    int64_t cache = number_of(json_object_get(memory, "parts"), "cache_bytes"),
            fixed = number_of(memory, "total_bytes") - cache,
            each = number_of(memory, "token_cache_bytes") * number_of(memory, "batch"),
            most = number_of(memory, "model_context");
    if (fixed >= n_bytes) return 0;
    if (each <= 0) return most; /* no layer attends */
    int64_t n = (n_bytes - fixed) / each;
    n -= n % LM_KV_BLOCK_TOKENS; /* of whole blocks */
    return n < most ? n : most;
}

/* What machines as they are sold would hold, up to the first that holds everything. */
static json_t *machines_json(const json_t *memory) {
    static const int sizes_gib[] = {4, 8, 16, 24, 32, 64, 128, 256, 512, 1024};
    json_t *machines = json_array();
    int64_t context = 0, most = number_of(memory, "model_context");
    for (size_t i = 0; i < LM_COUNT_OF(sizes_gib) && context < most; i++) {
        int64_t n_bytes = (int64_t)sizes_gib[i] << 30;
        context = lm_show_context_in(memory, n_bytes - n_bytes / LM_SHOW_SYSTEM_SHARE);
        json_array_append_new(machines,
                              json_pack("{s:I, s:I, s:b}", "memory_bytes", (json_int_t)n_bytes,
                                        "longest_context", (json_int_t)context, "fits",
                                        context >= number_of(memory, "context")));
    }
    return machines;
}

/* Types that would take less than the file's do. */
static loam_status propose(const char *path, lm_device *device, const lm_footprint *now,
                           size_t memory, json_t *out, loam_error *err) {
    size_t weights = now->packed_bytes + now->stored_bytes;
    for (size_t i = 0; i < LM_COUNT_OF(proposed); i++) {
        lm_footprint other;
        LM_TRY(lm_footprint_as_mix(path, device, lm_mix_find(proposed[i]), now, &other, err));
        if (other.packed_bytes + other.stored_bytes > weights / 100 * 97) continue;
        size_t total = lm_footprint_total(&other);
        json_array_append_new(out, json_pack("{s:s, s:I, s:b}", "type", proposed[i], "total_bytes",
                                             (json_int_t)total, "fits", total <= memory));
    }
    return LOAM_OK;
}

static loam_status describe(const char *path, const lm_show_memory_options *o, lm_device *device,
                            json_t **out, loam_error *err) {
    lm_session_options session;
    lm_footprint now;
    int64_t model_context;
    lm_machine_memory machine = lm_machine_memory_read();
    size_t memory = machine.available_bytes;
    if (o->memory) LM_TRY(parse_size(o->memory, &memory, err));
    LM_TRY(read_limits(path, o, &session, &model_context, err));
    LM_TRY(lm_footprint_measure(path, device, &session, &now, err));
    size_t total = lm_footprint_total(&now);
    json_t *smaller = json_array();
    loam_status status = propose(path, device, &now, memory, smaller, err);
    if (status != LOAM_OK) {
        json_decref(smaller);
        return status;
    }
    *out = json_pack("{s:I, s:I, s:s, s:I, s:o, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:o}", "context",
                     (json_int_t)session.max_context, "batch", (json_int_t)session.max_seqs,
                     "kv_dtype", o->kv_dtype, "total_bytes", (json_int_t)total, "parts",
                     parts_json(&now), "token_cache_bytes", (json_int_t)now.token_cache_bytes,
                     "index_cache_bytes", (json_int_t)now.index_cache_bytes, "machine_bytes",
                     (json_int_t)(o->memory ? memory : machine.total_bytes), "available_bytes",
                     (json_int_t)memory, "here", o->memory == NULL, "fits", total <= memory,
                     "model_context", (json_int_t)model_context, "smaller", smaller);
    json_object_set_new(*out, "longest_context",
                        json_integer(lm_show_context_in(*out, (int64_t)memory)));
    json_object_set_new(*out, "machines", machines_json(*out));
    return LOAM_OK;
}

loam_status lm_show_memory(const char *path, const lm_show_memory_options *options, json_t **out,
                           loam_error *err) {
    lm_device *device;
    LM_TRY(lm_backend_cpu.open(&(lm_device_options){.n_threads = (int)options->threads}, &device,
                               err));
    loam_status status = describe(path, options, device, out, err);
    lm_device_close(device);
    return status;
}

/* --- Printing. */

static const char *size_of(const json_t *object, const char *key, char out[32]) {
    return lm_size_text((double)json_integer_value(json_object_get(object, key)), out);
}

static void print_fit(const json_t *m) {
    char free_text[32], all[32];
    bool fits = json_is_true(json_object_get(m, "fits")),
         here = json_is_true(json_object_get(m, "here"));
    printf("%s", fits ? "fits          " : "does not fit  ");
    if (here)
        printf("here, where %s of %s are free", size_of(m, "available_bytes", free_text),
               size_of(m, "machine_bytes", all));
    else
        printf("into %s", size_of(m, "available_bytes", all));
    if (number_of(m, "longest_context") > 0)
        printf("; %lld tokens of context would", number_of(m, "longest_context"));
    putchar('\n');
}

static void print_smaller(const json_t *smaller) {
    size_t i;
    json_t *row;
    char size[32];
    if (json_array_size(smaller) == 0) return;
    printf("smaller       ");
    json_array_foreach(smaller, i, row) {
        printf("%s%s %s%s", i ? ", " : "", json_string_value(json_object_get(row, "type")),
               size_of(row, "total_bytes", size),
               json_is_true(json_object_get(row, "fits")) ? "" : " (does not fit)");
    }
    putchar('\n');
}

/* "8 GiB 12288 tokens, 16 GiB 40960, all that the model can" */
static void print_machines(const json_t *m) {
    size_t i;
    json_t *row;
    const char *separator = "";
    const json_t *machines = json_object_get(m, "machines");
    printf("elsewhere     ");
    json_array_foreach(machines, i, row) {
        char size[32];
        long long context = number_of(row, "longest_context");
        if (context == 0) continue;
        printf("%s%s %lld%s", separator, size_of(row, "memory_bytes", size), context,
               *separator ? "" : " tokens");
        separator = ", ";
    }
    row = json_array_get(machines, json_array_size(machines) - 1);
    if (!*separator) printf("no machine of up to 1 TiB");
    if (number_of(row, "longest_context") == number_of(m, "model_context"))
        printf(", all that the model can");
    printf("; a sixteenth is left to the system\n");
}

void lm_show_memory_print(const json_t *m) {
    const json_t *parts = json_object_get(m, "parts");
    char text[6][32], index[64] = "", states[48] = "", size[32];
    if (number_of(m, "index_cache_bytes") > 0)
        snprintf(index, sizeof index, " (%s of it what an indexer reads)",
                 size_of(m, "index_cache_bytes", size));
    if (number_of(parts, "state_bytes") > 0)
        snprintf(states, sizeof states, " and %s of states", size_of(parts, "state_bytes", size));
    printf("memory        %s to serve %lld at once with %lld tokens each, keys and values as %s\n",
           size_of(m, "total_bytes", text[0]), number_of(m, "batch"), number_of(m, "context"),
           json_string_value(json_object_get(m, "kv_dtype")));
    printf("              %s weights, packed; %s weights read from the file; %s cache%s, %s a "
           "token%s;\n"
           "              %s values of a step; %s program and tokenizer\n",
           size_of(parts, "packed_bytes", text[0]), size_of(parts, "stored_bytes", text[1]),
           size_of(parts, "cache_bytes", text[2]), index, size_of(m, "token_cache_bytes", text[3]),
           states, size_of(parts, "step_bytes", text[4]), size_of(parts, "process_bytes", text[5]));
    print_fit(m);
    print_machines(m);
    print_smaller(json_object_get(m, "smaller"));
}
