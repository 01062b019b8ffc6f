"""``python -m imgid_audit.cli``, where the script is not on the path."""

from imgid_audit.cli import main

main()
