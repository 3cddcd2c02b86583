// Usage and invoices: tokens, compute and money by day, model or key; invoices to read, print and take away.
import { useState } from "preact/hooks";
import { text, type List } from "../api";
import { useAction, usePoll } from "../hooks";
import { count, duration, money, pHours, scaled } from "../format";
import { useT } from "../i18n";
import { Card, ErrorLine, Field, Table } from "../ui";
import type { Invoice, UsageRow } from "../types";

const DAY_MS = 86_400_000;
const UNIT_NAMES: Record<string, string> = { million_tokens: "1M", p_hour: "P·h", p_year: "P·a" };

async function download(invoice: Invoice, format: "csv" | "html") {
  const body = await text(`/invoices/${invoice.id}?format=${format}`);
  const url = URL.createObjectURL(new Blob([body], { type: format === "csv" ? "text/csv" : "text/html" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `invoice-${invoice.month}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function InvoiceLines(props: { id: string }) {
  const t = useT();
  const { data, error } = usePoll<Invoice>(`/invoices/${props.id}`);
  return <>
    <ErrorLine error={error} />
    <Table rows={data?.lines} empty="–" columns={[
      { head: t("Description"), cell: l => l.description },
      { head: t("Quantity"), cell: l => `${l.quantity} ${l.unit === "million_tokens" ? t("tokens") : "P·h"}`, numeric: true },
      { head: t("Unit price"), cell: l => `${money(l.unit_price_micros, data?.currency ?? "")} / ${UNIT_NAMES[l.unit]}`, numeric: true },
      { head: t("Amount"), cell: l => money(l.amount_micros, data?.currency ?? ""), numeric: true },
    ]} />
  </>;
}

function Invoices() {
  const t = useT();
  const { data, error } = usePoll<List<Invoice>>("/invoices", 5000);
  const [open, setOpen] = useState<string>();
  const [picked, setPicked] = useState<{ invoice: Invoice; format: "csv" | "html" }>();
  const save = useAction(async () => { if (picked) await download(picked.invoice, picked.format); });
  const take = (invoice: Invoice, format: "csv" | "html") => { setPicked({ invoice, format }); void download(invoice, format); };
  return <Card title={t("Invoices")}>
    <ErrorLine error={error ?? save.error} />
    <Table rows={data?.data} empty={t("No invoices yet.")} columns={[
      { head: t("Month"), cell: i => i.month },
      { head: t("Total"), cell: i => money(i.total_micros, i.currency), numeric: true },
      { head: "", cell: i => <div class="actions">
        <button aria-expanded={open === i.id} onClick={() => setOpen(open === i.id ? undefined : i.id)}>{t("Details")}</button>
        <button onClick={() => take(i, "csv")}>CSV</button><button onClick={() => take(i, "html")}>{t("Print")}</button></div> },
    ]} />
    {open && <InvoiceLines id={open} />}
  </Card>;
}

export function UsagePage() {
  const t = useT();
  const [group, setGroup] = useState("day");
  const [days, setDays] = useState("30");
  const from = Math.floor((Date.now() - Number(days) * DAY_MS) / DAY_MS) * DAY_MS;
  const { data, error } = usePoll<List<UsageRow>>(`/usage?group_by=${group}&from_ms=${from}`, 5000);
  const heads: Record<string, string> = { day: t("Day"), model: t("Model"), key: t("Key") };
  return <>
    <Card actions={<>
      <Field label={t("Group by")}><select value={group} onChange={e => setGroup(e.currentTarget.value)}>
        {Object.entries(heads).map(([value, label]) => <option value={value}>{label}</option>)}</select></Field>
      <Field label={t("Last")}><select value={days} onChange={e => setDays(e.currentTarget.value)}>
        {["7", "30", "90", "365"].map(d => <option value={d}>{d} d</option>)}</select></Field>
    </>}>
      <ErrorLine error={error} />
      <Table rows={data?.data} empty={t("No usage yet.")} columns={[
        { head: heads[group], cell: r => r.group },
        { head: t("Requests"), cell: r => count(r.requests), numeric: true },
        { head: t("Input tokens"), cell: r => count(r.input_tokens), numeric: true },
        { head: t("Output tokens"), cell: r => count(r.output_tokens), numeric: true },
        { head: t("Compute"), cell: r => scaled(r.flops, "FLOP"), numeric: true },
        { head: t("Time"), cell: r => duration(r.device_ms), numeric: true },
        { head: t("P·hours leased"), cell: r => pHours(r.ph_leased), numeric: true },
        { head: t("Amount"), cell: r => money(r.amount_micros, r.currency), numeric: true },
      ]} />
    </Card>
    <Invoices />
  </>;
}
