#!/bin/sh
# Install what is missing from the system, where that is possible without asking; else say how.
# usage: system.sh report|browser
#   report:  Pango, HarfBuzz and a font, without which WeasyPrint cannot make a PDF
#   browser: Chromium and pdftotext, without which tests of pages are skipped (loudly)
set -u

missing=""
case "${1:-report}" in
report)
    for library in libpango-1.0.so.0 libpangoft2-1.0.so.0 libharfbuzz-subset.so.0; do
        ldconfig -p 2>/dev/null | grep -q "$library" || missing="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
    done
    # Reports are laid out in DejaVu: with another font they are right, but other bytes.
    find /usr/share/fonts /usr/local/share/fonts -name 'DejaVuSans.ttf' 2>/dev/null | grep -q . ||
        missing="$missing fonts-dejavu-core"
    why="PDF reports need them"
    ;;
browser)
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="chromium"
    command -v pdftotext >/dev/null || missing="$missing poppler-utils"
    why="tests of pages in a browser and of the PDF's text are skipped without it"
    ;;
*)
    echo "usage: $0 report|browser" >&2
    exit 2
    ;;
esac
[ -n "$missing" ] || exit 0

# macOS and other systems: the README says what to do there.
if ! command -v apt-get >/dev/null; then
    [ "$(uname)" = Linux ] && echo "missing from the system: $missing ($why); install them with your package manager" >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    run=""
elif sudo -n true 2>/dev/null; then
    run="sudo -n"
else
    echo "missing from the system: $missing ($why); run: sudo apt-get install $missing" >&2
    exit 0
fi
echo "installing from the system's packages: $missing"
log=$(mktemp)
# shellcheck disable=SC2086  # a list of packages
if ! { $run apt-get update -qq && $run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "could not install $missing ($why); run: sudo apt-get install $missing" >&2
fi
rm -f "$log"
