# shellcheck shell=bash
# What tools/test and tools/demo share. Sourced from the root of the tree. Each function returns what failed.

# shellcheck disable=SC2034  # read by the scripts that source this
build_packages=(g++ cmake ninja-build libfmt-dev nlohmann-json3-dev zlib1g-dev libdnnl-dev ocl-icd-opencl-dev
                libhwy-dev libcli11-dev catch2 libbenchmark-dev dataset-fashion-mnist)

# install_packages NAME...: installs the Debian packages that are missing; asks for nothing when none is.
install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    echo "Not a Debian system: install the equivalents of these yourself: $*" >&2
    return
  fi
  local missing=() package
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local as_root=()
  ((EUID == 0)) || as_root=(sudo)
  echo "Installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq || return
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# build PRESET TARGET...: configures when that was never done or the presets changed, then builds.
build() {
  local preset=$1 folder=build/$1 launcher=()
  shift
  if command -v ccache >/dev/null; then
    # The cache then serves every checkout of this machine.
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
    launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  if [[ ! -f $folder/configured || CMakePresets.json -nt $folder/configured ]]; then
    cmake --preset "$preset" "${launcher[@]}" || return
    touch "$folder/configured"
  fi
  cmake --build --preset "$preset" --parallel "$(nproc)" --target "$@"
}
