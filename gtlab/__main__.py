"""``python -m gtlab``: the gtlab command."""

from gtlab.cli import main

main(prog_name="gtlab")
