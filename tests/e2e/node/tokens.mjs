// The tokens of a text, by the steps in the README of an exported model.

const WINDOWS_1252 = new TextDecoder("windows-1252");

export function tokenizer({ patterns, names }) {
  const expression = Object.fromEntries(Object.entries(patterns).map(([name, text]) => [name, new RegExp(text, "gu")]));
  const known = new Map(Object.entries(names));
  const withoutReferences = (text) => text.replace(expression.reference, (match) => character(match, known));
  return (text) => {
    let plain = withoutReferences(withoutReferences(text));
    plain = plain.replace(expression.modifiers, "").normalize("NFKC").replaceAll("\u2019", "'");
    plain = Array.from(plain, (letter) => (letter === "\u0130" ? "i" : letter.toLowerCase())).join("");
    plain = plain.replace(expression.tags, " ").replace(expression.tokens, (match, ...rest) => ` ${groups(rest).join("")} `);
    return plain.replace(/^[ ']+|[ ']+$/g, "").split(" ").filter((token) => token);
  };
}

// The arguments after the match are its groups, its position and the whole text.
function groups(rest) {
  return rest.slice(0, -2).map((group) => group ?? "");
}

function character(match, names) {
  if (!match.startsWith("&#")) return names.get(match) ?? match;
  return numbered(/^&#x/i.test(match) ? parseInt(match.slice(3), 16) : parseInt(match.slice(2), 10));
}

function numbered(number) {
  if (number >= 128 && number <= 159) return WINDOWS_1252.decode(Uint8Array.of(number));
  if (number === 0 || (number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff) return "\ufffd";
  const isControl = number < 9 || number === 11 || (number > 13 && number < 32) || number === 127;
  const isNoncharacter = (number >= 0xfdd0 && number <= 0xfdef) || (number & 0xfffe) === 0xfffe;
  return isControl || isNoncharacter ? "" : String.fromCodePoint(number);
}
