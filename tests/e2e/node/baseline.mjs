// A baseline in an exported folder, by the steps in its README.

import fs from "node:fs";
import path from "node:path";

const LARGEST_LOGIT = 16.118096;

export function baseline(folder, { architecture, temperature }) {
  const arrays = readArrays(path.join(folder, "weights.safetensors"));
  const terms = arrays.vocabulary ? Buffer.from(arrays.vocabulary).toString("utf8").split("\n") : [];
  const rowsOfTerms = new Map(terms.map((term, row) => [term, row]));
  const rows = (tokens) => termsOf(tokens).filter((term) => rowsOfTerms.has(term)).map((term) => rowsOfTerms.get(term));
  const logitOf = (tokens) => {
    if (architecture === "majority") return Math.log(arrays.share[0] / (1 - arrays.share[0]));
    const values = weightings[architecture](rows(tokens), arrays.idf);
    return Array.from(values).reduce((sum, [row, value]) => sum + value * arrays.coefficients[row], arrays.intercept[0]);
  };
  return {
    ids: (tokens) => [...new Set(rows(tokens))].sort((one, other) => one - other),
    predict: (texts) => texts.map(logitOf).map((logit) => ({ logit, probability: calibrated(logit, temperature) })),
  };
}

function termsOf(tokens) {
  return [...tokens, ...tokens.slice(1).map((token, position) => `${tokens[position]} ${token}`)];
}

const weightings = {
  nb_svm: (rows) => new Map(rows.map((row) => [row, 1])),
  tfidf_logistic: frequencies,
  averaged_embeddings: (rows) => new Map(Array.from(countsOf(rows), ([row, count]) => [row, count / rows.length])),
};

function countsOf(rows) {
  const counts = new Map();
  for (const row of rows) counts.set(row, (counts.get(row) ?? 0) + 1);
  return counts;
}

function frequencies(rows, idf) {
  const values = Array.from(countsOf(rows), ([row, count]) => [row, (1 + Math.log(count)) * idf[row]]);
  const norm = Math.hypot(...values.map(([, value]) => value)) || 1;
  return new Map(values.map(([row, value]) => [row, value / norm]));
}

function calibrated(logit, temperature) {
  const limited = Math.min(Math.max(logit, -LARGEST_LOGIT), LARGEST_LOGIT);
  return 1 / (1 + Math.exp(-limited / temperature));
}

function readArrays(file) {
  const bytes = fs.readFileSync(file);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, start).toString("utf8"));
  const arrays = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return Object.fromEntries(arrays.map(([name, { dtype, data_offsets: [first, end] }]) => {
    const buffer = bytes.buffer.slice(bytes.byteOffset + start + first, bytes.byteOffset + start + end);
    return [name, new { U8: Uint8Array, F32: Float32Array, F64: Float64Array }[dtype](buffer)];
  }));
}
