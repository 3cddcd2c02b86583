// The few building blocks that all pages are made of.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { ApiError } from "./api";
import { useT } from "./i18n";

export function Card(props: { title?: string; actions?: ComponentChildren; children: ComponentChildren }) {
  return <section class="card">
    {(props.title || props.actions) && <header><h2>{props.title}</h2><div class="actions">{props.actions}</div></header>}
    {props.children}
  </section>;
}

export function Stat(props: { label: string; value: string; note?: string }) {
  return <div class="stat"><span class="label">{props.label}</span><strong>{props.value}</strong>
    {props.note && <span class="note">{props.note}</span>}</div>;
}

export function Badge(props: { state: string }) {
  const t = useT();
  return <span class={`badge state-${props.state}`}>{t(props.state)}</span>;
}

export function ErrorLine(props: { error?: ApiError }) {
  if (!props.error) return null;
  return <p class="error" role="alert">{props.error.message}{props.error.hint && <small> {props.error.hint}</small>}</p>;
}

export interface Column<T> { head: string; cell: (row: T) => ComponentChildren; numeric?: boolean }

export function Table<T>(props: { columns: Column<T>[]; rows?: T[]; empty: string; href?: (row: T) => string }) {
  const t = useT();
  if (!props.rows) return <p class="empty">{t("Loading…")}</p>;
  if (props.rows.length === 0) return <p class="empty">{props.empty}</p>;
  return <div class="scroll"><table>
    <thead><tr>{props.columns.map(c => <th scope="col" class={c.numeric ? "num" : ""}>{c.head}</th>)}</tr></thead>
    <tbody>{props.rows.map(row => <tr>
      {props.columns.map((c, i) => <td class={c.numeric ? "num" : ""}>
        {i === 0 && props.href ? <a href={props.href(row)}>{c.cell(row)}</a> : c.cell(row)}</td>)}
    </tr>)}</tbody>
  </table></div>;
}

export function Field(props: { label: string; hint?: string; children: ComponentChildren }) {
  return <label class="field"><span>{props.label}</span>{props.children}{props.hint && <small>{props.hint}</small>}</label>;
}

type InputProps = { label: string; hint?: string; value: string; onValue: (v: string) => void } &
  Omit<JSX.IntrinsicElements["input"], "value" | "onInput" | "label">;

export function Input({ label, hint, onValue, ...rest }: InputProps) {
  return <Field label={label} hint={hint}><input {...rest} onInput={e => onValue(e.currentTarget.value)} /></Field>;
}

// A modal dialog; Escape and the close button call onClose. The browser keeps the focus inside.
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const t = useT();
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => { ref.current?.showModal(); }, []);
  return <dialog ref={ref} onClose={props.onClose} aria-label={props.title}>
    <header><h2>{props.title}</h2>
      <button class="quiet" aria-label={t("Close")} onClick={() => ref.current?.close()}>✕</button></header>
    {props.children}
  </dialog>;
}

export function Copyable(props: { text: string }) {
  const t = useT();
  const [copied, setCopied] = useState(false);
  return <div class="copyable"><code>{props.text}</code>
    <button onClick={() => { void navigator.clipboard?.writeText(props.text); setCopied(true); }}>
      {t(copied ? "Copied" : "Copy")}</button></div>;
}

export interface Series { label: string; stroke: "--accent" | "--accent-2"; points: [number, number][]; dots?: boolean }

// One aligned x axis from several series of (x, y); a series without a value at an x leaves a gap that the line spans.
function align(series: Series[]): uPlot.AlignedData {
  const xs = [...new Set(series.flatMap(s => s.points.map(p => p[0])))].sort((a, b) => a - b);
  const columns = series.map(s => {
    const at = new Map(s.points);
    return xs.map(x => at.get(x) ?? null);
  });
  return [xs, ...columns] as uPlot.AlignedData;
}

function chartOptions(box: HTMLElement, series: Series[], time: boolean): uPlot.Options {
  const css = getComputedStyle(document.documentElement);
  const axis = { stroke: css.getPropertyValue("--muted"), grid: { stroke: css.getPropertyValue("--line"), width: 1 },
                 ticks: { show: false } };
  return {
    width: box.clientWidth, height: 220, scales: { x: { time } }, cursor: { y: false }, axes: [axis, axis],
    series: [{}, ...series.map(s => ({ label: s.label, stroke: css.getPropertyValue(s.stroke), width: 2, spanGaps: true,
                                        points: { show: !!s.dots, size: 6 } }))],
  };
}

export function Chart(props: { series: Series[]; time?: boolean; label: string; theme: string }) {
  const t = useT();
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const shape = props.series.map(s => s.label).join("|") + props.theme;
  const empty = props.series.every(s => s.points.length === 0);
  useEffect(() => {
    if (empty || !box.current) return;
    const chart = plot.current = new uPlot(chartOptions(box.current, props.series, !!props.time), align(props.series), box.current);
    const resize = new ResizeObserver(() => box.current && chart.setSize({ width: box.current.clientWidth, height: 220 }));
    resize.observe(box.current);
    return () => { resize.disconnect(); chart.destroy(); plot.current = undefined; };
  }, [shape, empty]);
  useEffect(() => { plot.current?.setData(align(props.series)); }, [props.series]);
  if (empty) return <p class="empty">{t("No samples yet.")}</p>;
  return <div ref={box} role="img" aria-label={props.label} class="chart" />;
}
