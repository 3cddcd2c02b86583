// What the REST API answers, as far as the console shows it. openapi.json is the full description.

export interface Me { project: { id: string; name: string }; key: { id: string; name: string }; role: string; scopes: string[] }
export interface Point { t_ms: number; tokens_per_s: number }
export interface Overview {
  tokens_per_s: number; running_jobs: number; queued_jobs: number; endpoints: number;
  ph_leased: number; ph_delivered: number; spend_micros: number; currency: string; series: Point[];
}
export interface Job {
  id: string; name: string; state: string; priority: number; created_ms: number; started_ms?: number; ended_ms?: number;
  model_name?: string; error?: string; recipe?: string; retries?: number;
}
export interface Metric {
  event: string; step?: number; tokens?: number; loss?: number; val_loss?: number; tokens_per_s?: number; mfu?: number;
  text?: string;
}
export interface Run { id: string; epoch: number; state: string; started_ms?: number; ended_ms?: number; exit_code?: number | null }
export interface Lineage { job_id?: string; dataset_id?: string; recipe_digest?: string }
export interface Version {
  id: string; version: number; state: string; digest: string; size_bytes: number; created_ms: number; lineage?: Lineage;
  files?: { path: string; size_bytes: number }[];
}
export interface Model { id: string; name: string; created_ms: number; latest_version?: number }
export interface Endpoint {
  id: string; name: string; model?: string; version_id?: string; state: string; min_replicas: number; max_replicas: number;
  idle_timeout_ms: number; ready_replicas?: number; last_error?: string | null;
}
export interface Replica {
  id: string; state: string; pid?: number; port?: number; tokens_per_s?: number; latency_p50_ms?: number; error?: string | null;
}
export interface Key {
  id: string; name: string; role: string; scopes: string[]; created_ms: number; expires_ms?: number | null;
  revoked_ms?: number | null; token_budget?: number | null; money_budget_micros?: number | null;
  requests_per_minute?: number | null; tokens_used?: number; secret?: string;
}
export interface UsageRow {
  group: string; input_tokens: number; output_tokens: number; requests: number; flops: number; device_ms: number;
  amount_micros: number; currency: string; ph_leased: number; ph_delivered: number;
}
export interface Dataset { id: string; name: string; state: string }
export interface Invoice {
  id: string; month: string; currency: string; total_micros: number; state?: string;
  lines?: { description: string; quantity: string; unit: string; unit_price_micros: number; amount_micros: number }[];
}
export interface AuditEvent {
  id: string; at_ms: number; kind: string; subject: string; actor: string; state_before?: unknown; state_after?: unknown;
}
