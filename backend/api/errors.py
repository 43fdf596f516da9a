"""One JSON shape for every error: {error, detail, reference}."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from backend.core.errors import PortalError
from backend.core.log import get_logger, log_unexpected, mask_text, new_reference

log = get_logger(__name__)


def install(app: FastAPI) -> None:
    """Put the handlers on the app."""
    app.exception_handler(PortalError)(_portal_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_unexpected)


def body(error: str, detail: str, reference: str) -> dict[str, Any]:
    return {"error": error, "detail": detail, "reference": reference}


def _portal_error(request: Request, exc: PortalError) -> JSONResponse:
    reference = new_reference()
    log.info(
        "Request refused.",
        reference=reference,
        status=exc.status,
        path=request.url.path,
        error=exc.message,
    )
    headers = {"WWW-Authenticate": "Bearer"} if exc.status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(
        body(type(exc).__name__, mask_text(exc.message), reference),
        status_code=exc.status,
        headers=headers,
    )


def _validation_error(_request: Request, exc: RequestValidationError) -> JSONResponse:
    """422 for the shape of a payload; 400 when the body is not JSON at all."""
    problems = exc.errors()
    malformed = any(problem["type"] == "json_invalid" for problem in problems)
    sentences = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in problems
    ]
    status = HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNPROCESSABLE_ENTITY
    return JSONResponse(
        body("InvalidPayload", "; ".join(sentences), new_reference()), status_code=status
    )


def _http_error(_request: Request, exc: HTTPException) -> JSONResponse:
    name = HTTPStatus(exc.status_code).phrase.replace(" ", "")
    return JSONResponse(
        body(name, str(exc.detail), new_reference()),
        status_code=exc.status_code,
        headers=exc.headers,
    )


def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    reference = log_unexpected(log, "A request failed unexpectedly.", exc, path=request.url.path)
    return JSONResponse(
        body("InternalError", "Something went wrong. Quote the reference to an admin.", reference),
        status_code=500,
    )
