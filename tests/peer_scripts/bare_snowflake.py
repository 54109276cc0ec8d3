"""Runs in the peer's environment: the driver alone, reading the rows of one query. A yardstick for our pull.

bare_snowflake.py '{"address": …, "sql": …, "values": …, "batch": 2000}'
"""

import json
import resource
import sys
import time

import snowflake.connector

task = json.loads(sys.argv[1])
started, worked, records = time.perf_counter(), time.process_time(), 0
with snowflake.connector.connect(
    user="reader", password="pretend", protocol="http", database="BLACKBOARD_DATA_TEST", **task["address"]
) as connection:
    cursor = connection.cursor()
    cursor.execute(task["sql"], task["values"])
    while batch := cursor.fetchmany(task["batch"]):
        records += len(batch)
used = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - worked}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"records": records, "peak_mb": peak, **used}))
