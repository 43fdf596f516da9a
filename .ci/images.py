"""Pin the images of Dockerfile and compose.yaml to digests: python3 .ci/images.py [--check]

Asks each image's registry which digest its tag has now (OCI distribution: HEAD of the manifest) and
writes it behind the tag; with --check it only says what differs, and ends with 1. Standard library
only, so that it runs where nothing is installed. REGISTRY=http://… asks another one, a mirror.
"""

import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPResponse
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ("Dockerfile", "compose.yaml")
HUB = "https://registry-1.docker.io"
SECONDS = 30
#: The index over all platforms first: the digest of one platform's manifest fits no other machine.
TYPES = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
_IMAGE = re.compile(
    r"^(?P<head>FROM |\s+image: )(?P<name>[a-z0-9./_-]+):(?P<tag>[\w.-]+)"
    r"(?:@sha256:[0-9a-f]{64})?",
    re.MULTILINE,
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def digest(registry: str, name: str, tag: str) -> str:
    """The digest of the tag now; raises OSError, ValueError for an answer that is none."""
    repository = name if "/" in name else f"library/{name}"
    url = f"{registry}/v2/{repository}/manifests/{tag}"
    try:
        answer = _ask(url, "")
    except urllib.error.HTTPError as exc:
        if exc.code != 401:
            raise
        answer = _ask(url, _token(exc.headers.get("WWW-Authenticate", ""), repository))
    with answer:
        kind = answer.headers.get("Content-Type", "")
        found = answer.headers.get("Docker-Content-Digest", "")
    if not _DIGEST.match(found) or kind not in TYPES:
        raise ValueError(f"{url} answered {kind!r} with the digest {found!r}")
    return found


def _ask(url: str, token: str) -> HTTPResponse:
    headers = {"Accept": TYPES, **({"Authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, headers=headers, method="HEAD")
    return urllib.request.urlopen(request, timeout=SECONDS)


def _token(challenge: str, repository: str) -> str:
    """An anonymous one, from where the registry says (RFC 6750 challenge)."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not said.get("realm", "").startswith(("https://", "http://")):
        raise ValueError(f"the registry asks for {challenge!r}")
    asked = {"service": said.get("service", ""), "scope": f"repository:{repository}:pull"}
    url = f"{said['realm']}?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return str(json.load(answer)["token"])


def pinned(text: str, registry: str) -> str:
    """The file's text with the digests of now."""
    known: dict[tuple[str, str], str] = {}

    def renewed(match: re.Match[str]) -> str:
        image = match["name"], match["tag"]
        if image not in known:
            known[image] = digest(registry, *image)
        return f"{match['head']}{image[0]}:{image[1]}@{known[image]}"

    return _IMAGE.sub(renewed, text)


def main() -> int:
    registry = os.environ.get("REGISTRY", HUB).rstrip("/")
    if not registry.startswith(("https://", "http://")):
        sys.exit("REGISTRY is an address that begins with https://")
    old = {name: (ROOT / name).read_text() for name in FILES}
    try:
        new = {name: pinned(text, registry) for name, text in old.items()}
    except (OSError, ValueError, KeyError) as exc:
        sys.exit(f"The registry {registry} gave no digest: {exc}. Nothing was changed.")
    changed = [name for name in FILES if old[name] != new[name]]
    if "--check" in sys.argv:
        print(f"Other digests now: {', '.join(changed)}" if changed else "The digests are of now.")
        return 1 if changed else 0
    for name in changed:
        (ROOT / name).write_text(new[name])
    print(f"Changed: {', '.join(changed) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
