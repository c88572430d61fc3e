"""What a W&B server would hold after `wandb sync`: a stand-in of the endpoints that it talks to."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class ServedRun:
    """A run as the server holds it; of group and job type every value that was ever sent."""

    groups: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass
class WandbServer:
    """A server with the runs that were sent to it.

    Attributes:
        url: Its address, for WANDB_BASE_URL.
        runs: The runs by their ids.
        refused: Ids of runs that it refuses.
        received: All that was sent, as text.
        artifacts: Names of the artifacts that were sent.
    """

    url: str = ""
    runs: dict[str, ServedRun] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    received: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)

    def answer(self, path: str, sent: dict[str, Any]) -> dict[str, Any]:
        if path.endswith("/file_stream"):
            self._stream(path.split("/")[-2], sent.get("files") or {})
            return {}
        answers = {
            "RunResumeStatus": self._resume_status,
            "UpsertBucket": self._upsert,
            "CreateRunFiles": self._create_files,
            "CreateArtifact": self._create_artifact,
            "UseArtifact": lambda sent: {"useArtifact": {"artifact": {"id": "a"}}},
        }
        answer = answers.get(sent.get("operationName", ""))
        return {"data": answer(sent["variables"]) if answer else None}

    def _resume_status(self, sent: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(sent["name"])
        about = {"id": "p", "name": sent["project"], "entity": {"id": "e", "name": "people"}}
        if run is None:
            return {"model": {**about, "bucket": None}}
        tail = json.dumps([json.dumps(row) for row in run.history[-1:]])
        bucket = {
            **{"id": sent["name"], "name": sent["name"], "displayName": run.name},
            **{"summaryMetrics": json.dumps(run.summary), "config": json.dumps(run.config)},
            **{"historyLineCount": len(run.history), "historyTail": tail},
            **{"logLineCount": 0, "eventsLineCount": 0, "eventsTail": "[]", "tags": []},
            # With the key `t` it is a run that was begun, which a later part adds to.
            **{"notes": None, "wandbConfig": '{"t": {}}'},
        }
        return {"model": {**about, "bucket": bucket}}

    def _upsert(self, sent: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.setdefault(sent["name"], ServedRun())
        run.groups += [sent["groupName"]] if sent["groupName"] else []
        run.jobs += [sent["jobType"]] if sent["jobType"] else []
        run.name = sent["displayName"] or run.name
        run.config = json.loads(sent["config"] or "null") or run.config
        project = {"id": "p", "name": "fer-lightning", "entity": {"id": "e", "name": "people"}}
        bucket = {"id": sent["name"], "name": sent["name"], "displayName": run.name}
        count = len(run.history)
        bucket |= {"project": project, "historyLineCount": count, "config": json.dumps(run.config)}
        return {"upsertBucket": {"bucket": bucket, "inserted": not count}}

    def _create_files(self, sent: dict[str, Any]) -> dict[str, Any]:
        files = [{"name": name, "uploadUrl": f"{self.url}/storage"} for name in sent["files"]]
        return {"createRunFiles": {"runID": sent["run"], "uploadHeaders": [], "files": files}}

    def _create_artifact(self, sent: dict[str, Any]) -> dict[str, Any]:
        self.artifacts.append(sent["input"]["artifactCollectionName"])
        # As if it had the very files already, it asks for none.
        artifact = {"id": "a", "state": "COMMITTED", "artifactSequence": {"id": "s"}}
        return {"createArtifact": {"artifact": artifact}}

    def _stream(self, run_id: str, files: dict[str, Any]) -> None:
        run = self.runs[run_id]
        for name, file in files.items():
            lines = [json.loads(line) for line in file["content"] if name != "output.log"]
            if name == "wandb-summary.json":
                run.summary = lines[-1]
            elif name == "wandb-history.jsonl":
                run.history[file["offset"] :] = lines


@contextmanager
def serve_wandb() -> Iterator[WandbServer]:
    """Run a server on a free port of this machine."""
    server = WandbServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if self.headers["Content-Encoding"] == "gzip":
                content = gzip.decompress(content)
            server.received.append(content.decode(errors="replace"))
            told = self.path == "/graphql" or self.path.endswith("/file_stream")
            answer = server.answer(self.path, json.loads(content)) if told else {}
            refused = any(run_id in server.received[-1] for run_id in server.refused)
            self.send_response(403 if refused else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_PUT = do_POST  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def assert_one_group(run: ServedRun, job: str) -> None:
    """Hold that every part of a run was sent with one group and one job type."""
    assert len({*run.groups}) == 1
    assert {*run.jobs} == {job}
