// node predict.mjs FOLDER FILE: predict the texts in a JSON array with an exported model.

import fs from "node:fs";
import path from "node:path";
import { baseline } from "./baseline.mjs";
import { network } from "./network.mjs";
import { tokenizer } from "./tokens.mjs";

const [folder, file] = process.argv.slice(2);
const read = (name) => JSON.parse(fs.readFileSync(path.join(folder, name)));
const card = read("model.json");
const isNetwork = fs.existsSync(path.join(folder, "model.onnx"));
const model = isNetwork ? await network(folder, card) : baseline(folder, card);
const tokens = JSON.parse(fs.readFileSync(file)).map(tokenizer(read("tokenization.json")));
const ids = tokens.map(model.ids);
const results = await model.predict(isNetwork ? ids : tokens);
const label = ({ probability }) => card.classes[probability > 0.5 ? 1 : 0];
console.log(JSON.stringify(results.map((each, row) => ({ tokens: tokens[row], ids: ids[row], ...each, label: label(each) }))));
