"""MLflow's own search over runs, as its server calls it: `SqlAlchemyStore.search_runs`, in this process, without HTTP.

The first request has the URL of a database, in which its tables are made; then each is {"count": n, "experiments": [..]
or null for all, "filter": .., "order": [..], "most": ..}, and is answered with the seconds for n searches and the ids
that were found.
"""

import json
import logging
import sys
import time


def main():
    replies = sys.stdout
    sys.stdout = sys.stderr
    import mlflow
    from mlflow.entities import ViewType
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    logging.disable(logging.WARNING)

    def reply(answer):
        print(json.dumps(answer), file=replies, flush=True)

    setup = json.loads(sys.stdin.readline())
    store = SqlAlchemyStore(setup["url"], setup["artifacts"])
    reply({"version": mlflow.__version__})
    every = None
    for line in sys.stdin:
        request = json.loads(line)
        if every is None:
            page = store.search_experiments(max_results=1000)
            every = [experiment.experiment_id for experiment in page]
            assert not page.token, "not all experiments fit a page"
        experiments = request["experiments"] or every
        start = time.perf_counter()
        for _ in range(request["count"]):
            runs = store.search_runs(experiments, request["filter"], ViewType.ACTIVE_ONLY, request["most"], request["order"])
        reply({"seconds": time.perf_counter() - start, "result": [run.info.run_id for run in runs]})


main()
