"""Tandem from Python: submit, wait, ask, read curves. One file, to copy beside your own.

    pip install requests pandas pyarrow

    import tandem
    lab = tandem.connect()                          # the context that `tandem join` made
    run = lab.submit("quickstart.toml").wait()
    print(run.results())
    curves = lab.metrics("quickstart/encoder", "loss")

Whatever else the coordinator answers is there by `lab.get("Jobs/Why", target="quickstart")`; what there is says
`lab.get("openapi.json")`.
"""

import io
import json
import os
import pathlib
import ssl
import sys
import time
import uuid

import pandas
import requests
from requests.adapters import HTTPAdapter

__all__ = ["Experiment", "Failed", "House", "Problem", "connect"]

# Seconds to connect, and between two pieces of an answer.
TIMEOUT = (10, 60)


class Problem(Exception):
    """What the coordinator did not do: `code` as gRPC has it (`not_found`), and why in words."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Failed(Exception):
    """Jobs that were waited for have failed or were cancelled: `jobs` has them."""

    def __init__(self, jobs):
        super().__init__("; ".join(f"{job['name']} {job['state']}: {job['reason'] or 'no reason known'}" for job in jobs))
        self.jobs = jobs


def connect(context=None, *, url=None, token=None, ca=None, server_name=None):
    """The coordinator of a context of `tandem join`, of TANDEM_SERVER and TANDEM_TOKEN, or at `url`.

    `ca` is the text of the certificate to trust, `server_name` the name that it is for, where that is not the address.
    """
    if url is None and context is None and os.environ.get("TANDEM_SERVER"):
        url = os.environ["TANDEM_SERVER"]
    if url is None:
        joined = _context(context or os.environ.get("TANDEM_CONTEXT"))
        url = next((one for one in joined["servers"] if one.startswith("http")), None)
        if url is None:
            raise ValueError(f"this context has no URL, only {joined['servers']}; name one: connect(url=.., token=..)")
        token = token or joined.get("token")
        ca, server_name = ca or joined.get("ca"), server_name or joined.get("server_name")
    return House(url, token or os.environ.get("TANDEM_TOKEN"), ca, server_name)


def _context(name):
    import tomllib

    base = os.environ.get("XDG_CONFIG_HOME") or pathlib.Path.home() / ".config"
    folder = pathlib.Path(base) / "tandem"
    if not name:
        current = folder / "current-context"
        if not current.exists():
            raise FileNotFoundError(f"no context in {folder}: `tandem join URL FINGERPRINT` makes one, or name a url and a token")
        name = current.read_text().strip()
    return tomllib.loads((folder / "contexts" / f"{name}.toml").read_text())


class _Pinned(HTTPAdapter):
    """Trusts one certificate, and nobody else's."""

    def __init__(self, ca, server_name):
        self.ca, self.server_name = ca, server_name
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.ca)
        if self.server_name:
            kwargs |= {"server_hostname": self.server_name, "assert_hostname": self.server_name}
        super().init_poolmanager(*args, ssl_context=context, **kwargs)

    # Else requests would add those of the system.
    def cert_verify(self, conn, url, verify, cert):
        pass

    def build_connection_pool_key_attributes(self, request, verify, cert=None):
        host, attributes = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {key: value for key, value in attributes.items() if not key.startswith(("ca_", "cert"))}


