#!/bin/sh
# Builds libchurn and installs headers, shared and static library and churn.pc.
#
#     churn-ffi/install.sh [--prefix DIR] [--from DIR]
#
# --prefix DIR  where to install (default /usr/local); DESTDIR is put before it
# --from DIR    take the libraries from DIR instead of building them
#
# CARGO, RUSTC and CARGO_TARGET_DIR are heeded as cargo does.
set -eu

prefix=/usr/local
from=
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?--prefix wants a folder}; shift 2 ;;
        --from) from=${2:?--from wants a folder}; shift 2 ;;
        *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done
case $prefix in
    /*) ;;
    *) echo "install.sh: --prefix wants an absolute path, got $prefix" >&2; exit 2 ;;
esac

cargo=${CARGO:-cargo}
here=$(cd "$(dirname "$0")" && pwd)
workspace=$(dirname "$here")
case $(uname -s) in
    Darwin) shared=libchurn.dylib ;;
    *) shared=libchurn.so ;;
esac

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$workspace/Cargo.toml" | head -n 1)
description=$(sed -n 's/^description = "\(.*\)"$/\1/p' "$workspace/Cargo.toml" | head -n 1)

if [ -z "$from" ]; then
    "$cargo" build --release --locked --manifest-path "$here/Cargo.toml"
    from=${CARGO_TARGET_DIR:-$workspace/target}/release
fi

# What the standard library needs from the system when it is linked statically; nothing that churn
# depends on links native code of its own.
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
private=$(echo '' | "${RUSTC:-rustc}" --crate-type staticlib --crate-name empty \
    --print native-static-libs --out-dir "$empty" - 2>&1 |
    sed -n 's/^note: native-static-libs: //p')

lib=${DESTDIR:-}$prefix/lib
include=${DESTDIR:-}$prefix/include
mkdir -p "$lib/pkgconfig" "$include"
put() { # FILE FOLDER MODE
    rm -f "$2/$(basename "$1")"
    cp "$1" "$2/"
    chmod "$3" "$2/$(basename "$1")"
}
put "$here/include/churn.h" "$include" 644
put "$here/include/churn_arrow.h" "$include" 644
put "$from/$shared" "$lib" 755
put "$from/libchurn.a" "$lib" 644
if [ "$shared" = libchurn.dylib ]; then
    install_name_tool -id "$prefix/lib/$shared" "$lib/$shared"
fi
rm -f "$lib/pkgconfig/churn.pc"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" -e "s|@DESCRIPTION@|$description|" \
    -e "s|@PRIVATE@|$private|" "$here/churn.pc.in" > "$lib/pkgconfig/churn.pc"
chmod 644 "$lib/pkgconfig/churn.pc"
echo "installed churn $version to ${DESTDIR:-}$prefix"
