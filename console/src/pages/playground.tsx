// Playground: a streaming chat with the sampling controls and the counted tokens.
import { useEffect, useRef, useState } from "preact/hooks";
import { chat, type ApiError, type ChatMessage, type ChatUsage, type List } from "../api";
import { usePoll } from "../hooks";
import { useT } from "../i18n";
import { Card, ErrorLine, Field, Input } from "../ui";
import type { Endpoint } from "../types";

interface Settings { model: string; system: string; temperature: string; top_p: string; max_tokens: string; seed: string }

const DEFAULTS: Settings = { model: "", system: "", temperature: "0.8", top_p: "0.95", max_tokens: "256", seed: "" };

function SettingsPanel(props: { settings: Settings; endpoints: Endpoint[]; onChange: (s: Settings) => void }) {
  const t = useT();
  const { settings, onChange } = props;
  const put = (name: keyof Settings) => (value: string) => onChange({ ...settings, [name]: value });
  return <Card>
    <Field label={t("Model")}><select value={settings.model} onChange={e => put("model")(e.currentTarget.value)}>
      {props.endpoints.map(e => <option value={e.name}>{e.name}</option>)}</select></Field>
    <Input label={t("Temperature")} type="number" min="0" max="2" step="0.1" value={settings.temperature} onValue={put("temperature")} />
    <Input label={t("Top-p")} type="number" min="0" max="1" step="0.05" value={settings.top_p} onValue={put("top_p")} />
    <Input label={t("Max tokens")} type="number" min="1" value={settings.max_tokens} onValue={put("max_tokens")} />
    <Input label={t("Seed")} type="number" value={settings.seed} onValue={put("seed")} />
    <Field label={t("System prompt")}><textarea rows={3} value={settings.system} onInput={e => put("system")(e.currentTarget.value)} /></Field>
  </Card>;
}

function request(settings: Settings, messages: ChatMessage[]) {
  const system: ChatMessage[] = settings.system ? [{ role: "system", content: settings.system }] : [];
  return {
    model: settings.model, messages: [...system, ...messages], temperature: Number(settings.temperature),
    top_p: Number(settings.top_p), max_tokens: Number(settings.max_tokens),
    ...(settings.seed === "" ? {} : { seed: Number(settings.seed) }),
  };
}

function useChat(settings: Settings) {
  const [messages, setMessages] = useState<ChatMessage[]>([]);
  const [usage, setUsage] = useState<ChatUsage>();
  const [error, setError] = useState<ApiError>();
  const abort = useRef<AbortController>();
  const [busy, setBusy] = useState(false);
  const send = async (text: string) => {
    const asked: ChatMessage[] = [...messages, { role: "user", content: text }];
    let answer = "";
    setMessages(asked);
    setError(undefined);
    setUsage(undefined);
    setBusy(true);
    abort.current = new AbortController();
    try {
      setUsage(await chat(request(settings, asked), piece => {
        answer += piece;
        setMessages([...asked, { role: "assistant", content: answer }]);
      }, abort.current.signal));
    } catch (e) {
      if ((e as Error).name !== "AbortError") setError(e as ApiError);
    } finally {
      setBusy(false);
    }
  };
  return { messages, usage, error, busy, send, stop: () => abort.current?.abort(),
           clear: () => { abort.current?.abort(); setMessages([]); setUsage(undefined); setError(undefined); } };
}

export function PlaygroundPage() {
  const t = useT();
  const { data } = usePoll<List<Endpoint>>("/endpoints", 10000);
  const [settings, setSettings] = useState(DEFAULTS);
  const [draft, setDraft] = useState("");
  const talk = useChat(settings);
  const end = useRef<HTMLDivElement>(null);
  const endpoints = data?.data ?? [];
  useEffect(() => {
    if (!settings.model && endpoints.length > 0) setSettings({ ...settings, model: endpoints[0].name });
  }, [endpoints.length]);
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [talk.messages]);
  const send = () => {
    if (draft.trim() === "" || talk.busy || !settings.model) return;
    void talk.send(draft);
    setDraft("");
  };
  if (data && endpoints.length === 0) return <p class="empty">{t("No endpoint is deployed yet: deploy a model first.")}</p>;
  return <div class="playground">
    <Card>
      <div class="messages" aria-live="polite">
        {talk.messages.length === 0 && <p class="empty">{t("Say something to the model.")}</p>}
        {talk.messages.map(m => <div class={`message ${m.role}`}>{m.content}</div>)}
        <ErrorLine error={talk.error} />
        <div ref={end} />
      </div>
      {talk.usage && <p class="usage">{talk.usage.prompt_tokens} {t("prompt")} + {talk.usage.completion_tokens} {t("answer")} {t("tokens")}</p>}
      <form class="compose" onSubmit={e => { e.preventDefault(); send(); }}>
        <textarea aria-label={t("Message")} rows={2} value={draft} onInput={e => setDraft(e.currentTarget.value)}
          onKeyDown={e => { if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); send(); } }} />
        {talk.busy ? <button type="button" onClick={talk.stop}>{t("Stop")}</button> : <button class="primary">{t("Send")}</button>}
        <button type="button" class="quiet" onClick={talk.clear}>{t("Clear")}</button>
      </form>
    </Card>
    <SettingsPanel settings={settings} endpoints={endpoints} onChange={setSettings} />
  </div>;
}
