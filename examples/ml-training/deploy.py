"""Action `deploy_model`: puts the model in place, serves it and checks over HTTP what is served."""

import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import model as network
import taskio


def deploy(payload):
    with open(payload["model"], "rb") as file:
        data = file.read()
    digest = hashlib.sha256(data).hexdigest()
    path = os.path.join(taskio.folder(payload, "deployed"), f"model-{digest[:12]}.json")
    taskio.write_whole(path, data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        check(f"http://127.0.0.1:{server.server_port}", digest)
    finally:
        server.shutdown()
        server.server_close()
    return {"deployed": path, "sha256": digest, "checked": True}


def check(url, digest):
    with urlopen(f"{url}/model", timeout=10) as answer:
        served = answer.read()
    if hashlib.sha256(served).hexdigest() != digest:
        raise ValueError("the served model is not the one that was trained")
    expected = json.loads(served)["check"]
    with urlopen(f"{url}/predict?x={expected['x']!r}&y={expected['y']!r}", timeout=10) as answer:
        predicted = json.load(answer)["class"]
    if predicted != expected["class"]:
        raise ValueError(f"the served model says class {predicted}, the trained one said {expected['class']}")


def handler(path):
    """A server of what lies at `path`, read for each request: the file is tested, not a copy in memory."""

    class ModelServer(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            with open(path, "rb") as file:
                data = file.read()
            if url.path == "/model":
                self.answer(200, data)
            elif url.path == "/predict":
                point = parse_qs(url.query)
                label = network.predict(json.loads(data), float(point["x"][0]), float(point["y"][0]))
                self.answer(200, json.dumps({"class": label}).encode())
            else:
                self.answer(404, b"{}")

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return ModelServer


taskio.run(deploy)
