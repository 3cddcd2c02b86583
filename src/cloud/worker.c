/* One replica: its worker process, its journal, its row. */
#include <signal.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cloud/job_files.h"
#include "cloud/replicas_internal.h"
#include "cloud/table/version.h"

enum { START_TIMEOUT_MS = 300000, DRAIN_TIMEOUT_MS = 30000, PORT_FILE_BYTES = 32 };

char *lm_worker_dir(const lm_replicas *replicas, const char *replica_id) {
    return lm_asprintf("%s/replicas/%s", replicas->options.home, replica_id);
}

void lm_worker_deinit(lm_worker *worker) {
    lm_meter_free(worker->meter);
    worker->meter = NULL;
}

/* ---- the row ---- */

static loam_status save_in_store(lm_db *db, void *arg, loam_error *err) {
    const lm_replica *row = arg;
    lm_replica before;
    lm_arena arena;
    lm_arena_init(&arena, 0, 0);
    loam_status status = lm_replica_by_id(db, row->id, &arena, &before, err);
    if (status == LOAM_OK) {
        lm_replica after = *row;
        after.journal_slot = before.journal_slot; /* the meter's */
        status = lm_table_update(db, &lm_replica_table, &after, err);
    }
    lm_arena_deinit(&arena);
    return status;
}

static loam_status save(lm_replicas *replicas, lm_replica *row, loam_error *err) {
    return lm_store_call(replicas->options.store, save_in_store, row, err);
}

/* ---- starting ---- */

typedef struct version_query {
    lm_replicas *replicas;
    const lm_replica *row;
    lm_version version;
} version_query;

static loam_status load_version(lm_db *db, void *arg, loam_error *err) {
    version_query *q = arg;
    return lm_version_get(db, q->row->project_id, q->row->version_id, &q->replicas->arena,
                          &q->version, err);
}

static loam_status launch(lm_replicas *replicas, const lm_replica *row, const char *dir,
                          loam_error *err) {
    lm_arena *arena = &replicas->arena;
    version_query q = {.replicas = replicas, .row = row};
    char *single = NULL, *view = lm_arena_printf(arena, "%s/model", dir),
         *port = lm_arena_printf(arena, "%s/port", dir);
    char *journal = lm_arena_printf(arena, "%s/journal", dir);
    char *packs = lm_arena_printf(arena, "%s/packs", replicas->options.home); /* shared by all */
    if (!view || !port || !journal || !packs) return lm_error_no_memory(err, 1);
    LM_TRY(lm_store_call(replicas->options.store, load_version, &q, err));
    if (!q.version.files)
        return lm_error_set(err, LOAM_CONFLICT, "the model's version is not ready");
    LM_TRY(
        lm_registry_materialize(replicas->options.registry, q.version.files, view, &single, err));
    const char *argv[] = {replicas->options.program,
                          "serve",
                          single ? single : view,
                          "--host",
                          "127.0.0.1",
                          "--port",
                          "0",
                          "--port-file",
                          port,
                          "--name",
                          row->model,
                          "--usage-journal",
                          journal,
                          "--pack-dir",
                          packs,
                          NULL};
    lm_process_spec spec = {
        .state_dir = dir, .argv = argv, .memory_limit_bytes = replicas->options.memory_limit_bytes};
    loam_status status = lm_executor_start(replicas->options.executor, &spec, err);
    lm_free(single);
    return status;
}

/* ---- following ---- */

static int64_t read_port(const char *dir) {
    char *path = lm_path_join(dir, "port"), *text = NULL;
    int64_t port = 0;
    if (path && lm_file_exists(path) &&
        lm_file_read(path, PORT_FILE_BYTES, &text, NULL, NULL) == LOAM_OK) {
        size_t len = strcspn(text, " \r\n");
        if (!lm_str_to_i64((lm_str){text, len}, &port) || port < 1 || port > 65535) port = 0;
    }
    lm_free(text);
    lm_free(path);
    return port;
}

static loam_status see_running(lm_replicas *replicas, lm_replica *row, lm_worker *worker,
                               const char *dir, const lm_process_info *info, loam_error *err) {
    lm_executor *executor = replicas->options.executor;
    int64_t now_ms = lm_clock_epoch_ms(), port;
    if (strcmp(row->state, "starting") == 0 && (port = read_port(dir)) > 0) {
        row->state = "ready";
        row->pid = info->pid;
        row->port = port;
        row->ready_ms = now_ms;
        return save(replicas, row, err);
    }
    if (strcmp(row->state, "starting") == 0 && now_ms - row->created_ms > START_TIMEOUT_MS)
        return lm_executor_signal(executor, dir, SIGKILL, err);
    if (strcmp(row->state, "stopping") != 0) return LOAM_OK;
    int64_t now_ns = lm_clock_mono_ns();
    if (worker->stop_asked_ns == 0) {
        worker->stop_asked_ns = now_ns;
        return lm_executor_signal(executor, dir, SIGTERM, err);
    }
    bool patient = now_ns - worker->stop_asked_ns < (int64_t)DRAIN_TIMEOUT_MS * 1000000;
    return patient ? LOAM_OK : lm_executor_signal(executor, dir, SIGKILL, err);
}

