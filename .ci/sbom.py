"""Software bill of materials from the lock: .venv/bin/python .ci/sbom.py dist/sbom.cdx.json

CycloneDX 1.6 JSON. Each component has its version, its package address and the hashes of every file
that may be installed for it. What the lock has for other platforms only is there as optional.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.markers import Marker

ROOT = Path(__file__).resolve().parent.parent
_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*])?==(?P<version>[^ ;\\]+)(?P<rest>[^\n]*)$"
)
_VIA = re.compile(r"^    #(?: via|  ) (\S.*)$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(lock: str) -> list[Component]:
    """Of every pin in the text of a lock file; raises ValueError for one without a hash."""
    found = []
    for pin, block in _pins(lock):
        hashes = _HASH.findall(block)
        if not hashes:
            raise ValueError(f"{pin['name']} has no hash in the lock: make lock")
        found.append(_component(pin["name"], pin["version"], hashes, _here(pin["rest"])))
    return found


def _pins(lock: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each pin with all of its lines."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock):
        if pin := _PIN.match(block.partition("\n")[0]):
            yield pin, block


def _here(rest: str) -> bool:
    """Whether a pin's environment marker holds on this machine."""
    marker = rest.partition(";")[2].replace("\\", "").strip()
    return not marker or Marker(marker).evaluate()


def _component(name: str, version: str, hashes: list[str], here: bool) -> Component:
    purl = PackageURL("pypi", name=name, version=version)
    # A component's own hashes would be of one file; the lock allows several.
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(f"https://pypi.org/project/{name}/{version}/#files"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for one in hashes],
    )
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        purl=purl,
        bom_ref=purl.to_string(),
        scope=ComponentScope.REQUIRED if here else ComponentScope.OPTIONAL,
        external_references=[files],
    )


def document(lock: str) -> str:
    """The whole; who needs a package is what the lock says behind it (`# via`)."""
    portal = Component(type=ComponentType.APPLICATION, name="steward-portal", bom_ref="portal")
    bom = Bom(components=components(lock))
    bom.metadata.component = portal
    known = {component.name: component for component in bom.components}
    for pin, block in _pins(lock):
        for parent in _VIA.findall(block):
            needs = portal if parent.startswith("-r ") else known[parent]
            bom.register_dependency(needs, [known[pin["name"]]])
    return JsonV1Dot6(bom).output_as_string(indent=2)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document((ROOT / "requirements.txt").read_text()) + "\n")
    print(target)
