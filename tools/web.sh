# shellcheck shell=bash disable=SC2054,SC2119,SC2120
# The web part of build.sh: four WebAssembly modules, the npm package, the demo page, and their tests.

web_target="${CARGO_TARGET_DIR:-target}/web"

# What browsers have had since 2023. Features must be named: `--all-features` writes what they refuse.
wasm_opt=(web/node_modules/.bin/wasm-opt -O3 --enable-simd --enable-bulk-memory --enable-bulk-memory-opt
  --enable-sign-ext --enable-mutable-globals --enable-nontrapping-float-to-int --enable-reference-types
  --enable-multivalue --strip-debug --strip-producers)

has_node() {
  command -v node >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]
}

need_npm_packages() {
  has_node || { echo "build.sh: Node is missing or older than 20; install it from https://nodejs.org" >&2; return 1; }
  # A linked folder belongs to another tree: npm ci would empty it there.
  [ -L web/node_modules ] || [ web/node_modules/.package-lock.json -nt web/package-lock.json ] && return 0
  say "npm ci"
  (cd web && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline >&2)
}

# In a folder of their own beside what is built, for which the tests are linked there.
node_client_tests() {
  echo "     Running tests/clients (deps/clients:npm)"
  local folder
  folder="$(realpath "${CARGO_TARGET_DIR:-target}")/clients-$(cksum < tests/clients/package-lock.json | cut -d ' ' -f 1)"
  mkdir -p "$folder"
  cp tests/clients/package.json tests/clients/package-lock.json tests/clients/*.mjs "$folder"
  has_node && { [ -e "$folder/ready" ] || (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline >&2 &&
    touch ready); } || { echo "skipped: clients_npm: Node 20 or the packages cannot be had"; return 0; }
  node --test --test-reporter=spec "$folder/clients.test.mjs" || echo "error: tests/clients with npm"
}

# Sets cargo_wasm, cargo_threads, which builds a standard library that has threads, and wasm_flags. Where rustup
# cannot add what is missing, Debian's compiler, which comes with the source of the standard library, does both.
need_wasm() {
  local library
  library=$(rustc --print sysroot)/lib/rustlib
  # Messages of panics name source files: the same on every machine, so that the modules are too.
  wasm_flags=("--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=crates")
  if [ -d "$library/wasm32-unknown-unknown" ] || rustup_add target wasm32-unknown-unknown; then
    if [ -d "$library/src/rust/library" ] || rustup_add component rust-src; then
      cargo_wasm=(cargo build)
      cargo_threads=(env RUSTC_BOOTSTRAP=1 cargo build -Zbuild-std=std,panic_abort)
      wasm_flags+=("--remap-path-prefix=$library/src/rust=rust")
      return 0
    fi
  fi
  need_debian_wasm && return 0
  echo "build.sh: the WebAssembly target is missing; run: rustup target add wasm32-unknown-unknown &&" \
    "rustup component add rust-src" >&2
  return 1
}

rustup_add() { # target|component NAME
  command -v rustup >/dev/null || return 1
  say "rustup $1 add $2"
  rustup "$1" add "$2" >&2
}

need_debian_wasm() {
  local llvm source=/usr/lib/rustlib/src/rust
  [ -e /usr/bin/cargo ] && [ -e "$source/library/Cargo.toml" ] ||
    install_debian "building for WebAssembly" rustc-web cargo-web rust-web-src || return 1
  llvm=$(/usr/bin/rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  command -v "wasm-ld-$llvm" >/dev/null || install_debian "linking WebAssembly" "lld-$llvm" || return 1
  cargo_wasm=(env RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-$llvm" /usr/bin/cargo build -Zbuild-std=std,panic_abort)
  cargo_threads=("${cargo_wasm[@]}")
  wasm_flags+=("--remap-path-prefix=$source=rust" "--remap-path-prefix=$(readlink -f "$source")=rust")
}

# What a module with threads needs of the linker: a memory that workers share, which grows to 4 GiB.
thread_flags=(-Clink-arg=--shared-memory -Clink-arg=--import-memory -Clink-arg=--max-memory=4294967296)
for symbol in __heap_base __wasm_init_tls __tls_size __tls_align __tls_base; do
  thread_flags+=("-Clink-arg=--export=$symbol")
done

# A folder for each module: they share a file name, and each would link the other's again.
wasm_module() { # cpu|cpu_relaxed|cpu_threads|gpu
  local folder="$web_target/$1" built optimized instructions=+simd128 feature=${1#cpu_} cargo=("${cargo_wasm[@]}")
  local flags=("${wasm_flags[@]}") wasm_opt=("${wasm_opt[@]}")
  case "$1" in
    cpu_relaxed) feature=cpu ;;
    cpu_threads)
      instructions+=,+atomics,+bulk-memory cargo=("${cargo_threads[@]}") flags+=("${thread_flags[@]}")
      wasm_opt+=(--enable-threads) ;;
  esac
  case "$1" in cpu_*) instructions+=,+relaxed-simd wasm_opt+=(--enable-relaxed-simd) ;; esac
  built="$folder/wasm32-unknown-unknown/web/crossrank_wasm.wasm"
  say "cargo build --profile web --target wasm32-unknown-unknown -p crossrank-wasm --features $feature # $instructions"
  CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "-Ctarget-feature=$instructions"$'\x1f'"${flags[*]}") \
    "${cargo[@]}" --locked --profile web --target wasm32-unknown-unknown --target-dir "$folder" \
    -p crossrank-wasm --no-default-features --features "$feature"
  # wasm-opt takes minutes: not again for the same module and tools.
  optimized="$folder/optimized-$(cat "$built" tools/bindgen/src/main.rs tools/bindgen/Cargo.lock \
    web/node_modules/binaryen/package.json - <<< "${wasm_opt[*]}" | cksum | cut -d ' ' -f 1)"
  [ -e "$optimized/ready" ] || optimize "$1" "$built" "$optimized"
  mkdir -p web/dist/wasm
  cp "$optimized/crossrank_$1.js" "$optimized/crossrank_$1.wasm" web/dist/wasm/
}

optimize() { # cpu|cpu_relaxed|cpu_threads|gpu MODULE FOLDER
  local name="crossrank_$1"
  say "wasm-bindgen and wasm-opt $name"
  rm -rf "${3%-*}"-*
  mkdir -p "$3"
  cargo build --quiet --release --locked --manifest-path tools/bindgen/Cargo.toml --target-dir "$web_target/tools"
  "$web_target/tools/release/crossrank-bindgen" "$2" "$name" "$3"
  "${wasm_opt[@]}" "$3/${name}_bg.wasm" -o "$3/$name.wasm"
  rm "$3/${name}_bg.wasm"
  touch "$3/ready"
}

wasm() { # [cpu|cpu_relaxed|cpu_threads|gpu]
  need_npm_packages
  need_wasm
  local module modules=(cpu cpu_relaxed cpu_threads gpu)
  case "${1:-}" in
    '') ;;
    cpu | cpu_relaxed | cpu_threads | gpu) modules=("$1") ;;
    *) usage; exit 2 ;;
  esac
  for module in "${modules[@]}"; do wasm_module "$module"; done
  printf '\n'
  node tools/wasm-sizes.mjs web/dist/wasm
}

# pkg/ is the npm package: `npm pack` and `npm publish` work in it.
package() {
  local script
  wasm
  say "tsc"
  # What has no source any more must not be shipped.
  find web/dist -type f ! -name 'crossrank_*' -delete
  for script in web/scripts/*.mjs; do node "$script"; done
  web/node_modules/.bin/tsc -p web
  node tools/package.mjs
}

demo() { # [--port NUMBER]
  package
  node web/demo/build.mjs
  exec node web/demo/serve.mjs "$@"
}

bench_web() { # the flags of tests/bench/web/bench.mjs
  need_chromium || true # bench.mjs tells what to do
  package
  node tests/bench/web/bench.mjs "$@"
}

need_chromium() {
  [ -e "${CROSSRANK_CHROMIUM:-/usr/bin/chromium}" ] ||
    { [ "$(uname)" = Linux ] && install_debian "the browser tests" chromium; }
}

# Each prints its counts, which `table` reads, and a line that begins with "error: " where something failed.
web_tests() {
  echo "     Running web (deps/web)"
  if ! (need_npm_packages && need_wasm); then
    echo "skipped: web: Node, its packages or the WebAssembly target cannot be had"
    return 0
  fi
  export NO_COLOR=1
  ./build.sh pkg || { echo "error: ./build.sh pkg"; return 0; }
  echo "     Running vitest (deps/web:vitest)"
  (cd web && npx --no-install vitest run) || echo "error: vitest"
  browser_tests
  echo "     Running tests/package (deps/web:package)"
  node --test --test-reporter=spec tests/package/*.test.mjs || echo "error: tests/package"
}

browser_tests() {
  echo "     Running tests/browser (deps/web:browser)"
  need_chromium || { echo "skipped: browser: Chromium is missing; install it or set CROSSRANK_CHROMIUM"; return 0; }
  local file files=() alone=tests/browser/cancel.test.mjs
  for file in tests/browser/*.test.mjs; do [ "$file" = "$alone" ] || files+=("$file"); done
  node --test --test-reporter=spec --test-concurrency=2 "${files[@]}" || echo "error: tests/browser"
  # What is stopped is stopped within so many milliseconds: other tests would take the processor meanwhile.
  echo "     Running $alone (deps/web:browser-alone)"
  node --test --test-reporter=spec "$alone" || echo "error: $alone"
}
