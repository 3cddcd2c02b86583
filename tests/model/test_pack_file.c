/* The packed file holds what packing gives, is believed only while it is as it must be, and is made by one of many. */
#include "golden/golden.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "model/gguf_writer.h"
#include "model/hparams_write.h"
#include "model/model_file.h"
#include "model/pack_table.h"

enum { N_WEIGHTS = 3 };

/* Three matrices of a model that does not exist. */
typedef struct fixture {
    char *dir, *path;
    lm_device *device;
    lm_file_map data[N_WEIGHTS]; /* as a model's: packing gives its pages back */
    lm_weight stored[N_WEIGHTS], weights[N_WEIGHTS];
    lm_weight *list[N_WEIGHTS];
    lm_pack_plan plan;
} fixture;

static size_t stored_bytes(const lm_weight *w) {
    return lm_dtype_bytes(w->dtype, w->shape[0] * w->shape[1]);
}

static void reset_weights(fixture *f) {
    memcpy(f->weights, f->stored, sizeof f->weights);
}

/* n random bytes in a file that is mapped and has no name any more. */
static lm_file_map map_random(const char *path, size_t n, uint64_t seed) {
    lm_rng rng;
    lm_rng_init(&rng, seed);
    uint8_t *bytes = lm_alloc(n);
    for (size_t at = 0; at < n; at++) bytes[at] = (uint8_t)lm_rng_u64(&rng);
    assert_ok(lm_file_write_atomic(path, bytes, n, &err));
    lm_free(bytes);
    lm_file_map map;
    assert_ok(lm_file_map_open(path, &map, &err));
    assert_int_equal(unlink(path), 0);
    return map;
}

static int set_up(void **state) {
    fixture *f = *state = lm_calloc(1, sizeof *f);
    f->dir = test_temp_dir();
    f->path = lm_path_join(f->dir, "m.loam-pack");
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &f->device, &err));
    static const lm_weight shapes[N_WEIGHTS] = {
        {.name = "a", .dtype = LM_F32, .n_dims = 2, .shape = {33, 64}},
        {.name = "b", .dtype = LM_BF16, .n_dims = 2, .shape = {48, 96}},
        {.name = "c", .dtype = LM_F32, .n_dims = 2, .shape = {700, 1024}}}; /* several chunks */
    for (int i = 0; i < N_WEIGHTS; i++) {
        f->stored[i] = shapes[i];
        f->data[i] = map_random(f->path, stored_bytes(&shapes[i]), (uint64_t)i);
        f->stored[i].data = f->data[i].ptr;
        f->list[i] = &f->weights[i];
    }
    reset_weights(f);
    f->plan = (lm_pack_plan){f->device, {1000, 2000, 3000}, f->list, N_WEIGHTS};
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    for (int i = 0; i < N_WEIGHTS; i++) lm_file_map_close(&f->data[i]);
    assert_ok(lm_file_remove_tree(f->dir, &err));
    lm_device_close(f->device);
    lm_free(f->path);
    lm_free(f->dir);
    lm_free(f);
    return 0;
}

/* Calls, and that they go forward. */
typedef struct progress {
    size_t n_calls, n_done, n_bytes;
} progress;

static void follow(void *ctx, size_t n_done, size_t n_bytes) {
    progress *p = ctx;
    assert_true(p->n_calls == 0 || n_done > p->n_done);
    assert_true(n_done < n_bytes);
    *p = (progress){p->n_calls + 1, n_done, n_bytes};
}

static bool can_pack(const fixture *f) {
    return lm_device_packed_bytes(f->device, &f->weights[0]) > 0;
}

