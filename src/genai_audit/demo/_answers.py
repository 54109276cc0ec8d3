"""The pretend tenant's answers other than data: OData errors and the faults that replace an answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from starlette.responses import HTMLResponse, JSONResponse, Response

from genai_audit.demo._audit_log import RefusedError
from genai_audit.demo._faults import Faults

_ODATA = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"


def answer_json(body: bytes) -> Response:
    """200 with the content type of Graph."""
    return Response(body, media_type=_ODATA)


def answer_refusal(error: RefusedError) -> Response:
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    body = {"code": error.code, "message": error.message, "innerError": {"date": moment}}
    headers = {"WWW-Authenticate": 'Bearer realm=""'} if error.status == 401 else None
    return JSONResponse({"error": body}, error.status, headers)


def answer_unavailable() -> Response:
    return answer_refusal(RefusedError(503, "serviceNotAvailable", "The service is unavailable."))


def answer_throttled(retry_after: str | None) -> Response:
    response = answer_refusal(RefusedError(429, "TooManyRequests", "Too many requests."))
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
    return response


def answer_error_page(status: int) -> Response:
    return HTMLResponse(f"<html><body><h1>{status}</h1>The gateway had a problem.</body></html>", status)


def replace_answer(fault: str, faults: Faults, times: int) -> Response | None:
    """The answer that a fault, given for the `times`-th time, puts in the place of the real one, or None."""
    makers: dict[str, Callable[[], Response]] = {
        "throttle_with_retry_after": lambda: answer_throttled(_write_retry_after(faults)),
        "throttle_without_header": lambda: answer_throttled(None),
        "unavailable_burst": answer_unavailable,
        "server_error": lambda: answer_error_page(500 if times % 2 else 502),
    }
    return makers[fault]() if fault in makers else None


def _write_retry_after(faults: Faults) -> str:
    seconds = faults.throttle_with_retry_after[1]
    if faults.retry_after_as_date:
        return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    return f"{seconds:g}"
