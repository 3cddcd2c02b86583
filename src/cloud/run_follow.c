/* A run's process: preparing its folder, starting the trainer, reading its JSON lines. */
#include <dirent.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cloud/job_files.h"
#include "cloud/scheduler_internal.h"
#include "cloud/table/dataset.h"

/* ---- starting ---- */

/* Paths of one start, in the look's arena. */
typedef struct launch {
    lm_run_view *view;
    char *dir, *recipe, *fence, *out, *data_dir, *state_dir;
    char *data; /* what the trainer is told: the dataset's folder, or its only file; NULL: none */
    char epoch[24];
    lm_dataset dataset;
} launch;

static loam_status set_paths(launch *l, loam_error *err) {
    lm_arena *arena = &l->view->scheduler->arena;
    const char *home = l->view->scheduler->options.home, *job = l->view->job.id;
    l->dir = lm_arena_printf(arena, "%s/jobs/%s", home, job);
    l->recipe = lm_arena_printf(arena, "%s/jobs/%s/recipe.yaml", home, job);
    l->fence = lm_arena_printf(arena, "%s/jobs/%s/fence", home, job);
    l->out = lm_arena_printf(arena, "%s/jobs/%s/out", home, job);
    l->data_dir = lm_arena_printf(arena, "%s/jobs/%s/data", home, job);
    l->state_dir =
        lm_arena_printf(arena, "%s/jobs/%s/run-%lld", home, job, (long long)l->view->run.epoch);
    snprintf(l->epoch, sizeof l->epoch, "%lld", (long long)l->view->run.epoch);
    return l->dir && l->recipe && l->fence && l->out && l->data_dir && l->state_dir
               ? LOAM_OK
               : lm_error_no_memory(err, 1);
}

static loam_status load_dataset(lm_db *db, void *arg, loam_error *err) {
    launch *l = arg;
    return lm_dataset_get(db, l->view->job.project_id, l->view->job.dataset_id,
                          &l->view->scheduler->arena, &l->dataset, err);
}

static loam_status place_data(launch *l, loam_error *err) {
    lm_scheduler *scheduler = l->view->scheduler;
    if (!l->view->job.dataset_id[0]) return LOAM_OK;
    LM_TRY(lm_store_call(scheduler->options.store, load_dataset, l, err));
    if (!l->dataset.files)
        return lm_error_set(err, LOAM_CONFLICT, "dataset '%s' is not ready", l->dataset.name);
    char *single = NULL;
    LM_TRY(lm_registry_materialize(scheduler->options.registry, l->dataset.files, l->data_dir,
                                   &single, err));
    l->data = single ? lm_arena_strndup(&scheduler->arena, single, strlen(single)) : l->data_dir;
    lm_free(single);
    return l->data ? LOAM_OK : lm_error_no_memory(err, 1);
}

static bool has_checkpoints(const char *out) {
    char *path = lm_path_join(out, "checkpoints");
    DIR *dir = path ? opendir(path) : NULL;
    bool found = false;
    struct dirent *entry;
    while (dir && !found && (entry = readdir(dir))) found = entry->d_name[0] != '.';
    if (dir) closedir(dir);
    lm_free(path);
    return found;
}

loam_status lm_run_launch(lm_run_view *view, loam_error *err) {
    launch l = {.view = view};
    LM_TRY(set_paths(&l, err));
    LM_TRY(lm_file_make_dirs(l.out, err));
    LM_TRY(lm_file_write_atomic(l.recipe, view->job.recipe, strlen(view->job.recipe), err));
    LM_TRY(place_data(&l, err));
    LM_TRY(lm_file_write_atomic(l.fence, l.epoch, strlen(l.epoch),
                                err)); /* from here on older trainers are shut out */
    const char *argv[16] = {view->scheduler->options.program,
                            "train",
                            l.recipe,
                            "--out",
                            l.out,
                            "--json",
                            "--fence",
                            l.fence,
                            "--epoch",
                            l.epoch};
    size_t n = 10;
    if (has_checkpoints(l.out)) argv[n++] = "--resume";
    if (l.data) {
        argv[n++] = "--data";
        argv[n++] = l.data;
    }
    lm_process_spec spec = {.state_dir = l.state_dir,
                            .argv = argv,
                            .memory_limit_bytes = view->scheduler->options.memory_limit_bytes};
    return lm_executor_start(view->scheduler->options.executor, &spec, err);
}

/* ---- following ---- */

static bool note_line(lm_str line, void *arg) {
    lm_followed *followed = arg;
    json_t *object = json_loadb(line.ptr, line.len, 0, NULL);
    const char *event = json_string_value(json_object_get(object, "event"));
    int64_t flops = (int64_t)json_integer_value(json_object_get(object, "flops"));
    if (flops > followed->flops) followed->flops = flops;
    if (event && strcmp(event, "checkpoint") == 0) followed->checkpointed = true;
    json_decref(object);
    return true;
}

void lm_run_follow(lm_run_view *view) {
    loam_error err = {0};
    char *dir = lm_job_run_dir(view->scheduler->options.home, view->job.id, view->run.epoch);
    char *path = dir ? lm_path_join(dir, "stdout") : NULL;
    loam_status status =
        path ? lm_lines_read(path, &view->followed->offset, note_line, view->followed, &err)
             : lm_error_no_memory(&err, 1);
    if (status != LOAM_OK) lm_log_error(LM_LOG_WARN, "scheduler", &err);
    lm_free(dir);
    lm_free(path);
}
