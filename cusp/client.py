"""REST client of the monitor, for the command line and programs: JSON in and out, errors as sentences."""

from pathlib import Path
from typing import Any

import httpx

from cusp import settings, tls
from cusp.connection import connect
from cusp.errors import CuspError
from cusp.ids import new_id

Json = dict[str, Any]


class ClientError(CuspError, RuntimeError):
    """The monitor refused or could not be reached; the message is a sentence for a person."""


class Client:
    """One monitor. `get` and `post` return its JSON or raise ClientError with its own sentence."""

    def __init__(self, config: settings.Settings | None = None, *, timeout_s: float = 30.0) -> None:
        config = config or settings.from_environment()
        self.url, self.page_url = config.url, config.page_url
        self._http = connect(config.url, config.token, timeout=timeout_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Json:
        """Return the answer of `GET /api/v1{path}`."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path, params=given)

    def download(self, path: str, to: Path, **query: Any) -> int:
        """Write the answer of `GET /api/v1{path}` to a file, whole or not at all; return its bytes."""
        part = to.with_name(to.name + ".part")
        try:
            with self._http.stream("GET", path, params=query) as answer, part.open("wb") as file:
                if not answer.is_success:
                    answer.read()
                    raise ClientError(self._refused(answer))
                for chunk in answer.iter_bytes():
                    file.write(chunk)
            part.replace(to)
        except httpx.HTTPError as error:
            raise ClientError(f"the download from {self.url} broke off ({error})") from error
        except OSError as error:
            raise ClientError(f"{to} cannot be written ({error.strerror})") from error
        finally:
            part.unlink(missing_ok=True)
        return to.stat().st_size

    def post(self, path: str, body: Json | None = None) -> Json:
        """Return the answer of `POST /api/v1{path}`; idempotent under network retries."""
        return self._ask("POST", path, json=body or {}, headers={"Idempotency-Key": new_id()})

    def delete(self, path: str, **query: Any) -> Json:
        """Return the answer of `DELETE /api/v1{path}`; idempotent under network retries."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("DELETE", path, params=given, headers={"Idempotency-Key": new_id()})

    def ready(self) -> bool:
        """Return whether the monitor and its database answer."""
        try:
            return self._http.get(f"{self.url}/readyz").is_success
        except httpx.HTTPError:
            return False

    def _ask(self, method: str, path: str, **options: Any) -> Json:
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            if untrusted := tls.complaint(error, self.url):
                raise ClientError(untrusted) from error
            raise ClientError(
                f"no monitor answers at {self.url} ({error}); start one with `cusp serve`,"
                " or set CUSP_URL"
            ) from error
        if answer.is_success:
            return self._object(answer) if answer.content else {}
        raise ClientError(self._refused(answer))

    def _refused(self, answer: httpx.Response) -> str:
        """Return the monitor's error sentence, or one that explains a wrong address or token."""
        if answer.status_code == 401:
            if "Authorization" not in answer.request.headers:
                return (
                    f"a token is needed at {self.url}: set CUSP_TOKEN, or CUSP_TOKEN_FILE to a file that"
                    " holds it (`make env` writes .secrets/cusp_token)"
                )
            return f"the monitor at {self.url} refuses the token; set CUSP_TOKEN to one it knows"
        said = _sentence(answer)
        if said == "Not Found":  # FastAPI's text for an unknown route; a missing object is named
            return (
                f"nothing is at {answer.request.url}; set CUSP_URL to the monitor's address alone,"
                " without the path of a page"
            )
        return said

    def _object(self, answer: httpx.Response) -> Json:
        try:
            return dict(answer.json())
        except (ValueError, TypeError) as error:
            raise ClientError(
                f"what answers at {self.url} is no Cusp monitor ({answer.text[:60]!r}); set CUSP_URL"
            ) from error


def _sentence(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the monitor answered {answer.status_code}: {answer.text[:200]}"
