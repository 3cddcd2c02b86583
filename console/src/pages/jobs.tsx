// Jobs: the list, submitting, and one job's live curve, logs, samples and runs.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, post, type List } from "../api";
import type { PageProps } from "../main";
import { useAction, usePoll } from "../hooks";
import { decimal, duration, time } from "../format";
import { useT } from "../i18n";
import { Badge, Card, Chart, Dialog, ErrorLine, Field, Input, Stat, Table } from "../ui";
import type { Dataset, Job, Metric, Run } from "../types";

const POLL_MS = 1500;

function NewJob(props: { onClose: () => void }) {
  const t = useT();
  const [name, setName] = useState("");
  const [model, setModel] = useState("");
  const [recipe, setRecipe] = useState("");
  const [dataset, setDataset] = useState("");
  const { data: datasets } = usePoll<List<Dataset>>("/datasets");
  const { run, busy, error } = useAction(async () => {
    const job = await post<Job>("/jobs", { name, recipe, ...(model ? { model_name: model } : {}), ...(dataset ? { dataset_id: dataset } : {}) });
    props.onClose();
    location.hash = `#/jobs/${job.id}`;
  });
  return <Dialog title={t("New job")} onClose={props.onClose}>
    <form onSubmit={e => { e.preventDefault(); run(); }}>
      <Input label={t("Name")} value={name} onValue={setName} required />
      <Input label={t("Model name")} value={model} onValue={setModel} />
      <Field label={t("Dataset")} hint={t("none: the recipe names its own path")}>
        <select value={dataset} onChange={e => setDataset(e.currentTarget.value)}><option value="">–</option>
          {datasets?.data.map(d => <option value={d.id}>{d.name}</option>)}</select></Field>
      <Field label={t("Recipe (YAML)")}><textarea class="code" rows={14} required value={recipe}
        onInput={e => setRecipe(e.currentTarget.value)} /></Field>
      <ErrorLine error={error} />
      <button class="primary" disabled={busy}>{t("Submit")}</button>
    </form>
  </Dialog>;
}

function JobList() {
  const t = useT();
  const [creating, setCreating] = useState(false);
  const { data, error, reload } = usePoll<List<Job>>("/jobs", 3000);
  return <Card actions={<button class="primary" onClick={() => setCreating(true)}>{t("New job")}</button>}>
    <ErrorLine error={error} />
    <Table rows={data?.data} empty={t("No jobs yet.")} href={j => `#/jobs/${j.id}`} columns={[
      { head: t("Name"), cell: j => j.name },
      { head: t("State"), cell: j => <Badge state={j.state} /> },
      { head: t("Priority"), cell: j => j.priority, numeric: true },
      { head: t("Created"), cell: j => time(j.created_ms) },
    ]} />
    {creating && <NewJob onClose={() => { setCreating(false); reload(); }} />}
  </Card>;
}

// All metric rows so far: asks only for what came since the last row it has.
function useMetrics(id: string, live: boolean): Metric[] {
  const [rows, setRows] = useState<Metric[]>([]);
  const cursor = useRef<string | number>(0);
  useEffect(() => {
    let alive = true, timer = 0;
    const load = async () => {
      try {
        const page = await get<List<Metric>>(`/jobs/${id}/metrics?after=${cursor.current}`);
        if (alive && page.data.length > 0) setRows(old => [...old, ...page.data]);
        if (page.next !== null && page.next !== undefined) cursor.current = page.next;
      } catch { /* the job card shows what is wrong */ }
      if (alive && live) timer = window.setTimeout(load, POLL_MS);
    };
    void load();
    return () => { alive = false; clearTimeout(timer); };
  }, [id, live]);
  return rows;
}

function Curves(props: { rows: Metric[]; theme: string }) {
  const t = useT();
  const series = useMemo(() => ({
    train: props.rows.filter(r => r.event === "step" && r.loss != null).map(r => [r.step!, r.loss!] as [number, number]),
    validation: props.rows.filter(r => r.event === "eval" && r.val_loss != null).map(r => [r.step!, r.val_loss!] as [number, number]),
  }), [props.rows]);
  return <Chart theme={props.theme} label={t("Loss")} series={[
    { label: t("training"), stroke: "--accent", points: series.train },
    { label: t("validation"), stroke: "--accent-2", points: series.validation, dots: true },
  ]} />;
}

function JobLog(props: { id: string; live: boolean }) {
  const t = useT();
  const { data } = usePoll<List<{ line: string }>>(`/jobs/${props.id}/logs`, props.live ? 3000 : 0);
  const lines = (data?.data ?? []).map(l => l.line);
  return <Card title={t("Log")}><pre class="log" tabIndex={0}>{lines.slice(-500).join("\n")}</pre></Card>;
}

function JobPage({ id, theme }: { id: string; theme: string }) {
  const t = useT();
  const { data: job, error, reload } = usePoll<Job>(`/jobs/${id}`, POLL_MS);
  const { data: runs } = usePoll<List<Run>>(`/jobs/${id}/runs`, 5000);
  const live = !job || job.state === "running" || job.state === "queued";
  const rows = useMetrics(id, live);
  const act = (verb: string) => async () => { await post(`/jobs/${id}/${verb}`); reload(); };
  const cancel = useAction(act("cancel")), resume = useAction(act("resume"));
  const last = [...rows].reverse().find(r => r.event === "step");
  const validation = [...rows].reverse().find(r => r.event === "eval");
  const samples = rows.filter(r => r.event === "sample").slice(-3).reverse();
  return <>
    <p><a href="#/jobs">← {t("Jobs")}</a></p>
    <ErrorLine error={error ?? cancel.error ?? resume.error} />
    <Card title={job?.name} actions={<>
      {job && <Badge state={job.state} />}
      {live && <button disabled={cancel.busy} onClick={cancel.run}>{t("Cancel")}</button>}
      {job && (job.state === "failed" || job.state === "cancelled") &&
        <button class="primary" disabled={resume.busy} onClick={resume.run}>{t("Resume")}</button>}
    </>}>
      {job?.error && <p class="error">{job.error}</p>}
      <div class="stats">
        <Stat label={t("step")} value={String(last?.step ?? "–")} />
        <Stat label={`${t("Loss")} (${t("training")})`} value={decimal(last?.loss, 4)} />
        <Stat label={`${t("Loss")} (${t("validation")})`} value={decimal(validation?.val_loss, 4)} />
        <Stat label={t("Tokens per second")} value={decimal(last?.tokens_per_s, 0)}
          note={last?.mfu ? `MFU ${(100 * last.mfu).toFixed(1)} %` : undefined} />
      </div>
      <Curves rows={rows} theme={theme} />
    </Card>
    {samples.length > 0 && <Card title={t("Samples")}>{samples.map(s => <blockquote><small>{t("step")} {s.step}</small>{s.text}</blockquote>)}</Card>}
    <JobLog id={id} live={live} />
    <Card title={t("Runs")}><Table rows={runs?.data} empty="–" columns={[
      { head: "#", cell: r => r.epoch, numeric: true }, { head: t("State"), cell: r => <Badge state={r.state} /> },
      { head: t("Time"), cell: r => time(r.started_ms) },
      { head: "Δ", cell: r => r.started_ms && r.ended_ms ? duration(r.ended_ms - r.started_ms) : "–" },
    ]} /></Card>
  </>;
}

export function JobsPage({ id, theme }: PageProps) {
  return id ? <JobPage key={id} id={id} theme={theme} /> : <JobList />;
}
