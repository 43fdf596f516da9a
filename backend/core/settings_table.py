"""The README's settings table and `.env.example`, written from the Settings class: `make docs`."""

from pathlib import Path

from pydantic import SecretStr

from backend.core.settings import Settings, variable_names

START, END = "<!-- settings:start -->", "<!-- settings:end -->"
ROOT = Path(__file__).resolve().parents[2]


def table() -> str:
    """A Markdown table with a row for each setting."""
    lines = ["| variable | default | what it does |", "|---|---|---|"]
    for name, default, description in _rows():
        shown = f"`{default}`" if default else "–"
        lines.append(f"| {name} | {shown} | {description} |")
    return "\n".join(lines)


def env_example() -> str:
    """Every setting as a commented line of a shell environment file."""
    lines = [
        "# Every setting, written by `make docs`. Copy to .env, take the # away where the default",
        "# does not fit. compose.yaml reads .env; a shell does with: set -a; . ./.env; set +a",
    ]
    for field, info in Settings.model_fields.items():
        names = variable_names(field)
        lines += ["", f"# {info.description}", f"#{names[0]}={_default(field)}"]
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    """The README's text with the table between its markers renewed.

    Raises ValueError when the markers are missing.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"README.md needs {START} and {END} around the settings table")
    return f"{before}{START}\n{table()}\n{END}{after}"


def _rows() -> list[tuple[str, str, str]]:
    return [
        (
            ", ".join(f"`{name}`" for name in variable_names(field)),
            _default(field),
            info.description or "",
        )
        for field, info in Settings.model_fields.items()
    ]


def _default(field: str) -> str:
    default = Settings.model_fields[field].default
    if isinstance(default, SecretStr):
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def main() -> None:
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")
    (ROOT / ".env.example").write_text(env_example(), encoding="utf-8")


if __name__ == "__main__":
    main()
