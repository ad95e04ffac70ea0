// Counts what this worker starts on the GPU; other contexts of the page ask for the number.
let dispatches = 0;
const pass = globalThis.GPUComputePassEncoder?.prototype ?? {};
for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"]) {
  const dispatch = pass[name];
  pass[name] = function (...groups) {
    dispatches += 1;
    return dispatch.apply(this, groups);
  };
}

const channel = new BroadcastChannel("dispatches");
channel.onmessage = ({ data }) => data === "count" && channel.postMessage({ dispatches });
