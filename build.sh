#!/usr/bin/env bash
# The one door: ./build.sh run | test [--all] | check | wasm | pkg | demo | bench
set -euo pipefail
cd "$(dirname "$0")"
. tools/web.sh

usage() {
  cat <<'TEXT'
./build.sh run            build (CPU only) and rerank a sample with the embedded model
./build.sh test [--all]   every test, GPU tests on Mesa's software Vulkan; --all adds the heavy ones
./build.sh check          formatting and lints
./build.sh wasm [NAME]     the WebAssembly modules, or one of cpu, cpu_relaxed, cpu_threads and gpu, in web/dist/wasm, and their sizes
./build.sh pkg            the npm package, in pkg/
./build.sh demo           the npm package and the demo page, served on this machine [--port 8000]
./build.sh bench kernels  the kernels alone on one thread [part of a name]
./build.sh bench native   the program on the CPU beside ONNX Runtime: tests/bench/README.md
./build.sh bench server   clients at once against the server: tests/bench/README.md
./build.sh bench web      the npm package beside transformers.js in Chromium: tests/bench/web/README.md
./build.sh bench wasm|webgpu  parts of that
./build.sh bench compare  native, then web
TEXT
}

say() { printf '\n==> %s\n' "$*" >&2; }

need() { # need PROGRAM HOW
  command -v "$1" >/dev/null || { echo "build.sh: $1 is missing; $2" >&2; exit 1; }
}

need_rust() {
  need cargo "install Rust 1.95 or newer from https://rustup.rs"
  need cc "install a C compiler (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install)"
}

run() {
  say "cargo build --release -p crossrank-cli"
  cargo build --release -p crossrank-cli --locked
  "${CARGO_TARGET_DIR:-target}/release/crossrank" rerank --sample
}

# Installs Debian's packages if it may, else says that WHAT needs them. Never removes another package for them.
install_debian() { # WHAT PACKAGE...
  local what=$1
  shift
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "apt-get install $*"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends --no-remove "$@" >/dev/null
  else
    echo "build.sh: $what needs $* (Debian: apt-get install $*)" >&2
    return 1
  fi
}

# Mesa's lavapipe computes Vulkan on the CPU: the GPU path is tested on every machine that has it.
need_lavapipe() {
  [ "$(uname)" = Linux ] || return 0
  compgen -G '/usr/share/vulkan/icd.d/lvp_icd*.json' >/dev/null ||
    install_debian "the GPU tests" mesa-vulkan-drivers || true
}

# Names an interpreter with the packages of FILE, in an environment that is made once; empty if it cannot be.
python_with() { # FILE
  local folder
  folder="${CARGO_TARGET_DIR:-target}/python-$(cksum < "$1" | cut -d ' ' -f 1)"
  [ -e "$folder/ready" ] || {
    say "python3 -m venv $folder"
    python3 -m venv "$folder" && "$folder/bin/pip" install -q -r "$1" && touch "$folder/ready"
  } >&2 || return 0
  echo "$folder/bin/python"
}

python_tests() {
  [ -n "$CROSSRANK_PYTHON" ] || { echo "skipped: python: Python 3 or its packages cannot be had"; return 0; }
  echo "     Running models (deps/python:models)"
  "$CROSSRANK_PYTHON" -m unittest discover -s models || echo "error: models"
}

# The packages that people have, unchanged, against the server: an environment for each set that excludes another.
client_tests() {
  local set python pattern
  CROSSRANK_PROGRAM=$(realpath "${CARGO_TARGET_DIR:-target}/release/crossrank")
  export CROSSRANK_PROGRAM
  for set in cohere5 cohere7; do
    echo "     Running tests/clients (deps/clients:$set)"
    python=$(python_with "tests/clients/requirements-$set.txt")
    [ -n "$python" ] || { echo "skipped: clients_$set: its packages cannot be installed"; continue; }
    [ "$set" = cohere7 ] && pattern=test_cohere.py || pattern='test_*.py'
    "$python" -W ignore -m unittest discover -s tests/clients -p "$pattern" || echo "error: tests/clients with $set"
  done
  node_client_tests
}

