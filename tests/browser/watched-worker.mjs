// A reranker's worker that a test looks into. Static imports: a worker's messages do not wait for others.
import "/watched.mjs";
import "/dist/worker.js";
