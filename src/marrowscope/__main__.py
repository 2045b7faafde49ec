"""``python -m marrowscope``."""

from marrowscope.cli import main

if __name__ == "__main__":
    main()
