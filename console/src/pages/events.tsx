// Events: who changed what, newest first.
import { useState } from "preact/hooks";
import type { List } from "../api";
import { usePoll } from "../hooks";
import { time } from "../format";
import { useT } from "../i18n";
import { Card, ErrorLine, Table } from "../ui";
import type { AuditEvent } from "../types";

export function EventsPage() {
  const t = useT();
  const [after, setAfter] = useState("");
  const { data, error } = usePoll<List<AuditEvent>>(`/events${after && `?after=${encodeURIComponent(after)}`}`, after ? 0 : 4000);
  return <Card>
    <ErrorLine error={error} />
    <Table rows={data?.data} empty={t("No events yet.")} columns={[
      { head: t("Time"), cell: e => time(e.at_ms) },
      { head: t("Kind"), cell: e => <code>{e.kind}</code> },
      { head: t("Subject"), cell: e => <code>{e.subject}</code> },
      { head: t("Actor"), cell: e => <code>{e.actor}</code> },
      { head: t("Detail"), cell: e => <details><summary>{t("Details")}</summary>
        <pre>{JSON.stringify({ before: e.state_before ?? undefined, after: e.state_after ?? undefined }, null, 2)}</pre></details> },
    ]} />
    {data?.next && <button onClick={() => setAfter(data.next!)}>{t("Older")}</button>}
  </Card>;
}
