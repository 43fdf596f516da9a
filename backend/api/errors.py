"""One JSON shape for every error: {error, detail, reference}."""

from http import HTTPStatus
from typing import Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from backend.core.errors import FieldInvalid, PortalError, Waiting
from backend.core.log import get_logger, log_unexpected, mask_text, new_reference

log = get_logger(__name__)
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


class Refusal(BaseModel):
    """What every refusal and failure looks like; some name the thing they are about besides."""

    model_config = ConfigDict(extra="allow")

    error: str
    detail: str
    reference: str


class Waits(BaseModel):
    """What was asked waits for an approval. change: the request's address. runId: the number that
    its run will have, or stands for it until then."""

    model_config = ConfigDict(extra="allow")

    status: Literal["waiting"]
    change: str
    change_id: int
    runId: str
    detail: str


#: For endpoints whose action a policy may put under approval.
WAITS: dict[int | str, dict[str, Any]] = {
    202: {"model": Waits, "description": "The policy asks for an approval: nothing was done yet."}
}

#: What any endpoint may answer besides its own document; goes into the OpenAPI document.
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": description}
    for status, description in (
        (400, "Malformed, or a value that cannot be used."),
        (401, "No API token, or not a good one."),
        (403, "The token's role may not do this."),
        (404, "No such thing, or nothing is configured for it."),
        (408, "The request's body did not come in time."),
        (409, "Already running, or changed by somebody else."),
        (413, "Too much; narrow the filters."),
        (422, "The shape of the request."),
        (429, "Too many at once; wait before the next try."),
        (500, "A fault of the portal; quote the reference to an admin."),
        (502, "An outside system answered wrongly; the sentence names it."),
        (503, "An outside system, or the portal's own database, cannot be reached."),
        (504, "An outside system, or the portal's own database, did not answer in time."),
    )
}


def install(app: FastAPI) -> None:
    """Put the handlers on the app."""
    app.exception_handler(PortalError)(_portal_error)
    app.exception_handler(Waiting)(_waiting)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_unexpected)


def body(error: str, detail: str, reference: str) -> dict[str, Any]:
    return {"error": error, "detail": detail, "reference": reference}


def _waiting(_request: Request, exc: Waiting) -> JSONResponse:
    headers = {"Location": f"/api/changes/{exc.document['change_id']}"}
    document = {**exc.document, "detail": exc.message}
    return JSONResponse(document, status_code=exc.status, headers=headers)


def _portal_error(request: Request, exc: PortalError) -> JSONResponse:
    return refusal(request.url.path, exc)


def refusal(path: str, exc: PortalError) -> JSONResponse:
    """The answer for an error of the portal's own."""
    reference = new_reference()
    log.info(
        "Request refused.", reference=reference, status=exc.status, path=path, error=exc.message
    )
    document = body(type(exc).__name__, mask_text(exc.message), reference)
    if isinstance(exc, FieldInvalid):
        document["problems"] = [
            {"loc": ["body", *name.split(".")], "msg": mask_text(said)}
            for name, said in exc.problems.items()
        ]
    headers = {"WWW-Authenticate": "Bearer"} if exc.status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(document, status_code=exc.status, headers=headers)


def _validation_error(request: Request, exc: RequestValidationError) -> JSONResponse:
    """422 for the shape of a payload; 400 when the body is not JSON at all."""
    problems = exc.errors()
    malformed = any(problem["type"] == "json_invalid" for problem in problems)
    sentences = [_problem(request, problem) for problem in problems]
    status = HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNPROCESSABLE_ENTITY
    document = body("InvalidPayload", "; ".join(sentences), new_reference())
    document["problems"] = [
        {"loc": list(problem["loc"]), "msg": _said(problem)} for problem in problems
    ]
    return JSONResponse(document, status_code=status)


def _problem(request: Request, problem: dict[str, Any]) -> str:
    place = problem["loc"]
    if problem["type"] == "json_invalid":
        reason = str(problem["ctx"]["error"]).rstrip(".")
        return f"the body is not JSON: {reason} (at character {place[-1]})"
    kind = request.headers.get("content-type", "")
    if place == ("body",) and "json" not in kind and problem["type"] != "extra_forbidden":
        came = f"came as {kind}" if kind else "is missing, or came without its type"
        return f"the body {came}: send JSON with Content-Type: application/json"
    return f"{'.'.join(str(part) for part in place)}: {_said(problem)}"


def _said(problem: dict[str, Any]) -> str:
    """Our validators' own words, without the word that pydantic puts before them."""
    return str(problem["msg"]).removeprefix("Value error, ")


def _http_error(request: Request, exc: HTTPException) -> JSONResponse:
    status = HTTPStatus(exc.status_code)
    detail, path, headers = str(exc.detail), request.url.path, exc.headers
    if status == HTTPStatus.BAD_REQUEST and detail == "There was an error parsing the body":
        detail = "the body cannot be read as JSON: send UTF-8 text, not nested beyond reason"
    if status == HTTPStatus.NOT_FOUND and detail == status.phrase:
        detail = f"There is no address {path}; /api/docs lists all."
    if status == HTTPStatus.METHOD_NOT_ALLOWED and detail == status.phrase:
        detail = f"{path} takes no {request.method}; /api/docs lists what it takes."
        allowed = _allowed(request)  # of the pages' files, none: they are no operations
        headers = {"Allow": allowed} if allowed else headers
    return JSONResponse(
        body(status.phrase.replace(" ", ""), detail, new_reference()),
        status_code=exc.status_code,
        headers=headers,
    )


def _allowed(request: Request) -> str:
    """Every method of the address; each of its routes knows only its own."""
    routes = [each for each in request.app.routes if not isinstance(each, Mount)]
    return ", ".join(
        method
        for method in _METHODS
        if any(
            each.matches({**request.scope, "method": method})[0] == Match.FULL for each in routes
        )
    )


def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    reference = log_unexpected(log, "A request failed unexpectedly.", exc, path=request.url.path)
    return JSONResponse(
        body("InternalError", "Something went wrong. Quote the reference to an admin.", reference),
        status_code=500,
    )
