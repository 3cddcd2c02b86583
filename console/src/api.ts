// The REST client: every request of the console goes through here, with the API key of this browser session.

export interface ApiError { status: number; code: string; message: string; hint?: string }
export interface List<T> { data: T[]; next?: string | null }

const KEY = "loam.key";

export const apiKey = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (key: string) => sessionStorage.setItem(KEY, key),
  clear: () => sessionStorage.removeItem(KEY),
};

function headers(body?: unknown): Record<string, string> {
  const all: Record<string, string> = { Authorization: `Bearer ${apiKey.get()}` };
  if (body !== undefined) all["Content-Type"] = "application/json";
  return all;
}

async function failure(response: Response): Promise<ApiError> {
  let detail: Partial<ApiError> = {};
  try {
    detail = (await response.json()).error ?? {};
  } catch { /* not JSON: the status line says what there is to say */ }
  return { status: response.status, code: String(detail.code ?? response.status),
           message: detail.message ?? response.statusText, hint: detail.hint };
}

async function request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(path, {
    method, headers: headers(body), body: body === undefined ? undefined : JSON.stringify(body), signal });
  if (!response.ok) throw await failure(response);
  return response;
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await request(method, `/api/v1${path}`, body);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const get = <T>(path: string) => call<T>("GET", path);
export const post = <T>(path: string, body: unknown = {}) => call<T>("POST", path, body);
export const del = (path: string) => call<void>("DELETE", path);

export async function text(path: string): Promise<string> {
  return (await request("GET", `/api/v1${path}`)).text();
}

export interface ChatMessage { role: "system" | "user" | "assistant"; content: string }
export interface ChatUsage { prompt_tokens: number; completion_tokens: number; total_tokens: number }

export interface ChatOptions {
  model: string; messages: ChatMessage[]; temperature: number; top_p: number; max_tokens: number; seed?: number;
}

// Streams a chat answer; onText gets each piece. Resolves with the usage that the server counted.
export async function chat(options: ChatOptions, onText: (piece: string) => void, signal: AbortSignal):
    Promise<ChatUsage | undefined> {
  const body = { ...options, stream: true, stream_options: { include_usage: true } };
  const response = await request("POST", "/v1/chat/completions", body, signal);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "", usage: ChatUsage | undefined;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return usage;
    pending += value;
    const events = pending.split("\n\n");
    pending = events.pop() ?? "";
    for (const event of events) {
      const data = event.replace(/^data: ?/, "");
      if (data === "[DONE]" || data === "") continue;
      const chunk = JSON.parse(data);
      if (chunk.error) throw { status: 200, code: "stream", message: chunk.error.message } as ApiError;
      usage = chunk.usage ?? usage;
      const piece = chunk.choices?.[0]?.delta?.content;
      if (piece) onText(piece);
    }
  }
}
