-- Projects, their people and keys; prices, usage, charges; audit events. Portable subset: BIGINT and TEXT only.
CREATE TABLE project (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    is_operator BIGINT NOT NULL,
    archived BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE member (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL REFERENCES project (id),
    member_id TEXT REFERENCES member (id),
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    scopes BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked_ms BIGINT NOT NULL,
    token_budget BIGINT NOT NULL,
    money_budget_micros BIGINT NOT NULL,
    requests_per_minute BIGINT NOT NULL
);
CREATE INDEX api_key_by_project ON api_key (project_id, id);

-- Prices are never changed: a new one takes effect later.
CREATE TABLE price (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    unit TEXT NOT NULL,
    amount_micros BIGINT NOT NULL,
    currency TEXT NOT NULL,
    effective_ms BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- What was metered. `reference` names what it bills, so that it is booked once.
CREATE TABLE usage_record (
    id TEXT PRIMARY KEY,
    reference TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES project (id),
    key_id TEXT,
    model TEXT NOT NULL,
    endpoint_id TEXT,
    job_id TEXT,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    flops BIGINT NOT NULL,
    device_us BIGINT NOT NULL,
    peak_flops BIGINT NOT NULL,
    amount_micros BIGINT NOT NULL
);
CREATE INDEX usage_by_time ON usage_record (project_id, start_ms);
CREATE INDEX usage_by_key ON usage_record (key_id);

-- What it costs: one line a price and month that applied. Quantities are tokens, or peak FLOPS held for from_ms..to_ms.
CREATE TABLE charge (
    id TEXT PRIMARY KEY,
    usage_id TEXT NOT NULL REFERENCES usage_record (id),
    project_id TEXT NOT NULL,
    price_id TEXT NOT NULL REFERENCES price (id),
    model TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    peak_flops BIGINT NOT NULL,
    amount_micros BIGINT NOT NULL,
    currency TEXT NOT NULL
);
CREATE INDEX charge_by_time ON charge (project_id, from_ms);

CREATE TABLE event (
    id TEXT PRIMARY KEY,
    project_id TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state_before TEXT,
    state_after TEXT
);
CREATE INDEX event_by_project ON event (project_id, id);
