// Overview: what runs now, what was used this month, and the live throughput.
import type { PageProps } from "../main";
import { usePoll } from "../hooks";
import { decimal, money, pHours } from "../format";
import { useT } from "../i18n";
import { Card, Chart, ErrorLine, Stat } from "../ui";
import type { Overview } from "../types";

export function OverviewPage({ theme }: PageProps) {
  const t = useT();
  const { data, error } = usePoll<Overview>("/overview", 2000);
  const used = data && data.ph_leased > 0 ? `${(100 * data.ph_delivered / data.ph_leased).toFixed(1)} % ${t("utilization")}` : undefined;
  const points = (data?.series ?? []).map(p => [p.t_ms / 1000, p.tokens_per_s] as [number, number]);
  return <>
    <ErrorLine error={error} />
    <div class="stats">
      <Stat label={t("Tokens per second")} value={decimal(data?.tokens_per_s, 1)} />
      <Stat label={t("Running jobs")} value={String(data?.running_jobs ?? "–")} note={data ? `${data.queued_jobs} ${t("queued")}` : undefined} />
      <Stat label={t("Endpoints")} value={String(data?.endpoints ?? "–")} />
      <Stat label={t("P·hours leased")} value={pHours(data?.ph_leased)} />
      <Stat label={t("P·hours delivered")} value={pHours(data?.ph_delivered)} note={used} />
      <Stat label={t("Spend this month")} value={money(data?.spend_micros, data?.currency ?? "")} />
    </div>
    <Card title={t("Live throughput")}>
      <Chart theme={theme} time label={t("Tokens per second")} series={[{ label: t("Tokens per second"), stroke: "--accent", points }]} />
    </Card>
  </>;
}
