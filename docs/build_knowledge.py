"""Write the generated knowledge pages: ``python docs/build_knowledge.py``. A test holds that they are current."""

from __future__ import annotations

from pathlib import Path

from marrowscope.reasoning.pages import pages

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write every page and remove generated ones that are gone."""
    made = pages()
    folder = HERE / "knowledge"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.md"):
        if f"knowledge/{old.name}" not in made:
            old.unlink()
    for name, text in made.items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
