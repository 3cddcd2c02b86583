// API keys: making one (shown once), seeing what each may do, revoking.
import { useState } from "preact/hooks";
import { del, post, type List } from "../api";
import { useAction, usePoll } from "../hooks";
import { count, time } from "../format";
import { useT } from "../i18n";
import { Card, Copyable, Dialog, ErrorLine, Field, Input, Table } from "../ui";
import type { Key } from "../types";

const ROLES = ["viewer", "developer", "admin"];

function NewKey(props: { onClose: () => void }) {
  const t = useT();
  const [name, setName] = useState("");
  const [role, setRole] = useState("developer");
  const [budget, setBudget] = useState("");
  const [rate, setRate] = useState("");
  const [made, setMade] = useState<Key>();
  const { run, busy, error } = useAction(async () => setMade(await post<Key>("/keys", {
    name, role, ...(budget ? { token_budget: Number(budget) } : {}), ...(rate ? { requests_per_minute: Number(rate) } : {}),
  })));
  return <Dialog title={t("New key")} onClose={props.onClose}>
    {made ? <><p>{t("Copy this key now: it is not shown again.")}</p><Copyable text={made.secret ?? ""} /></>
      : <form onSubmit={e => { e.preventDefault(); run(); }}>
        <Input label={t("Name")} value={name} onValue={setName} required />
        <Field label={t("Role")}><select value={role} onChange={e => setRole(e.currentTarget.value)}>
          {ROLES.map(r => <option>{r}</option>)}</select></Field>
        <Input label={t("Token budget")} hint={t("empty: no limit")} type="number" min="0" value={budget} onValue={setBudget} />
        <Input label={t("Requests per minute")} hint={t("empty: no limit")} type="number" min="1" value={rate} onValue={setRate} />
        <ErrorLine error={error} />
        <button class="primary" disabled={busy}>{t("Create")}</button>
      </form>}
  </Dialog>;
}

function Revoke(props: { id: string; onDone: () => void }) {
  const t = useT();
  const { run, busy, error } = useAction(async () => { await del(`/keys/${props.id}`); props.onDone(); });
  return <><button class="danger" disabled={busy} onClick={run}>{t("Revoke")}</button><ErrorLine error={error} /></>;
}

export function KeysPage() {
  const t = useT();
  const [creating, setCreating] = useState(false);
  const { data, error, reload } = usePoll<List<Key>>("/keys");
  return <Card actions={<button class="primary" onClick={() => setCreating(true)}>{t("New key")}</button>}>
    <ErrorLine error={error} />
    <Table rows={data?.data} empty="–" columns={[
      { head: t("Name"), cell: k => k.name },
      { head: t("Role"), cell: k => k.role },
      { head: t("Tokens used"), cell: k => count(k.tokens_used), numeric: true },
      { head: t("Token budget"), cell: k => count(k.token_budget), numeric: true },
      { head: t("Requests per minute"), cell: k => count(k.requests_per_minute), numeric: true },
      { head: t("Created"), cell: k => time(k.created_ms) },
      { head: t("Expires"), cell: k => k.expires_ms ? time(k.expires_ms) : t("never") },
      { head: "", cell: k => k.revoked_ms ? t("revoked") : <Revoke id={k.id} onDone={reload} /> },
    ]} />
    {creating && <NewKey onClose={() => { setCreating(false); reload(); }} />}
  </Card>;
}