static const char *describe_end(lm_replicas *replicas, const char *dir,
                                const lm_process_info *info) {
    char line[256], *path = lm_path_join(dir, "stderr");
    lm_last_message(path ? path : "", line, sizeof line);
    lm_free(path);
    if (info->state == LM_PROCESS_LOST) return "the worker is gone without a word";
    if (info->term_signal)
        return lm_arena_printf(&replicas->arena, "the worker was ended by signal %d",
                               info->term_signal);
    return lm_arena_printf(&replicas->arena, "the worker ended with code %d%s%s", info->exit_code,
                           line[0] ? ": " : "", line);
}

static loam_status see_ended(lm_replicas *replicas, lm_replica *row, const char *dir,
                             const lm_process_info *info, bool *out_failed, loam_error *err) {
    bool asked = strcmp(row->state, "stopping") == 0;
    row->state = "ended";
    row->ended_ms = info->ended_ms ? info->ended_ms : lm_clock_epoch_ms();
    if (!asked && !row->error) row->error = describe_end(replicas, dir, info);
    *out_failed = !asked;
    return save(replicas, row, err);
}

/* The journal of a dead worker is booked to its end: nothing of the replica is needed any more. The row says so before the
 * folder goes; a folder that a crash leaves behind is removed by the next look at a gone row's folder (see replicas.c). */
static loam_status bury(lm_replicas *replicas, lm_replica *row, const char *dir, loam_error *err) {
    row->state = "gone";
    LM_TRY(save(replicas, row, err));
    return lm_file_remove_tree(dir, err);
}

static loam_status meter_of(lm_replicas *replicas, const lm_replica *row, lm_worker *worker,
                            const char *dir, loam_error *err) {
    if (worker->meter) return LOAM_OK;
    char *journal = lm_path_join(dir, "journal");
    if (!journal) return lm_error_no_memory(err, strlen(dir));
    lm_meter_options options = {.journal = journal,
                                .replica = row,
                                .store = replicas->options.store,
                                .ledger = replicas->options.ledger,
                                .reservations = replicas->options.reservations};
    loam_status status = lm_meter_new(&options, &worker->meter, err);
    lm_free(journal);
    return status;
}

static loam_status launch_or_give_up(lm_replicas *replicas, lm_replica *row, const char *dir,
                                     bool *out_failed, loam_error *err) {
    loam_error failure = {0};
    bool wanted = strcmp(row->state, "starting") == 0;
    if (wanted && launch(replicas, row, dir, &failure) == LOAM_OK) return LOAM_OK;
    row->error =
        wanted ? lm_arena_printf(&replicas->arena, "cannot start: %s", failure.message) : NULL;
    return see_ended(replicas, row, dir, &(lm_process_info){.state = LM_PROCESS_NONE}, out_failed,
                     err);
}

static loam_status look_in(lm_replicas *replicas, lm_replica *row, lm_worker *worker,
                           const char *dir, bool *out_failed, loam_error *err) {
    lm_process_info info = {0};
    bool over = strcmp(row->state, "ended") == 0;
    if (!over) {
        LM_TRY(lm_executor_poll(replicas->options.executor, dir, &info, err));
        if (info.state == LM_PROCESS_NONE) {
            LM_TRY(launch_or_give_up(replicas, row, dir, out_failed, err));
        } else if (info.state == LM_PROCESS_RUNNING) {
            LM_TRY(see_running(replicas, row, worker, dir, &info, err));
        } else {
            LM_TRY(see_ended(replicas, row, dir, &info, out_failed, err));
        }
        over = strcmp(row->state, "ended") == 0;
    }
    LM_TRY(meter_of(replicas, row, worker, dir, err));
    LM_TRY(lm_meter_ingest(worker->meter, over,
                           err)); /* after polling: a dead worker's journal is final */
    return over ? bury(replicas, row, dir, err) : LOAM_OK;
}

loam_status lm_worker_look(lm_replicas *replicas, lm_replica *row, lm_worker *worker,
                           bool *out_failed, loam_error *err) {
    char *dir = lm_worker_dir(replicas, row->id);
    *out_failed = false;
    loam_status status =
        dir ? look_in(replicas, row, worker, dir, out_failed, err) : lm_error_no_memory(err, 1);
    lm_free(dir);
    return status;
}

loam_status lm_worker_stop(lm_replicas *replicas, lm_replica *row, loam_error *err) {
    row->state = "stopping"; /* the next look, with the router told, sends the signal */
    return save(replicas, row, err);
}