static void test_holds_what_packing_gives(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip(); /* a machine whose kernels read weights as they are */
    lm_file_map map;
    assert_status(LOAM_NOT_FOUND, lm_pack_file_open(f->path, &f->plan, &map, &err));
    progress seen = {0};
    f->plan.on_progress = follow;
    f->plan.progress_ctx = &seen;
    assert_ok(lm_pack_file_make(f->path, &f->plan, &err));
    assert_int_equal(seen.n_calls, N_WEIGHTS);
    assert_int_equal(seen.n_bytes, lm_pack_plan_bytes(&f->plan));
    assert_ok(lm_pack_file_open(f->path, &f->plan, &map, &err));
    lm_pack_file_use(&map, &f->plan);
    for (int i = 0; i < N_WEIGHTS; i++) {
        lm_weight packed;
        assert_ok(lm_device_pack(f->device, &f->stored[i], &packed, &err));
        assert_int_equal(f->weights[i].layout, packed.layout);
        assert_int_equal((uintptr_t)f->weights[i].data % LM_PACK_ALIGNMENT, 0);
        assert_memory_equal(f->weights[i].data, packed.data,
                            lm_device_packed_bytes(f->device, &f->stored[i]));
        lm_device_free(f->device, (void *)packed.data);
    }
    lm_file_map_close(&map);
}

static loam_status open_status(fixture *f) {
    lm_file_map map = {0};
    loam_status status = lm_pack_file_open(f->path, &f->plan, &map, NULL);
    if (status == LOAM_OK) lm_file_map_close(&map);
    return status;
}

static void test_refuses_what_it_does_not_expect(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip();
    assert_ok(lm_pack_file_make(f->path, &f->plan, &err));
    f->plan.source.mtime_ns++;
    assert_int_equal(open_status(f), LOAM_INVALID);
    f->plan.source.mtime_ns--;
    f->weights[1].shape[0] = 47; /* the same bytes packed, of another matrix */
    assert_int_equal(open_status(f), LOAM_INVALID);
    reset_weights(f);
    f->plan.n--;
    assert_int_equal(open_status(f), LOAM_INVALID);
    f->plan.n++;
    assert_int_equal(open_status(f), LOAM_OK);
    lm_file_map map;
    assert_ok(
        lm_pack_file_open(f->path, &f->plan, &map, &err)); /* outlives a new one in its place */
    f->plan.source.size_bytes++;
    assert_ok(lm_pack_file_make(f->path, &f->plan, &err));
    assert_int_equal(open_status(f), LOAM_OK);
    assert_int_equal(map.ptr[0], 'L');
    lm_file_map_close(&map);
}

static const char *another_order(const lm_device *device) {
    return "another-1";
}

/* Packs as the CPU does, but for one bit. */
static void pack_anew(lm_device *device, const lm_weight *weight, void *dst, lm_weight *out) {
    lm_backend_cpu.pack(device, weight, dst, out);
    *(uint8_t *)dst ^= 1;
}

static void test_refuses_another_order(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip();
    assert_ok(lm_pack_file_make(f->path, &f->plan, &err));
    lm_backend other = lm_backend_cpu;
    other.pack_order = another_order;
    f->device->backend = &other;
    assert_int_equal(open_status(f), LOAM_INVALID);
    other = lm_backend_cpu;
    other.pack = pack_anew; /* forgot to change the name */
    assert_int_equal(open_status(f), LOAM_INVALID);
    f->device->backend = &lm_backend_cpu;
    assert_int_equal(open_status(f), LOAM_OK);
}

static void write_damaged(const char *path, char *bytes, size_t size, size_t at) {
    bytes[at] ^= 0x10;
    assert_ok(lm_file_write_atomic(path, bytes, size, &err));
    bytes[at] ^= 0x10;
}

static void test_finds_damage_anywhere(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip();
    assert_ok(lm_pack_file_make(f->path, &f->plan, &err));
    char *bytes;
    size_t size, table_bytes = lm_pack_table_bytes(N_WEIGHTS);
    assert_ok(lm_file_read(f->path, 1 << 30, &bytes, &size, &err));
    for (size_t at = 0; at < size; at += at < table_bytes ? 3 : size / 50) {
        if (at >= table_bytes && at < (table_bytes + 63) / 64 * 64) continue; /* between the two */
        write_damaged(f->path, bytes, size, at);
        if (open_status(f) == LOAM_OK) fail_msg("byte %zu may change unseen", at);
    }
    static const size_t cuts[] = {0, 1, 100, 500};
    for (size_t i = 0; i < LM_COUNT_OF(cuts); i++) {
        assert_ok(lm_file_write_atomic(f->path, bytes, cuts[i], &err));
        assert_int_equal(open_status(f), LOAM_CORRUPT);
    }
    assert_ok(lm_file_write_atomic(f->path, bytes, size - 1, &err));
    assert_int_equal(open_status(f), LOAM_CORRUPT);
    lm_free(bytes);
}

