#!/bin/sh
# What the engine and its tests link, for another architecture of Debian: sysroot.sh ARCH FOLDER
# Packages are fetched and checked by apt in a state of its own and unpacked into FOLDER: nothing is installed, dpkg's list of
# architectures stays as it is, and no root is needed. FOLDER/sysroot.ini names the folder for meson.
set -eu

arch=$1 folder=$2
[ -f "$folder/sysroot.ini" ] && exit 0
packages="libcmocka0 libcmocka-dev libjansson-dev libsodium-dev"

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/packages"
chmod -R go+rX "$work"
own_state="-o Dir::State=$work/state -o Dir::State::status=/dev/null -o Dir::Cache=$work/cache
 -o APT::Architecture=$arch -o APT::Architectures=$arch -o Acquire::Languages=none -o APT::Sandbox::User=$(id -un)"

apt-get $own_state update -qq
(cd "$work/packages" && apt-get $own_state download -qq $packages)
for package in "$work"/packages/*.deb; do
    dpkg-deb -x "$package" "$folder"
done
find "$folder" -xtype l -delete # links to shared libraries that are not here: the static ones serve
printf "[constants]\nsysroot = '%s'\n" "$folder" >"$folder/sysroot.ini"
