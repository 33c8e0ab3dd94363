# SPDX-License-Identifier: GPL-2.0-or-later
"""A separate PostgreSQL cluster, on a unix socket."""

from __future__ import annotations

import shutil
import tempfile
from functools import cached_property
from pathlib import Path

from fedpkg_container.box.services import Service
from fedpkg_container.process import run
from tests.stock.source import postgres_program

#: PostgreSQL does not run as root: the account that its package makes.
ACCOUNT = "postgres"
USER = "koji"
DATABASE = "koji"
TIMEOUT = 120.0


class Postgres:
    """The cluster.

    :param log: where the server's output goes
    :param pid_file: which process the server is
    """

    def __init__(self, log: Path, pid_file: Path) -> None:
        # Not below the box's directory, which only root may enter.
        self.directory = Path(tempfile.mkdtemp(prefix="stock-postgres-"))
        self.log = log
        self.pid_file = pid_file

    @cached_property
    def service(self) -> Service:
        """The server: durable is nothing of it, it lives as long as the tests."""
        command = [
            *_as_account(str(postgres_program("postgres"))),
            *("-D", str(self.directory / "data"), "-k", str(self.directory)),
            *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "full_page_writes=off"),
        ]
        return Service("PostgreSQL", command, self._answers, self.log, self.pid_file)

    def _answers(self) -> bool:
        return self._psql("-c", "SELECT 1", database="postgres", check=False) == 0

    def create(self, schema: Path, *statements: str) -> None:
        """Make the cluster, start the server, load a schema and run statements.

        :raises ProgramError: something of that failed
        """
        shutil.chown(self.directory, ACCOUNT, ACCOUNT)
        initdb = [*_as_account(str(postgres_program("initdb"))), "-D", str(self.directory / "data")]
        run([*initdb, "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-sync"], timeout=TIMEOUT)
        self.service.start()
        self.service.wait_ready()
        self._psql("-c", f"CREATE DATABASE {DATABASE}", database="postgres")
        self._psql("-f", str(schema))
        for statement in statements:
            self._psql("-c", statement)

    def remove(self) -> None:
        """Stop the server and delete the cluster."""
        self.service.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _psql(self, *arguments: str, database: str = DATABASE, check: bool = True) -> int:
        command = ["psql", "-h", str(self.directory), "-U", USER, "-q", "-o", "/dev/null", "-v", "ON_ERROR_STOP=1"]
        return run([*command, *arguments, database], timeout=TIMEOUT, check=check).status


def _as_account(program: str) -> list[str]:
    return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups", "--", program]