class House:
    """A coordinator."""

    def __init__(self, url, token=None, ca=None, server_name=None):
        self.url = url.rstrip("/")
        self.session = requests.Session()
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"
        if ca:
            self.session.mount("https://", _Pinned(ca, server_name))

    def _answer(self, method, path, **how):
        how.setdefault("timeout", TIMEOUT)
        answer = self.session.request(method, f"{self.url}{path}", **how)
        if answer.ok:
            return answer
        try:
            problem = answer.json()
            raise Problem(problem["code"], problem["message"])
        except (ValueError, KeyError, TypeError):
            raise Problem(str(answer.status_code), answer.text.strip() or answer.reason) from None

    def get(self, method, **fields):
        """The answer of a method that reads, as in `get("Jobs/List", states=["running"])`."""
        return self._answer("GET", f"/api/v1/{method}", params=_query(fields)).json()

    def lines(self, method, **fields):
        """The answers of a method that goes on, one by one, as in `lines("Jobs/Logs", target="quickstart")`."""
        with self._answer("GET", f"/api/v1/{method}", params=_query(fields), stream=True, timeout=(10, None)) as answer:
            for line in answer.iter_lines():
                document = json.loads(line)
                if "problem" in document:
                    raise Problem(**document["problem"])
                yield document

    def submit(self, experiment, *, fresh=False, priority=None, dry_run=False):
        """Submits a file by its path, or the text of one; a retry of the same call is the same submit."""
        path = pathlib.Path(experiment) if "\n" not in str(experiment) else None
        request = {
            "toml": path.read_text() if path else experiment,
            "file_name": path.name if path else "experiment.toml",
            "fresh": fresh,
            "priority": priority,
            "dry_run": dry_run,
            "idempotency_key": str(uuid.uuid4()),
        }
        answer = self._answer("POST", "/api/v1/Jobs/Submit", json=request).json()
        return Experiment(self, answer)

    def experiment(self, target):
        """One that was submitted before, by its name or id."""
        shown = self.get("Jobs/Show", target=target)["experiment"]
        if shown is None:
            raise Problem("not_found", f"`{target}` is a job, not an experiment")
        return Experiment(self, {"experiment_id": shown["id"], "name": shown["name"]})

    def results(self, where="", **question):
        """The jobs that a condition holds of, as a frame.

        `by`, `columns`, `order`, `view`, `mine`, `tag`, `since` and `limit` are those of `Results/Ask`.
        """
        return self._frame("/results.parquet", {"where": where, **question})

    def metrics(self, target, *names, points=None):
        """The points of curves, as a frame with the columns job, metric, step, value; of all curves where none is named."""
        quoted = requests.utils.quote(str(target), safe="")
        return self._frame(f"/jobs/{quoted}/curves.parquet", {"name": list(names), "points": points})

    def _frame(self, path, fields):
        answer = self._answer("GET", path, params=_query(fields))
        if answer.headers.get("Tandem-Next-Cursor"):
            print("tandem: there are more rows than these; narrow the question, or go on with cursor=..", file=sys.stderr)
        return pandas.read_parquet(io.BytesIO(answer.content))


class Experiment:
    """One that was submitted: `id`, `name`, and what was said of it."""

    def __init__(self, house, answer):
        self.house, self.answer = house, answer
        self.id, self.name = answer["experiment_id"], answer["name"]

    def __repr__(self):
        return f"<Experiment {self.name} {self.id[:8]}>"

    def jobs(self):
        return self.house.get("Jobs/Show", target=self.id)["jobs"]

    def wait(self, timeout=None, poll=2.0):
        """Returns itself once all its jobs have succeeded; raises Failed or TimeoutError."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                jobs = self.jobs()
            except (requests.ConnectionError, requests.Timeout):
                # The coordinator may be started anew; the jobs go on.
                jobs = None
            ended = {"succeeded", "failed", "cancelled"}
            if jobs is not None and all(job["state"] in ended for job in jobs):
                failed = [job for job in jobs if job["state"] != "succeeded"]
                if failed:
                    raise Failed(failed)
                return self
            if until is not None and time.monotonic() + poll > until:
                raise TimeoutError(f"{self.name} has not ended after {timeout} s")
            time.sleep(poll)

    def results(self, where="", **question):
        return self.house.results(where, target=self.id, **question)

    def metrics(self, *names, points=None):
        return self.house.metrics(self.id, *names, points=points)

    def cancel(self):
        return self.house._answer("POST", "/api/v1/Jobs/Cancel", json={"target": self.id}).json()


def _query(fields):
    pairs = []
    for name, value in fields.items():
        if value is None or value == "":
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            pairs.append((name, str(one).lower() if isinstance(one, bool) else one))
    return pairs
