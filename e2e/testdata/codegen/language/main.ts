// A program that reads many configurations through generated code, and says what it has read of each.
import { readFileSync } from "node:fs";
import { ConfigError, load } from "./language.js";

interface Case {
  readonly env: Record<string, string>;
  readonly file: string;
}

function read(one: Case): unknown {
  try {
    const c = load(one.env, () => new TextEncoder().encode(one.file));
    const f = c.files.all;
    return {
      TEXT: c.text, INT: String(c.int), FLOAT: String(c.float), BOOL: String(c.bool), CHOICE: c.choice,
      DURATION: String(c.duration * 1000), URL: c.url.protocol.slice(0, -1), SECRET: c.secret.reveal(), BLANK: c.blank.reveal(),
      text: f.text, int: String(f.int), float: String(f.float), bool: String(f.bool),
      duration: String(f.duration * 1000), url: f.url.protocol.slice(0, -1), secret: f.secret.reveal(),
    };
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems;
    }
    throw error;
  }
}

const cases = JSON.parse(readFileSync(0, "utf8")) as Case[];
console.log(JSON.stringify(cases.map(read)));