/* The disk is full in the midst of the file, and nothing stays behind. */
static void test_full_disk(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip();
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {1 << 20, 1 << 20};
        setrlimit(RLIMIT_FSIZE, &limit);
        lm_device *device; /* threads do not survive the fork */
        loam_status status =
            lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, NULL);
        f->plan.device = device;
        if (status == LOAM_OK) status = lm_pack_file_make(f->path, &f->plan, NULL);
        _exit(status == LOAM_IO && rmdir(f->dir) == 0 ? 0 : 1);
    }
    int end;
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 0);
    assert_int_equal(mkdir(f->dir, 0700), 0);
}

static void *make_in_thread(void *arg) {
    fixture *f = arg;
    lm_device *device;
    lm_weight weights[N_WEIGHTS];
    lm_weight *list[N_WEIGHTS] = {&weights[0], &weights[1], &weights[2]};
    memcpy(weights, f->stored, sizeof weights);
    loam_status status = lm_backend_cpu.open(&(lm_device_options){.n_threads = 1}, &device, NULL);
    if (status != LOAM_OK) return f;
    lm_pack_plan plan = {device, f->plan.source, list, N_WEIGHTS};
    status = lm_pack_file_make(f->path, &plan, NULL);
    lm_device_close(device);
    return status == LOAM_OK ? NULL : f;
}

static void test_many_make_one(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_in_thread, f), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(open_status(f), LOAM_OK);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rmdir(f->dir), 0); /* nothing but the file was left */
    assert_int_equal(mkdir(f->dir, 0700), 0);
}

/* --- Through a model. */

static void logits_of(const char *path, const lm_pack_places *places, float out[GOLDEN_VOCAB]) {
    golden_model g;
    assert_ok(lm_backend_cpu.open(&(lm_device_options){.n_threads = 2}, &g.device, &err));
    lm_model_options options = {.pack_places = *places};
    assert_ok(lm_model_open(path, g.device, &options, &g.model, &err));
    lm_session *session = golden_session(&g, (lm_session_options){0});
    int32_t seq;
    assert_ok(lm_session_seq_new(session, &seq, &err));
    lm_step_row rows[2] = {{.token = 3, .seq = seq}, {.token = 4, .seq = seq, .want_logits = true}};
    assert_ok(lm_session_step(session, rows, 2, &err));
    memcpy(out, lm_session_logits(session, 0), GOLDEN_VOCAB * sizeof *out);
    lm_session_free(session);
    golden_close(&g);
}

static void test_model_keeps_its_file(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip();
    char *dir = golden_folder("biased", "biased"), *beside = lm_path_join(dir, "model.loam-pack");
    char *cache = lm_path_join(f->dir, "made/here"),
         *tensors = lm_path_join(dir, "model.safetensors");
    float want[GOLDEN_VOCAB], got[GOLDEN_VOCAB];
    logits_of(dir, &(lm_pack_places){0}, want);
    logits_of(dir, &(lm_pack_places){.beside = true}, got); /* too small to be worth it */
    assert_false(lm_file_exists(beside) || lm_file_exists(cache));
    for (int i = 0; i < 3; i++) { /* made, used, and made anew after the model was touched */
        logits_of(dir, &(lm_pack_places){.beside = true, .dir = cache, .min_bytes = 1}, got);
        assert_memory_equal(got, want, sizeof want);
        assert_true(lm_file_exists(beside));
        if (i == 1) assert_int_equal(utimes(tensors, NULL), 0);
    }
    assert_false(lm_file_exists(cache));
    logits_of(dir, &(lm_pack_places){.dir = cache, .min_bytes = 1}, got);
    assert_true(lm_file_is_dir(cache));
    assert_memory_equal(got, want, sizeof want);
    logits_of(dir, &(lm_pack_places){.dir = tensors, .min_bytes = 1},
              got); /* no folder: in memory */
    assert_memory_equal(got, want, sizeof want);
    assert_ok(lm_file_remove_tree(dir, &err));
    lm_free(tensors);
    lm_free(cache);
    lm_free(beside);
    lm_free(dir);
}

