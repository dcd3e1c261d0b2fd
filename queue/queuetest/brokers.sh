#!/bin/sh
# brokers.sh FOLDER: make FOLDER/redis-server and FOLDER/valkey-server, the newest that Debian has, to be started where they
# are. They bring their own C library, so any Debian with apt will do, and nothing of it changes. Needs apt-get, dpkg-deb.
set -eu
cd "$1"
here=$(pwd)
mkdir -p lists/partial cache/archives/partial tree

# The archive that this system asks already, by its keys.
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
test -n "$archive" || { echo "brokers.sh: apt knows of no archive; run apt-get update" >&2; exit 1; }
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive sid main" > sources.list
apt() {
	apt-get -q -o Dir::Etc::SourceList="$here/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$here/lists" \
		-o Dir::Cache="$here/cache" -o Dir::State::status=/dev/null -o APT::Sandbox::User=root "$@" > apt.log 2>&1 || { cat apt.log >&2; exit 1; }
}
apt update
apt download redis-tools valkey-tools valkey-server libc6 libgcc-s1 libstdc++6 libatomic1 libssl3t64 libzstd1 zlib1g libjemalloc2 \
	liblzf1 libsystemd0 libcap2
for package in *.deb; do dpkg-deb -x "$package" tree; done

loader=$(find "$here/tree/usr" -name 'ld-linux-*.so.*' | head -n 1)
libraries=$(dirname "$(find "$here/tree/usr/lib" -name libc.so.6)")
for broker in redis valkey; do
	program=$(readlink -f "tree/usr/bin/$broker-check-rdb") # one program of many names
	printf '#!/bin/sh\nexec %s --argv0 %s-server --library-path %s %s "$@"\n' "$loader" "$broker" "$libraries" "$program" > "$broker-server"
	chmod +x "$broker-server"
	"./$broker-server" --version
done
