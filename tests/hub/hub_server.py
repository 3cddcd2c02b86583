"""A hub and its storage on loopback, speaking Hugging Face's and ModelScope's protocols, with faults to order.

The hub redirects large files to the storage ("CDN"), a server of its own on another port, as the public hubs do. Every request is
recorded. Faults are attributes:
    break_after    a function of the request's number: bytes of the body after which the connection is cut, or None
    stall          a function of the same: whether to send a few bytes and then nothing
    lie            paths whose bytes come changed
    status         a function of (number, where, path): an HTTP status to answer instead, or None; where is "list", "hub" or "cdn"
    no_ranges      Range headers are not looked at
    listing        a function of the listing, to change it
"""
import hashlib, http.server, json, threading, time, urllib.parse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def blob_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    def __init__(self, repos, token=None, inline_below=64 << 10):
        self.repos = repos  # {"org/name": {path: bytes}}
        self.token = token
        self.inline_below = inline_below  # smaller files come from the hub itself
        self.requests = []  # (where, method, path, headers)
        self.lock = threading.Lock()
        self.break_after = self.stall = self.status = lambda *a: None
        self.lie, self.no_ranges, self.rate = set(), False, None
        self.listing = lambda value: value
        self.busy, self.most_busy = 0, 0
        self.hub, self.cdn = self.serve("hub"), self.serve("cdn")
        self.url = "http://127.0.0.1:%d" % self.hub.server_address[1]

    def serve(self, where):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                try:
                    outer.answer(where, self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_HEAD = do_GET

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True

            def handle_error(self, *args):
                pass

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def close(self):
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()

    def count(self, where=None):
        return sum(1 for r in self.requests if where in (None, r[0]))

    # -- requests

    def answer(self, where, h):
        with self.lock:
            number = len(self.requests)
            kind = "list" if where == "hub" and ("/api/models/" in h.path or "/repo/files" in h.path) else where
            self.requests.append((kind, h.command, h.path, dict(h.headers)))
        code = self.status(number, kind, h.path)
        if code:
            return self.send(h, code, b"no", {"Retry-After": "0"} if code == 429 else {})
        url = urllib.parse.urlsplit(h.path)
        parts = [urllib.parse.unquote(p) for p in url.path.split("/")[1:]]
        query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
        if where == "cdn":
            return self.send_file(h, number, self.repos["/".join(parts[:2])]["/".join(parts[2:])], "/".join(parts[2:]))
        if self.token and h.headers.get("Authorization") != "Bearer " + self.token:
            return self.send(h, 401, b'{"error":"Invalid username or password."}')
        if parts[:2] == ["api", "models"]:
            return self.list_huggingface(h, "/".join(parts[2:4]), parts[5])
        if parts[:3] == ["api", "v1", "models"] and parts[5:] == ["repo", "files"]:
            return self.list_modelscope(h, "/".join(parts[3:5]))
        if parts[:3] == ["api", "v1", "models"]:
            return self.resolve(h, number, "/".join(parts[3:5]), query["FilePath"])
        return self.resolve(h, number, "/".join(parts[:2]), "/".join(parts[4:]))

    def resolve(self, h, number, repo, path):
        files = self.repos.get(repo, {})
        if path not in files:
            return self.send(h, 404, b"Entry not found")
        if len(files[path]) < self.inline_below:
            return self.send_file(h, number, files[path], path)
        place = "http://127.0.0.1:%d/%s/%s?signature=abc" % (self.cdn.server_address[1], repo, urllib.parse.quote(path))
        self.send(h, 302, b"", {"Location": place, "X-Repo-Commit": COMMIT, "X-Linked-Size": str(len(files[path])),
                                "X-Linked-Etag": '"%s"' % hashlib.sha256(files[path]).hexdigest()})

    def list_huggingface(self, h, repo, revision):
        if repo not in self.repos or revision not in ("main", COMMIT):
            return self.send(h, 404, b'{"error":"Repository not found"}')
        siblings = []
        for path, data in self.repos[repo].items():
            entry = {"rfilename": path, "size": len(data), "blobId": blob_id(data)}
            if len(data) >= self.inline_below:
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        self.send_json(h, {"id": repo, "sha": COMMIT, "siblings": siblings})

    def list_modelscope(self, h, repo):
        if repo not in self.repos:
            return self.send_json(h, {"Code": 10010205001, "Message": "the model does not exist", "Success": False, "Data": None})
        files = [{"Path": "sub", "Name": "sub", "Type": "tree", "Size": 0, "Sha256": ""}]
        files += [{"Path": path, "Name": path.split("/")[-1], "Type": "blob", "Size": len(data), "IsLFS": True,
                   "Sha256": hashlib.sha256(data).hexdigest()} for path, data in self.repos[repo].items()]
        self.send_json(h, {"Code": 200, "Message": "success", "Success": True, "Data": {"Files": files}})

    # -- answers

    def send_json(self, h, value):
        value = self.listing(value)
        self.send(h, 200, value if isinstance(value, bytes) else json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, h, code, body, headers={}):
        h.send_response(code)
        for name, value in headers.items():
            h.send_header(name, value)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def send_file(self, h, number, data, path):
        if path in self.lie:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
        begin, end = 0, len(data)
        asked = h.headers.get("Range")
        if asked and not self.no_ranges:
            first, last = asked.removeprefix("bytes=").split("-")
            begin, end = int(first), int(last) + 1
            if begin >= len(data):
                return self.send(h, 416, b"")
            h.send_response(206)
            h.send_header("Content-Range", "bytes %d-%d/%d" % (begin, end - 1, len(data)))
        else:
            h.send_response(200)
        h.send_header("Content-Length", str(end - begin))
        h.end_headers()
        with self.lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            self.send_body(h, number, data[begin:end])
        finally:
            with self.lock:
                self.busy -= 1

    def send_body(self, h, number, body):
        if self.stall(number):
            h.wfile.write(body[:10])
            h.wfile.flush()
            time.sleep(4)
            h.close_connection = True
            return
        cut = self.break_after(number)
        if self.rate:
            for at in range(0, len(body), 65536):
                h.wfile.write(body[at:at + 65536])
                time.sleep(65536 / self.rate)
        elif cut is not None and cut < len(body):
            h.wfile.write(body[:cut])
            h.wfile.flush()
            h.close_connection = True
            h.connection.shutdown(2)
        else:
            h.wfile.write(body)
