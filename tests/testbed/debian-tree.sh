#!/usr/bin/env bash
# Unpacks packages of a Debian or Ubuntu suite, with all they depend on, into a directory of their own.
#
#   debian-tree.sh SUITE DEST PACKAGE... -- PROGRAMS...
#
# DEST/sysroot then holds the files. A PACKAGE! comes alone, without what it depends on. PROGRAMS are directories below it whose executables are
# pointed at the tree's own loader and libraries, so that they run, and start each other, on a
# host of any release. Nothing outside DEST and DEST.part is written, and no root is needed.
# DEST appears whole or not at all. The tree works only at the path it was made for.
set -euo pipefail
umask 022

suite=$1
dest=$(realpath -m "$2")
shift 2
packages=()
alone=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case $1 in *!) alone+=("${1%!}") ;; *) packages+=("$1") ;; esac
  shift
done
shift || true
programs=("$@")

refuse() { echo "debian-tree.sh: $*" >&2; exit 1; }

for tool in apt-get apt-config dpkg dpkg-deb; do
  command -v "$tool" >/dev/null || refuse "$tool is missing: trees can be unpacked on Debian and Ubuntu only"
done
case $suite in
  jammy | noble) archive=ubuntu components="main universe" others=security ;;
  *) archive=debian components=main others='debian-security|ubuntu' ;;
esac
keyring=${TAILSTOCK_TESTBED_KEYRING:-/usr/share/keyrings/$archive-archive-keyring.gpg}
[ -r "$keyring" ] || refuse "$keyring is missing: install the package ${archive/debian/debian-archive}-keyring"

# The archive the machine itself uses: its first source that is not one of security updates.
machines_mirror() {
  local files=() file
  for file in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    if [ -r "$file" ]; then files+=("$file"); fi
  done
  [ "${#files[@]}" -gt 0 ] || return 0
  awk -v archive="$archive" -v others="$others" '
    function fits(uri) { return uri ~ /:/ && uri ~ archive && uri !~ others }
    found { next }
    $1 == "URIs:" { for (i = 2; i <= NF; i++) if (fits($i)) { print $i; found = 1; next } }
    $1 == "deb" {
      for (i = 2; i < NF; i++) if (fits($i) && $i !~ /^\[/) { print $i; found = 1; next }
    }' "${files[@]}"
}
mirror=${TAILSTOCK_TESTBED_MIRROR:-$(machines_mirror)}
[ -n "$mirror" ] || refuse "no archive of $archive among this machine's apt sources:" \
  "name one in TAILSTOCK_TESTBED_MIRROR"

part=$dest.part
apt=$part/.apt
root=$part/sysroot
rm -rf "$part"
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/log" "$root"
# An empty status file: apt then takes the whole closure, the C library included.
: > "$apt/state/status"
echo "deb [signed-by=$keyring] $mirror $suite $components" > "$apt/sources.list"
{
  # Proxies and certificates of the machine stay in force; the rest of its configuration does not.
  apt-config dump --no-empty --format '%F "%v";%n' Acquire::http Acquire::https
  cat <<CONF
Dir::State "$apt/state";
Dir::State::status "$apt/state/status";
Dir::Cache "$apt/cache";
Dir::Log "$apt/log";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::parts "/dev/null";
Debug::NoLocking "true";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Retries "3";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
CONF
} > "$apt/apt.conf"
export APT_CONFIG=$apt/apt.conf DEBIAN_FRONTEND=noninteractive

apt-get -qq update
apt-get -qq -y --download-only install patchelf "${packages[@]}" >/dev/null
if [ "${#alone[@]}" -gt 0 ]; then
  (cd "$apt/cache/archives" && apt-get -qq download "${alone[@]}" >/dev/null)
fi
for archive in "$apt"/cache/archives/*.deb; do dpkg-deb -x "$archive" "$root"; done
# Merged releases ship everything below /usr; the loader is still looked for in /lib64.
for name in bin sbin lib lib64; do
  if [ ! -e "$root/$name" ] && [ -d "$root/usr/$name" ]; then ln -s "usr/$name" "$root/$name"; fi
done
# Links to absolute paths would lead out of the tree, to the host's files or to none.
find "$root" -type l -lname '/*' | while read -r link; do
  target=$root$(readlink "$link")
  if [ -e "$target" ] || [ -L "$target" ]; then ln -sfnr "$target" "$link"; fi
done
rm -rf "$apt" "$root"/usr/share/{doc,info,lintian,locale,man}

libraries() {
  local triplet
  for triplet in "$root"/usr/lib/*-linux-gnu*; do
    triplet=${triplet##*/}
    echo "$1/usr/lib/$triplet:$1/lib/$triplet"
    return
  done
}
patchelf_file=$root/usr/bin/patchelf
loader=$(echo "$root"/lib*/ld-linux*.so.*)
loader=${loader%% *}
patchelf() { "$loader" --library-path "$(libraries "$root")" "$patchelf_file" "$@"; }
patchelf --version >/dev/null || refuse "the loader of $suite does not run on this machine"
for directory in "${programs[@]}"; do
  patched=0
  for file in "$root/$directory"/*; do
    # A program that runs cannot rewrite itself.
    [ -f "$file" ] && [ ! -L "$file" ] && [ "$file" != "$patchelf_file" ] || continue
    interpreter=$(patchelf --print-interpreter "$file" 2>/dev/null) || continue
    patchelf --set-interpreter "$dest/sysroot$interpreter" \
      --force-rpath --set-rpath "$(libraries "$dest/sysroot")" "$file"
    patched=$((patched + 1))
  done
  [ "$patched" -gt 0 ] || refuse "no programs in $directory of ${packages[*]} ($suite)"
done

echo "$dest" > "$part/location"
rm -rf "$dest"
mv "$part" "$dest"
