"""Runs in the peer's environment: the Snowflake emulator, filled over standard input.

Each line of input is a JSON list of statements; the answer is a line of JSON: the address at first, then how
many statements were run. Ends with its input.
"""

import json
import logging
import sys

import fakesnow
import snowflake.connector

logging.disable(logging.CRITICAL)
DATABASE = "BLACKBOARD_DATA_TEST"

with (
    fakesnow.server() as address,
    snowflake.connector.connect(**address, database=DATABASE, schema="CDM_TLM") as connection,
):
    print(json.dumps({name: address[name] for name in ("host", "port", "account")}), flush=True)
    for line in sys.stdin:
        statements = json.loads(line)
        for statement in statements:
            connection.cursor().execute(statement)
        print(json.dumps(len(statements)), flush=True)
