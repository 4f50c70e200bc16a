#!/usr/bin/env bash
# See that the system libraries Qt needs are there. On Debian and Ubuntu the missing ones are installed when root or
# passwordless sudo allows, otherwise the exact command is printed. Other systems are left alone. With the word `test` the
# browser that the tests of the web page drive is installed too, where that is possible; without it they are skipped.
set -eu
[ "$(uname -s)" = Linux ] || exit 0
command -v apt-get >/dev/null || exit 0
packages=(libegl1 libgl1 libdbus-1-3 libfontconfig1 libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0
    libxcb-icccm4 libxcb-keysyms1 libxcb-shape0)
missing=()
for package in "${packages[@]}" "$([ -e /etc/debian_version ] && apt-cache show libglib2.0-0t64 >/dev/null 2>&1 \
    && echo libglib2.0-0t64 || echo libglib2.0-0)"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
wanted=()
if [ "${1:-}" = test ] && [ "$(. /etc/os-release && echo "$ID")" = debian ]; then
    for package in chromium chromium-driver; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || wanted+=("$package")
    done
fi
[ ${#missing[@]} -gt 0 ] || [ ${#wanted[@]} -gt 0 ] || exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    elif [ ${#missing[@]} -eq 0 ]; then
        echo "The tests of the web page are skipped without: ${wanted[*]}" >&2
        exit 0
    else
        echo "Fathom's window needs system libraries that are missing. Install them with:" >&2
        echo "  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
fi
echo "Installing system libraries: ${missing[*]} ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
[ ${#missing[@]} -eq 0 ] || "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
[ ${#wanted[@]} -eq 0 ] || "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${wanted[@]}" >/dev/null ||
    echo "The tests of the web page are skipped without: ${wanted[*]}" >&2
