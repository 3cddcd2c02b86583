// Models: the registry with versions and lineage; importing and deploying.
import { useState } from "preact/hooks";
import { post, type List } from "../api";
import type { PageProps } from "../main";
import { useAction, usePoll } from "../hooks";
import { scaled, time } from "../format";
import { useT } from "../i18n";
import { Badge, Card, Dialog, ErrorLine, Input, Table } from "../ui";
import type { Endpoint, Model, Version } from "../types";

function Import(props: { onClose: () => void }) {
  const t = useT();
  const [name, setName] = useState("");
  const [path, setPath] = useState("");
  const { run, busy, error } = useAction(async () => { await post("/models", { name, path }); props.onClose(); });
  return <Dialog title={t("Import")} onClose={props.onClose}><form onSubmit={e => { e.preventDefault(); run(); }}>
    <Input label={t("Name")} value={name} onValue={setName} required />
    <Input label={t("Path on the server")} value={path} onValue={setPath} required />
    <ErrorLine error={error} />
    <button class="primary" disabled={busy}>{t("Import")}</button>
  </form></Dialog>;
}

export function Deploy(props: { model: string; name: string; onClose: () => void }) {
  const t = useT();
  const [name, setName] = useState(props.name);
  const [min, setMin] = useState("0");
  const [max, setMax] = useState("1");
  const { run, busy, error } = useAction(async () => {
    await post<Endpoint>("/endpoints", { name, model: props.model, min_replicas: Number(min), max_replicas: Number(max) });
    props.onClose();
    location.hash = "#/endpoints";
  });
  return <Dialog title={t("Deploy")} onClose={props.onClose}><form onSubmit={e => { e.preventDefault(); run(); }}>
    <Input label={t("Name")} value={name} onValue={setName} required />
    <Input label={t("Minimum replicas")} type="number" min="0" value={min} onValue={setMin} />
    <Input label={t("Maximum replicas")} type="number" min="1" value={max} onValue={setMax} />
    <ErrorLine error={error} />
    <button class="primary" disabled={busy}>{t("Deploy")}</button>
  </form></Dialog>;
}

function Lineage(props: { version: Version }) {
  const lineage = props.version.lineage;
  if (!lineage?.job_id) return <>–</>;
  return <><a href={`#/jobs/${lineage.job_id}`}>{lineage.job_id}</a>{lineage.dataset_id && <> · {lineage.dataset_id}</>}</>;
}

function ModelPage({ id }: { id: string }) {
  const t = useT();
  const { data: model, error } = usePoll<Model>(`/models/${id}`);
  const { data: versions } = usePoll<List<Version>>(`/models/${id}/versions`, 5000);
  const [deploying, setDeploying] = useState<Version>();
  return <>
    <p><a href="#/models">← {t("Models")}</a></p>
    <ErrorLine error={error} />
    <Card title={model?.name}><Table rows={versions?.data} empty="–" columns={[
      { head: t("Version"), cell: v => v.version, numeric: true },
      { head: t("State"), cell: v => <Badge state={v.state} /> },
      { head: t("Digest"), cell: v => <code title={v.digest}>{v.digest.slice(0, 12)}</code> },
      { head: t("Size"), cell: v => scaled(v.size_bytes, "B"), numeric: true },
      { head: t("Created"), cell: v => time(v.created_ms) },
      { head: t("Lineage"), cell: v => <Lineage version={v} /> },
      { head: "", cell: v => <button onClick={() => setDeploying(v)}>{t("Deploy")}</button> },
    ]} /></Card>
    {deploying && model && <Deploy model={deploying.id} name={model.name} onClose={() => setDeploying(undefined)} />}
  </>;
}

function ModelList() {
  const t = useT();
  const [importing, setImporting] = useState(false);
  const [deploying, setDeploying] = useState<Model>();
  const { data, error, reload } = usePoll<List<Model>>("/models", 5000);
  return <Card actions={<button onClick={() => setImporting(true)}>{t("Import")}</button>}>
    <ErrorLine error={error} />
    <Table rows={data?.data} empty={t("No models yet.")} href={m => `#/models/${m.id}`} columns={[
      { head: t("Name"), cell: m => m.name },
      { head: t("Version"), cell: m => m.latest_version ?? "–", numeric: true },
      { head: t("Created"), cell: m => time(m.created_ms) },
      { head: "", cell: m => <button onClick={() => setDeploying(m)}>{t("Deploy")}</button> },
    ]} />
    {importing && <Import onClose={() => { setImporting(false); reload(); }} />}
    {deploying && <Deploy model={deploying.name} name={deploying.name} onClose={() => setDeploying(undefined)} />}
  </Card>;
}

export function ModelsPage({ id }: PageProps) {
  return id ? <ModelPage key={id} id={id} /> : <ModelList />;
}
