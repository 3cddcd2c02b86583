// Endpoints: what is deployed, and one endpoint's replicas with latency and throughput.
import { del, type List } from "../api";
import type { PageProps } from "../main";
import { useAction, usePoll } from "../hooks";
import { decimal, duration } from "../format";
import { useT } from "../i18n";
import { Badge, Card, ErrorLine, Stat, Table } from "../ui";
import type { Endpoint, Replica } from "../types";

function EndpointPage({ id }: { id: string }) {
  const t = useT();
  const { data: endpoint, error } = usePoll<Endpoint>(`/endpoints/${id}`, 3000);
  const { data: replicas } = usePoll<List<Replica>>(`/endpoints/${id}/replicas`, 2000);
  const remove = useAction(async () => { await del(`/endpoints/${id}`); location.hash = "#/endpoints"; });
  const total = (replicas?.data ?? []).reduce((sum, r) => sum + (r.tokens_per_s ?? 0), 0);
  return <>
    <p><a href="#/endpoints">← {t("Endpoints")}</a></p>
    <ErrorLine error={error ?? remove.error} />
    {endpoint?.last_error && <p class="error">{endpoint.last_error}</p>}
    <Card title={endpoint?.name} actions={<>
      {endpoint && <Badge state={endpoint.state} />}
      <a class="button" href="#/playground">{t("Playground")}</a>
      <button class="danger" disabled={remove.busy} onClick={remove.run}>{t("Delete")}</button>
    </>}>
      <div class="stats">
        <Stat label={t("Model")} value={endpoint?.model ?? endpoint?.version_id ?? "–"} />
        <Stat label={t("Replicas")} value={endpoint ? `${endpoint.min_replicas}–${endpoint.max_replicas}` : "–"} />
        <Stat label={t("Idle timeout")} value={duration(endpoint?.idle_timeout_ms)} />
        <Stat label={t("Tokens per second")} value={decimal(total, 1)} />
      </div>
    </Card>
    <Card title={t("Replicas")}><Table rows={replicas?.data} empty="–" columns={[
      { head: "id", cell: r => <code>{r.id}</code> },
      { head: t("State"), cell: r => <span title={r.error ?? undefined}><Badge state={r.state} /></span> },
      { head: t("Process"), cell: r => r.pid ?? "–", numeric: true },
      { head: t("Port"), cell: r => r.port ?? "–", numeric: true },
      { head: `${t("Latency")} p50`, cell: r => r.latency_p50_ms == null ? "–" : `${decimal(r.latency_p50_ms, 1)} ms`, numeric: true },
      { head: t("Tokens per second"), cell: r => decimal(r.tokens_per_s, 1), numeric: true },
    ]} /></Card>
  </>;
}

function EndpointList() {
  const t = useT();
  const { data, error } = usePoll<List<Endpoint>>("/endpoints", 3000);
  return <Card>
    <ErrorLine error={error} />
    <Table rows={data?.data} empty={t("No endpoints yet.")} href={e => `#/endpoints/${e.id}`} columns={[
      { head: t("Name"), cell: e => e.name },
      { head: t("Model"), cell: e => e.model ?? e.version_id ?? "–" },
      { head: t("State"), cell: e => <Badge state={e.state} /> },
      { head: t("Replicas"), cell: e => `${e.ready_replicas ?? 0} (${e.min_replicas}–${e.max_replicas})`, numeric: true },
    ]} />
  </Card>;
}

export function EndpointsPage({ id }: PageProps) {
  return id ? <EndpointPage key={id} id={id} /> : <EndpointList />;
}
