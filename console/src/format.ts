// Numbers, sizes, times and money as a person reads them.

const UNITS = ["", "K", "M", "G", "T", "P", "E"];

export function count(n: number | undefined | null): string {
  if (n === undefined || n === null) return "–";
  return Math.round(n).toLocaleString();
}

export function scaled(n: number | undefined, unit: string): string {
  if (n === undefined) return "–";
  let i = 0;
  for (; Math.abs(n) >= 1000 && i < UNITS.length - 1; i++) n /= 1000;
  return `${n.toFixed(i === 0 && Number.isInteger(n) ? 0 : 2)} ${UNITS[i]}${unit}`;
}

export function money(micros: number | undefined, currency: string): string {
  if (micros === undefined) return "–";
  const digits = micros !== 0 && Math.abs(micros) < 10_000 ? 6 : 2;
  return `${(micros / 1e6).toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: digits })} ${currency}`;
}

export function time(ms: number | undefined | null): string {
  return ms ? new Date(ms).toLocaleString() : "–";
}

export function duration(ms: number | undefined | null): string {
  if (ms === undefined || ms === null) return "–";
  const s = Math.round(ms / 1000);
  return s < 120 ? `${s} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}

// P·hours: a small machine's are far below one, so three significant digits instead of fixed places.
export function pHours(n: number | undefined): string {
  if (n === undefined) return "–";
  return n === 0 ? "0" : n >= 0.001 ? n.toLocaleString(undefined, { maximumFractionDigits: 3 }) : n.toExponential(2);
}

export const decimal = (n: number | undefined, digits: number) => n === undefined ? "–" : n.toFixed(digits);
