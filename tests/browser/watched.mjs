// Takes the GPU's devices and WebAssembly's memory of this page or worker in hand, and counts the kernels that run.
const { GPUAdapter, GPUComputePassEncoder } = globalThis;
const watched = { dispatches: 0, devices: [], losesNext: false, memory: undefined };
globalThis.watched = watched;

const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (...options) {
  const device = await requestDevice.apply(this, options);
  watched.devices.push(device);
  if (watched.losesNext) device.destroy();
  return device;
};
for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"]) {
  const dispatch = GPUComputePassEncoder.prototype[name];
  GPUComputePassEncoder.prototype[name] = function (...groups) {
    watched.dispatches += 1;
    return dispatch.apply(this, groups);
  };
}

const { instantiateStreaming } = WebAssembly;
WebAssembly.instantiateStreaming = async (...source) => {
  const started = await instantiateStreaming.apply(WebAssembly, source);
  watched.memory = started.instance.exports.memory;
  return started;
};

/** Lets SwiftShader's adapter tell of itself as a real one would, so that `auto` takes it: the browser's part is played. */
watched.pretendReal = () => {
  const info = { vendor: "test", architecture: "test", device: "", description: "a pretended GPU", isFallbackAdapter: false };
  Object.defineProperty(GPUAdapter.prototype, "info", { configurable: true, get: () => info });
};
if (globalThis.location.search === "?real") watched.pretendReal();
