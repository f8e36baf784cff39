#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds the reference environment of the benchmarks: a venv with numpy, scipy, pandas,
# scikit-learn, matplotlib and torch from Debian's packages, about 24,000 inodes and 700 MB.
# Usage: environment.sh DIR [PACKAGE...] (Debian 12, root for apt-get), with these packages too.
# Does nothing when DIR is complete.
set -euo pipefail

dir=${1:?usage: environment.sh DIR [PACKAGE...]}
[[ -e $dir/.complete ]] && exit 0
packages=(python3-venv python3-numpy python3-scipy python3-pandas python3-sklearn
    python3-matplotlib python3-torch "${@:2}")
export DEBIAN_FRONTEND=noninteractive
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
    apt-get update -q
    apt-get install -y -q --no-install-recommends "${packages[@]}"
fi
/usr/bin/python3 -m venv --copies --without-pip "$dir"
version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
site=$dir/lib/python$version/site-packages
cp -a /usr/lib/python3/dist-packages/. "$site/"
# Debian keeps torch's libraries outside; in a venv made by pip they are inside.
rm -rf "$site/torch/lib"
mkdir -p "$site/torch/lib"
for library in /usr/lib/*/lib{torch,torch_cpu,torch_global_deps,torch_python,c10,shm}.so.1.13.0; do
    name=$(basename "$library" .13.0)
    cp "$library" "$site/torch/lib/$name.13"
    ln -sf "$name.13" "$site/torch/lib/${name%.1}"
done
"$dir/bin/python" -m compileall -q -j 0 "$site" >/dev/null 2>&1 || true
touch "$dir/.complete"
