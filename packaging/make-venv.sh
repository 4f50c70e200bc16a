#!/usr/bin/env bash
# Make the virtual environment with a Python of 3.11 to 3.13 (3.11 first); $PYTHON chooses another one.
set -eu
venv=$1
suits() { "$1" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))' >/dev/null 2>&1; }
for python in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    suits "$python" || continue
    "$python" -m venv "$venv" 2>/tmp/fathom-venv.$$ && { rm -f /tmp/fathom-venv.$$; exit 0; }
    echo "$python cannot make a virtual environment:" >&2
    cat /tmp/fathom-venv.$$ >&2
    rm -rf "$venv" /tmp/fathom-venv.$$
    if command -v apt-get >/dev/null; then
        echo "On Debian and Ubuntu this installs what is missing: sudo apt-get install python3-venv" >&2
    fi
    exit 1
done
echo "Fathom needs Python 3.11, 3.12 or 3.13; none was found. Set PYTHON=/path/to/python to name one." >&2
exit 1
