// Calls between the page and a worker, as promises.

/** In a worker: answers calls of the functions. */
export function answerCalls(functions) {
  self.onmessage = async ({ data: { name, argument } }) => {
    try {
      self.postMessage({ value: await functions[name](argument) });
    } catch (error) {
      self.postMessage({ error: String(error?.stack ?? error) });
    }
  };
}

/** In the page: calls a worker's functions, one at a time. */
export function caller(worker) {
  return (name, argument) =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => ("error" in data ? reject(new Error(data.error)) : resolve(data.value));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ name, argument });
    });
}
