// A network in an exported folder, by the steps in its README.

import fs from "node:fs";
import path from "node:path";
import * as ort from "onnxruntime-web/wasm";

ort.env.wasm.numThreads = 1;

export async function network(folder, { recipe }) {
  const tokensOfIds = JSON.parse(fs.readFileSync(path.join(folder, "vocabulary.json")));
  const idsOfTokens = new Map(tokensOfIds.map((token, id) => [token, id]));
  const session = await ort.InferenceSession.create(fs.readFileSync(path.join(folder, "model.onnx")));
  const ids = (tokens) => tokens.map((token) => idsOfTokens.get(token) ?? 1).slice(-recipe.max_tokens);
  return {
    ids: (tokens) => (tokens.length ? ids(tokens) : [1]),
    predict: async (rows) => {
      const { logit, probability } = await session.run({ token_ids: padded(rows) });
      return rows.map((_, row) => ({ logit: logit.data[row], probability: probability.data[row] }));
    },
  };
}

function padded(rows) {
  const width = Math.max(...rows.map((row) => row.length));
  const filled = rows.flatMap((row) => [...row, ...Array(width - row.length).fill(0)]);
  return new ort.Tensor("int64", BigInt64Array.from(filled, BigInt), [rows.length, width]);
}
