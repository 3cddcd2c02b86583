-- Where things run; what is kept; what runs. Portable subset: BIGINT and TEXT only. Times of 0 mean "not yet".
CREATE TABLE site (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL
);

CREATE TABLE pool (
    id TEXT PRIMARY KEY,
    site_id TEXT NOT NULL REFERENCES site (id),
    name TEXT NOT NULL UNIQUE,
    executor TEXT NOT NULL,
    peak_flops BIGINT NOT NULL,
    max_runs BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE node (
    id TEXT PRIMARY KEY,
    pool_id TEXT NOT NULL REFERENCES pool (id),
    name TEXT NOT NULL,
    n_cpus BIGINT NOT NULL,
    memory_bytes BIGINT NOT NULL,
    peak_flops BIGINT NOT NULL,
    state TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE dataset (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT,
    size_bytes BIGINT NOT NULL,
    files TEXT,
    error TEXT,
    created_ms BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE model (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    latest_version BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- `source` is what to import while the state is "importing".
CREATE TABLE model_version (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    model_id TEXT NOT NULL REFERENCES model (id),
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    digest TEXT,
    size_bytes BIGINT NOT NULL,
    files TEXT,
    job_id TEXT,
    dataset_id TEXT,
    recipe_digest TEXT,
    error TEXT,
    created_ms BIGINT NOT NULL,
    UNIQUE (model_id, version)
);
CREATE INDEX model_version_by_state ON model_version (state);
CREATE UNIQUE INDEX model_version_by_job ON model_version (job_id);

CREATE TABLE job (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    recipe TEXT NOT NULL,
    recipe_digest TEXT NOT NULL,
    dataset_id TEXT,
    model_name TEXT NOT NULL,
    priority BIGINT NOT NULL,
    max_retries BIGINT NOT NULL,
    retries BIGINT NOT NULL,
    cancel_requested BIGINT NOT NULL,
    not_before_ms BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    flops BIGINT NOT NULL,
    version_id TEXT,
    error TEXT,
    created_ms BIGINT NOT NULL,
    started_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL
);
CREATE INDEX job_by_state ON job (state);
CREATE INDEX job_by_project ON job (project_id, id);

-- One execution of a job's trainer. `metered_ms` and `segments`: the lease is in the ledger up to here.
CREATE TABLE run (
    id TEXT PRIMARY KEY,
    job_id TEXT NOT NULL REFERENCES job (id),
    project_id TEXT NOT NULL,
    pool_id TEXT NOT NULL REFERENCES pool (id),
    epoch BIGINT NOT NULL,
    state TEXT NOT NULL,
    exit_code BIGINT NOT NULL,
    term_signal BIGINT NOT NULL,
    metered_ms BIGINT NOT NULL,
    segments BIGINT NOT NULL,
    started_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL,
    UNIQUE (job_id, epoch)
);
CREATE INDEX run_by_state ON run (state);

CREATE TABLE endpoint (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    version_id TEXT NOT NULL REFERENCES model_version (id),
    min_replicas BIGINT NOT NULL,
    max_replicas BIGINT NOT NULL,
    idle_timeout_ms BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- `journal_slot`: every record of the usage journal before it is in the ledger.
CREATE TABLE replica (
    id TEXT PRIMARY KEY,
    endpoint_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    version_id TEXT NOT NULL,
    pool_id TEXT NOT NULL REFERENCES pool (id),
    model TEXT NOT NULL,
    state TEXT NOT NULL,
    pid BIGINT NOT NULL,
    port BIGINT NOT NULL,
    error TEXT,
    journal_slot BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    ready_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL
);
CREATE INDEX replica_by_state ON replica (state);
CREATE INDEX replica_by_endpoint ON replica (endpoint_id, id);
