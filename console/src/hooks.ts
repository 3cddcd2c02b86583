// State that follows the server: a path polled while the page is visible.
import { useCallback, useEffect, useState } from "preact/hooks";
import { get, type ApiError } from "./api";

export interface Polled<T> { data?: T; error?: ApiError; reload: () => void }

// GETs `path` now and every period_ms (0: once); null: nothing yet. Keeps the last good answer while a later one fails.
export function usePoll<T>(path: string | null, period_ms = 0): Polled<T> {
  const [state, setState] = useState<{ path: string | null; data?: T; error?: ApiError }>({ path });
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn(n => n + 1), []);
  useEffect(() => {
    if (path === null) return;
    let alive = true, timer = 0;
    const load = async () => {
      try {
        if (!document.hidden) {
          const data = await get<T>(path);
          if (alive) setState({ path, data });
        }
      } catch (error) {
        if (alive) setState(old => ({ path, data: old.path === path ? old.data : undefined, error: error as ApiError }));
      }
      if (alive && period_ms > 0) timer = window.setTimeout(load, period_ms);
    };
    void load();
    return () => { alive = false; clearTimeout(timer); };
  }, [path, period_ms, turn]);
  const current = state.path === path ? state : { data: undefined, error: undefined };
  return { data: current.data, error: current.error, reload };
}

// The part of the address behind '#/': "jobs/job_01..." -> ["jobs", "job_01..."].
export function useRoute(): string[] {
  const read = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const changed = () => setRoute(read());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

// Runs an action for a button: busy while it runs, its error kept for showing.
export function useAction(action: () => Promise<unknown>): { run: () => void; busy: boolean; error?: ApiError } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const run = () => {
    setBusy(true);
    setError(undefined);
    action().catch(e => setError(e as ApiError)).finally(() => setBusy(false));
  };
  return { run, busy, error };
}
