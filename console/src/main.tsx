// The shell of the console: log-in, navigation, language and theme; each page is a file under pages/.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { apiKey, get, type ApiError } from "./api";
import { LanguageContext, preferredLanguage, useT, type Language } from "./i18n";
import { useAction, useRoute } from "./hooks";
import { ErrorLine, Input } from "./ui";
import type { Me } from "./types";
import { OverviewPage } from "./pages/overview";
import { PlaygroundPage } from "./pages/playground";
import { JobsPage } from "./pages/jobs";
import { ModelsPage } from "./pages/models";
import { EndpointsPage } from "./pages/endpoints";
import { UsagePage } from "./pages/usage";
import { KeysPage } from "./pages/keys";
import { EventsPage } from "./pages/events";
import "uplot/dist/uPlot.min.css";
import "./app.css";

export interface PageProps { id?: string; theme: string }

const PAGES = [
  { path: "", title: "Overview", page: OverviewPage },
  { path: "playground", title: "Playground", page: PlaygroundPage },
  { path: "jobs", title: "Jobs", page: JobsPage },
  { path: "models", title: "Models", page: ModelsPage },
  { path: "endpoints", title: "Endpoints", page: EndpointsPage },
  { path: "usage", title: "Usage", page: UsagePage },
  { path: "keys", title: "Keys", page: KeysPage },
  { path: "events", title: "Events", page: EventsPage },
];

function Login(props: { onLogin: (me: Me) => void }) {
  const t = useT();
  const [key, setKey] = useState("");
  const { run, busy, error } = useAction(async () => {
    apiKey.set(key.trim());
    try {
      props.onLogin(await get<Me>("/me"));
    } catch (e) {
      apiKey.clear();
      throw (e as ApiError).status === 401 ? { ...(e as ApiError), message: t("This key was not accepted.") } : e;
    }
  });
  return <main class="login"><form class="card" onSubmit={e => { e.preventDefault(); run(); }}>
    <h1><img src="/icon.svg" alt="" width="36" height="36" /> loam</h1>
    <Input label={t("API key")} type="password" value={key} onValue={setKey} autocomplete="off" required autofocus
      hint={t("The key that `loam up` printed at its first start, or one made under Keys.")} />
    <ErrorLine error={error} />
    <button class="primary" disabled={busy}>{t("Log in")}</button>
  </form></main>;
}

function Navigation(props: { current: string; me: Me; controls: preact.ComponentChildren }) {
  const t = useT();
  return <nav aria-label="loam">
    <a class="brand" href="#/"><img src="/icon.svg" alt="" width="26" height="26" /> loam</a>
    <ul>{PAGES.map(p => <li><a href={`#/${p.path}`} aria-current={p.path === props.current ? "page" : undefined}>
      {t(p.title)}</a></li>)}</ul>
    <div class="foot"><span class="who" title={props.me.key.id}>{props.me.project.name} · {props.me.role}</span>{props.controls}</div>
  </nav>;
}

function preferredTheme(): string {
  return localStorage.getItem("loam.theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

function App() {
  const [me, setMe] = useState<Me>();
  const [checking, setChecking] = useState(apiKey.get() !== "");
  const [language, setLanguage] = useState<Language>(preferredLanguage);
  const [theme, setTheme] = useState(preferredTheme);
  const route = useRoute();
  useEffect(() => {
    if (checking) get<Me>("/me").then(setMe, () => apiKey.clear()).finally(() => setChecking(false));
  }, []);
  useEffect(() => { document.documentElement.lang = language === "zh" ? "zh-CN" : "en"; }, [language]);
  document.documentElement.dataset.theme = theme; // before the children read the colours
  const controls = <Controls language={language} theme={theme}
    onLanguage={l => { localStorage.setItem("loam.language", l); setLanguage(l); }}
    onTheme={n => { localStorage.setItem("loam.theme", n); setTheme(n); }}
    onLogout={() => { apiKey.clear(); setMe(undefined); }} />;
  const { path, title, page: Page } = PAGES.find(p => p.path === route[0]) ?? PAGES[0];
  return <LanguageContext.Provider value={language}>
    {checking ? null : !me ? <Login onLogin={setMe} /> : <div class="shell">
      <Navigation current={path} me={me} controls={controls} />
      <main id="content" tabIndex={-1}><Title text={title} /><Page id={route[1]} theme={theme} /></main>
    </div>}
  </LanguageContext.Provider>;
}

function Title(props: { text: string }) {
  return <h1>{useT()(props.text)}</h1>;
}

function Controls(props: { language: Language; theme: string; onLanguage: (l: Language) => void; onTheme: (t: string) => void;
                          onLogout: () => void }) {
  const t = useT();
  return <div class="controls">
    <button class="quiet" aria-label={t("Language")} onClick={() => props.onLanguage(props.language === "en" ? "zh" : "en")}>
      {props.language === "en" ? "中文" : "English"}</button>
    <button class="quiet" aria-label={t("Theme")} onClick={() => props.onTheme(props.theme === "dark" ? "light" : "dark")}>
      {props.theme === "dark" ? "☀" : "☾"}</button>
    <button class="quiet" onClick={props.onLogout}>{t("Log out")}</button>
  </div>;
}

render(<App />, document.getElementById("app")!);