/* The model of `from` in two files: numbers and vocabulary in the first, all tensors in the second. */
static void split_model(const char *from, const char *first, const char *second) {
    const char *const paths[] = {first, second};
    lm_model_file *file;
    assert_ok(lm_model_file_open(from, &file, &err));
    lm_arch_config config = {.arch = lm_arch_find("llama"),
                             .hparams = *lm_model_file_hparams(file)};
    size_t n = lm_model_file_n_tensors(file);
    for (uint32_t part = 0; part < 2; part++) {
        lm_gguf_writer *writer = lm_gguf_writer_new();
        if (part == 0) lm_hparams_write_gguf(&config, writer);
        lm_gguf_writer_add_u32(writer, "split.no", part);
        lm_gguf_writer_add_u32(writer, "split.count", 2);
        lm_gguf_writer_add_u32(writer, "split.tensors.count", (uint32_t)n);
        for (size_t i = 0; part == 1 && i < n; i++) {
            const lm_stored_tensor *t = lm_model_file_tensor_at(file, i);
            assert_ok(lm_gguf_writer_add_tensor(writer, t->name, t->type->dtype, t->n_dims,
                                                t->shape, &err));
        }
        assert_ok(lm_gguf_writer_begin(writer, paths[part], &err));
        for (size_t i = 0; part == 1 && i < n; i++) {
            const lm_stored_tensor *t = lm_model_file_tensor_at(file, i);
            assert_ok(lm_gguf_writer_write(writer, t->data, t->size_bytes, &err));
        }
        assert_ok(lm_gguf_writer_commit(writer, &err));
        lm_gguf_writer_free(writer);
    }
    lm_model_file_close(file);
}

static ino_t inode_of(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

static void set_time(const char *path, time_t s) {
    const struct timeval times[2] = {{.tv_sec = s}, {.tv_sec = s}};
    assert_int_equal(utimes(path, times), 0);
}

/* The second part alone changes, and stays older than the first. */
static void test_all_parts_count(void **state) {
    fixture *f = *state;
    if (!can_pack(f)) skip();
    char *whole = golden_path("plain", ".gguf"), *beside = NULL,
         *first = lm_path_join(f->dir, "m-00001-of-00002.gguf"),
         *second = lm_path_join(f->dir, "m-00002-of-00002.gguf");
    const lm_pack_places places = {.beside = true, .min_bytes = 1};
    float want[GOLDEN_VOCAB], got[GOLDEN_VOCAB];
    beside = lm_asprintf("%s.loam-pack", first);
    split_model(whole, first, second);
    set_time(first, 3000);
    set_time(second, 1000);
    logits_of(whole, &(lm_pack_places){0}, want);
    logits_of(first, &places, got);
    assert_memory_equal(got, want, sizeof want);
    ino_t made = inode_of(beside);
    logits_of(first, &places, got);
    assert_int_equal(inode_of(beside), made);
    set_time(second, 2000);
    logits_of(first, &places, got);
    assert_memory_equal(got, want, sizeof want);
    assert_int_not_equal(inode_of(beside), made);
    lm_free(whole);
    lm_free(beside);
    lm_free(first);
    lm_free(second);
}

int main(void) {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_holds_what_packing_gives),
        TEST(test_refuses_what_it_does_not_expect),
        TEST(test_refuses_another_order),
        TEST(test_finds_damage_anywhere),
        TEST(test_full_disk),
        TEST(test_many_make_one),
        TEST(test_model_keeps_its_file),
        TEST(test_all_parts_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
