import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { useReranker, type UseReranker } from "../../src/adapters/react.js";
import type { ModelChoice } from "../../src/types.js";

function render(model: ModelChoice | null): UseReranker {
  let seen: UseReranker | undefined;
  function Page() {
    seen = useReranker(model);
    return createElement("p", null, seen.status);
  }
  expect(renderToString(createElement(Page))).toBe(`<p>${seen!.status}</p>`);
  return seen!;
}

test("a server renders that the model is loading, and loads nothing", async () => {
  const { status, reranker, error, progress } = render("https://nowhere.invalid/model/");
  expect({ status, reranker, error, progress }).toEqual({
    status: "loading",
    reranker: null,
    error: null,
    progress: { loaded: 0, total: 0 },
  });
});

test("without a model it is idle, and rerank says what to do", async () => {
  const { status, rerank } = render(null);
  expect(status).toBe("idle");
  await expect(rerank({ query: "q", documents: ["d"] })).rejects.toMatchObject({
    code: "closed",
    hint: expect.stringContaining("give useReranker a model"),
  });
});
