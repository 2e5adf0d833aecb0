"""Sends crossdock's metrics as a task would, by Airflow's own settings; a test hears them."""


def main() -> None:
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics import stats_utils

    from crossdock.airflow import metrics
    from crossdock.backlog import Owed
    from crossdock.handover import Outcome

    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
    counts = {"inserted": 40, "updated": 2, "deleted": 5}
    with metrics.timed("push", "transport/flights/tax"):
        metrics.handed_over(Outcome(agreement="transport/flights/tax", status="delivered", reason="", counts=counts))
    metrics.handed_over(Outcome(agreement="transport/flights/court", status="refused", reason="It expired."))
    late = Owed(
        agreement="a/b/c", consumer="c", state="rejected", snapshots=0, since="", age_seconds=90.0, tried_at=None,
        last_delivered=None, rejected=3,
    )  # fmt: skip
    metrics.owed([late])
    metrics.audited(sound=True)


if __name__ == "__main__":
    main()