# Counts of every test program in a log of cargo, unittest, vitest and node: name, run, passed, skipped, failed.
table() {
  awk '
    function count(word) { return match($0, "[0-9]+ " word) ? substr($0, RSTART, RLENGTH) + 0 : 0 }
    # Tests that a web runner itself skipped; those that only printed why are among the passed.
    function skip(number) { passed[suite] += number; native[suite] += number }
    /^ *Running / { suite = $0; sub(/^ *Running (unittests )?/, "", suite); sub(/ \(.*\/?deps\//, " ", suite)
                    split(suite, part, " "); file = part[1]; name = part[2]; sub(/(-[0-9a-f]+)?\)$/, "", name)
                    kind = (file == "src/main.rs") ? " (program)" : (file ~ /^src\//) ? " (unit)" : ""
                    suite = name kind }
    /^ *Doc-tests / { suite = $2 " (doc)" }
    /skipped: / { skipped[suite]++; said[suite]++ }
    /^Ran [0-9]+ tests? in / { order[++n] = suite; passed[suite] = $2 }
    /^FAILED \(/ { match($0, /(failures|errors)=[0-9]+/); bad = substr($0, RSTART, RLENGTH); sub(/.*=/, "", bad)
                   failed[suite] = bad; passed[suite] -= bad }
    /^test result: / { if ($4 + $6 > 0) { order[++n] = suite; passed[suite] = $4; failed[suite] = $6 } }
    /^ *Tests +[0-9]/ { order[++n] = suite; passed[suite] = count("passed"); failed[suite] = count("failed")
                        skip(count("skipped")) }
    /^(ℹ|#) pass [0-9]+$/ { order[++n] = suite; passed[suite] = $3 }
    /^(ℹ|#) (fail|cancelled) [0-9]+$/ { failed[suite] += $3 }
    /^(ℹ|#) skipped [0-9]+$/ { skip($3) }
    END { printf "%-28s %5s %7s %8s %7s\n", "suite", "run", "passed", "skipped", "failed"
          for (i = 1; i <= n; i++) { s = order[i]
            if (native[s] > skipped[s]) skipped[s] = native[s]
            if (native[s] && !said[s]) silent = silent "\n" s " skipped tests without saying why"
            p = passed[s] - skipped[s]
            printf "%-28s %5d %7d %8d %7d\n", s, passed[s] + failed[s], p, skipped[s], failed[s]
            P += p; S += skipped[s]; F += failed[s] }
          printf "%d passed, %d failed, %d skipped%s\n", P, F, S, silent
          exit silent != "" }' "$1"
}

# On CI a test may be skipped only if tests/skips.txt names it with its reason.
refuse_unlisted_skips() {
  local line name status=0 lists=(tests/skips.txt)
  [ "$(uname)" = Linux ] || lists+=(tests/skips-not-linux.txt)
  while IFS= read -r line; do
    name=${line#skipped: }
    name=${name%%:*}
    grep -qE "^$name:" "${lists[@]}" && continue
    echo "build.sh: ${lists[*]} does not allow this skip: $line" >&2
    status=1
  done < <(grep -oE 'skipped: .*' "$1" | sort -u)
  return $status
}

tests() {
  need_lavapipe
  export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"
  local log status=0 packages=tests/requirements.txt
  [ "${1:-}" != --all ] || { export CROSSRANK_HEAVY=1; packages=tests/requirements-reference.txt; }
  export CROSSRANK_PYTHON="${CROSSRANK_PYTHON:-$(python_with "$packages")}"
  log=$(mktemp)
  # One set of features for everything, so that CubeCL is compiled once.
  local command=(cargo test --release --locked --workspace --features crossrank-cli/gpu --no-fail-fast)
  say "${command[*]}"
  "${command[@]}" -- --nocapture 2>&1 | tee "$log" | grep -vE '^(test .* \.\.\. ok|running [0-9]+ tests?|)$' || true
  grep -q '^test result: ' "$log" || { echo "build.sh: the tests did not compile" >&2; return 1; }
  say "python -m unittest"
  python_tests 2>&1 | tee -a "$log" | grep -E '^(FAIL|ERROR|skipped|error)' || true
  say "clients"
  client_tests 2>&1 | tee -a "$log" | grep -E '^(FAIL|ERROR|skipped|error|✖)' || true
  say "web"
  web_tests 2>&1 | tee -a "$log"
  printf '\n'
  grep -oE 'skipped: .*' "$log" | sort -u || true
  table "$log" || status=1
  ! grep -qE '^test result: FAILED|^error: ' "$log" || status=1
  [ "${CI:-}" != true ] || refuse_unlisted_skips "$log" || status=1
  return $status
}

# The flags of tests/bench/native.py or server.py, in an environment with the packages of FILE.
bench_python() { # native|server FILE...
  local name=$1 python
  python=$(python_with "$2")
  [ -n "$python" ] || { echo "build.sh: the packages of $2 cannot be installed" >&2; return 1; }
  say "cargo build --release -p crossrank-cli"
  cargo build --release --locked -p crossrank-cli
  "$python" "tests/bench/$name.py" --program "${CARGO_TARGET_DIR:-target}/release/crossrank" "${@:3}"
}

bench_kernels() { # [part of a name]
  say "cargo bench -p crossrank-kernels"
  cargo bench --locked -p crossrank-kernels --bench kernels -- "$@"
}

check() {
  say "cargo fmt --check"
  cargo fmt --all -- --check
  cargo fmt --manifest-path tools/bindgen/Cargo.toml -- --check
  say "cargo clippy"
  cargo clippy --release --locked --workspace --all-targets --features crossrank-cli/gpu -- -D warnings
}

case "${1:-}" in
  run) need_rust; run ;;
  test) need_rust; tests "${2:-}" ;;
  check) need_rust; check ;;
  wasm) need_rust; wasm "${2:-}" ;;
  pkg) need_rust; package ;;
  demo) need_rust; demo "${@:2}" ;;
  bench)
    case "${2:-}" in
      kernels) need_rust; bench_kernels "${@:3}" ;;
      native) need_rust; bench_python native tests/requirements-reference.txt "${@:3}" ;;
      server) need_rust; bench_python server tests/clients/requirements-cohere5.txt "${@:3}" ;;
      web) need_rust; bench_web "${@:3}" ;;
      wasm) need_rust; bench_web --only speed,loading "${@:3}" ;;
      webgpu) need_rust; bench_web --only gpu "${@:3}" ;;
      compare) need_rust; bench_python native tests/requirements-reference.txt; bench_web ;;
      *) usage; exit 2 ;;
    esac ;;
  *) usage; exit 2 ;;
esac
